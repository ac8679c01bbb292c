"""The Frechet distance against its closed forms, and the network whose features it is named after."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from torch import Tensor

from sfumato.diffusion.frechet import Moments, frechet
from sfumato.errors import InputError
from sfumato.models.edm_features import load_features
from sfumato.models.edm_pictures import read_cifar10


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(seed: int, size: int = 5) -> Moments:
    mixing = torch.randn(size, size, generator=seeded(seed), dtype=torch.float64)
    return Moments(torch.randn(size, generator=seeded(seed + 1), dtype=torch.float64), mixing @ mixing.T)


@given(*[st.floats(-3, 3)] * 2, *[st.floats(0, 3)] * 2)
def test_between_two_bell_curves_it_is_the_distance_of_mean_and_deviation(
    m: float, n: float, s: float, t: float
) -> None:
    a, b = (Moments(*torch.tensor([[[u]], [[v * v]]], dtype=torch.float64)) for u, v in ((m, s), (n, t)))
    assert frechet(a, b) == pytest.approx((m - n) ** 2 + (s - t) ** 2, abs=1e-9)


def test_between_gaussians_with_the_same_axes_it_adds_up_over_the_axes() -> None:
    axes, _ = torch.linalg.qr(torch.randn(6, 6, generator=seeded(), dtype=torch.float64))
    s, t = torch.rand(2, 6, generator=seeded(1), dtype=torch.float64)
    a, b = (Moments(torch.zeros(6).double(), axes @ torch.diag(d**2) @ axes.T) for d in (s, t))
    assert frechet(a, b) == pytest.approx(float((s - t).square().sum()), abs=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_between_any_gaussians_it_is_the_formula_with_a_matrix_root(seed: int) -> None:
    a, b = drawn(seed), drawn(seed + 100)
    crossed = sqrtm((a.covariance @ b.covariance).numpy()).real.trace()
    wanted = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * crossed
    assert frechet(a, b) == pytest.approx(float(wanted), rel=1e-6)
    assert frechet(a, b) == pytest.approx(frechet(b, a), rel=1e-9)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_samples_of_two_gaussians_are_as_far_apart_as_the_gaussians() -> None:
    found = []
    for seed, moments in enumerate((drawn(0), drawn(100))):
        root = torch.linalg.cholesky(moments.covariance)
        noise = torch.randn(100_000, 5, generator=seeded(seed), dtype=torch.float64)
        found.append(Moments.of(moments.mean + noise @ root.T))
    assert frechet(*found) == pytest.approx(frechet(drawn(0), drawn(100)), rel=0.02)


@pytest.fixture(scope="module")
def some(data: Path) -> tuple[Tensor, Tensor]:
    """800 test pictures in no order, and their labels."""
    if not (data / "images/cifar10_jpeg").is_dir():
        pytest.skip("no CIFAR-10 among the test data")
    return read_cifar10(data / "images/cifar10_jpeg", "test", torch.randperm(10_000, generator=seeded())[:800].tolist())


def test_the_features_are_those_that_tell_the_classes_apart(data: Path, some: tuple[Tensor, Tensor]) -> None:
    """Published: 91.7 %, of the original pictures. These are JPEG, quality 75 at half colour: 80.0 % of all 10,000."""
    network = load_features(data / "weights/cifar_resnet/resnet20-12fca82f.th")
    pictures, labels = some
    right = (network.classify(pictures).argmax(1) == labels).float().mean()
    assert 0.77 < right < 0.83
    swapped = (network.classify(pictures[:, [2, 1, 0]]).argmax(1) == labels).float().mean()
    assert swapped < right - 0.03
    assert network(pictures[:4]).shape == (4, 64)


def test_every_layer_sees_what_it_saw_in_its_training(data: Path, some: tuple[Tensor, Tensor]) -> None:
    """A shortcut, a stride or a padding of another kind would move the means that normalisation remembers."""
    network = load_features(data / "weights/cifar_resnet/resnet20-12fca82f.th")
    off: list[float] = []

    def compare(layer: torch.nn.Module, given: tuple[Tensor], answer: Tensor) -> None:
        assert isinstance(layer, torch.nn.BatchNorm2d)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        off.append(float(((given[0].mean((0, 2, 3)) - layer.running_mean) / layer.running_var.sqrt()).abs().mean()))

    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.register_forward_hook(compare)
    network(some[0][:400])
    assert len(off) == 19
    assert max(off) < 0.25


def test_a_file_that_is_no_such_network_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.conv1.weight": torch.zeros(16, 3, 3, 3)}}, tmp_path / "a.th")
    for name in ("a.th", "missing.th"):
        with pytest.raises(InputError, match="no CIFAR-10 residual network"):
            load_features(tmp_path / name)
