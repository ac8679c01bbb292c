"""EDM: its preconditioning, its samplers and BDIA's on the same levels, and a training that a kill does not change."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.bdia import make_plan
from sfumato.diffusion.edm import bdia_calls, bdia_sample, euler_sample, heun_sample
from sfumato.diffusion.mixture import Mixture, reference, stiff_mixture
from sfumato.diffusion.protocols import Predictor
from sfumato.diffusion.schedule import Node, edm_grid
from sfumato.diffusion.walk import invert, latent, reinvert, resample, sample
from sfumato.errors import Cancelled, InputError, RequestError
from sfumato.models.edm import LabelledDenoiser, Preconditioning, Size, denoise, make_network
from sfumato.models.edm_pictures import as_bytes, as_floats, read_cifar10
from sfumato.models.edm_training import Training, load_average, loss_of, train
from sfumato.report import Step

SIGMAS = torch.tensor([0.002, 0.05, 0.5, 3.0, 80.0], dtype=torch.float64)
TINY = Size(side=8, patch=4, width=16, depth=2, heads=2, hidden=16)
QUICK = Training(images=512, batch=16, rate=3e-3, warm=32, cool=128, half_life=32, bfloat16=False)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rms(a: Tensor, b: Tensor) -> float:
    return float((a - b).double().square().mean().sqrt())


class Counted:
    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.calls, self.prediction = predictor, 0, predictor.prediction

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        self.calls += 1
        return self.predictor(latent, node)


def test_what_the_network_sees_and_what_it_should_answer_are_of_unit_size_at_every_level() -> None:
    c = Preconditioning.at(SIGMAS)
    clean = 0.5 * torch.randn(200_000, 1, generator=seeded(), dtype=torch.float64)
    z = clean + SIGMAS * torch.randn(200_000, len(SIGMAS), generator=seeded(1), dtype=torch.float64)
    assert torch.allclose((c.into * z).std(0), torch.ones(5).double(), atol=0.01)
    assert torch.allclose(((clean - c.skip * z) / c.out).std(0), torch.ones(5).double(), atol=0.01)


def test_a_network_that_answers_nothing_is_the_ideal_denoiser_of_plain_noise() -> None:
    network = make_network(TINY, seeded()).double()
    z = torch.randn(5, 3, 8, 8, generator=seeded(1), dtype=torch.float64) * SIGMAS[:, None, None, None]
    plain = Mixture(torch.zeros(1, 192).double(), torch.full((1, 192), 0.5).double(), "x0")
    ideal = torch.cat([plain(x.reshape(1, 192), Node(s, 1.0, s)) for x, s in zip(z, SIGMAS.tolist(), strict=True)])
    found = denoise(network, z, SIGMAS, torch.zeros(5, dtype=torch.int64))
    assert torch.allclose(found.reshape(5, 192), ideal, atol=1e-12)


def test_the_loss_is_the_papers_weighted_error_of_the_denoiser() -> None:
    network = awake(TINY).double()
    clean, noise = torch.randn(2, 5, 3, 8, 8, generator=seeded(2), dtype=torch.float64)
    label = torch.arange(5)
    found = denoise(network, clean + SIGMAS[:, None, None, None] * noise, SIGMAS, label)
    weight = (SIGMAS**2 + 0.25) / (SIGMAS * 0.5) ** 2
    wanted = (weight * (found - clean).square().mean((1, 2, 3))).mean()
    # float() in the loss is a rounding of 6e-8
    assert float(loss_of(network, clean, SIGMAS, noise, label)) == pytest.approx(float(wanted), rel=1e-6)


def awake(size: Size, seed: int = 0) -> torch.nn.Module:
    """A network whose fresh zeros are random too: one that answers."""
    network = make_network(size, seeded(seed)).requires_grad_(False)
    for weight in network.parameters():
        weight.add_(0.2 * torch.randn(weight.shape, generator=seeded(seed + 1)))
    return network


def test_level_and_label_both_change_the_answer_and_one_picture_not_anothers() -> None:
    network, z = awake(TINY), torch.randn(1, 3, 8, 8, generator=seeded(3)).expand(3, 3, 8, 8)
    found = denoise(network, z, torch.tensor([0.5, 0.5, 2.0]), torch.tensor([0, 1, 0]))
    assert min(rms(found[0], found[1]), rms(found[0], found[2])) > 0.01
    alone = denoise(network, z[:1], torch.tensor([0.5]), torch.tensor([0]))
    assert torch.allclose(alone, found[:1], atol=1e-5)


@pytest.fixture(scope="module")
def truth() -> tuple[Mixture, Tensor]:
    mixture = stiff_mixture(16, seeded(4), prediction="x0")
    return mixture, 80 * torch.randn(24, 16, generator=seeded(5), dtype=torch.float64)


def order(truth: tuple[Mixture, Tensor], gamma: float | str, down: str = "euler", up: str = "euler") -> float:
    """Between 100 and 200 steps, of the median picture's error against the exact flow."""
    mixture, noise = truth
    errors = []
    for steps in (100, 200):
        grid = edm_grid(steps, low=0.02)
        plan = make_plan(grid, gamma, level=None, anyway=True, start="euler", down=down, up=up)  # type: ignore[arg-type]
        found = latent(plan, sample(plan, mixture, noise))
        exact = reference(mixture, noise, grid.nodes[-1], grid.nodes[0], 800)
        errors.append(float((found - exact).square().mean(1).sqrt().median()))
    return math.log2(errors[0] / errors[1])


def test_bdia_edm_with_optimal_gamma_is_of_second_order_at_one_call_a_level(truth: tuple[Mixture, Tensor]) -> None:
    assert order(truth, "optimal") >= 1.9


@pytest.mark.parametrize(
    ("down", "up", "least"), [("euler", "euler", 0.8), ("heun", "euler", 0.8), ("heun", "heun", 1.8)]
)
def test_bdia_edm_with_any_gamma_follows_the_exact_flow(
    down: str, up: str, least: float, truth: tuple[Mixture, Tensor]
) -> None:
    assert order(truth, 0.3, down, up) >= least


def test_every_sampler_ends_near_the_exact_flows_picture_and_bdia_nearer_than_euler(
    truth: tuple[Mixture, Tensor],
) -> None:
    mixture, noise = truth
    grid, half = edm_grid(34), edm_grid(17)  # 35 calls either way
    exact = reference(mixture, noise, grid.nodes[-1], grid.nodes[0], 800)
    bdia, _ = bdia_sample(make_plan(grid, "optimal", level=None, start="euler"), mixture, noise)
    euler = rms(euler_sample(mixture, grid, noise), exact)
    assert rms(heun_sample(mixture, half, noise), exact) < euler < 0.1
    assert rms(bdia, exact) < 0.5 * euler


def test_each_sampler_makes_the_calls_it_is_said_to(truth: tuple[Mixture, Tensor]) -> None:
    mixture, noise = truth
    for sampler, calls in ((euler_sample, 10), (heun_sample, 19)):
        counted = Counted(mixture)
        sampler(counted, edm_grid(9), noise)
        assert counted.calls == calls
    for start in ("euler", "heun"):
        for down, up in (("euler", "euler"), ("heun", "euler"), ("heun", "heun")):
            plan = make_plan(edm_grid(9), 0.5, level=None, anyway=True, start=start, down=down, up=up)  # type: ignore[arg-type]
            counted = Counted(mixture)
            bdia_sample(plan, counted, noise)
            assert counted.calls == bdia_calls(plan)


def test_a_grid_with_the_clean_level_in_it_is_refused_by_all_three(truth: tuple[Mixture, Tensor]) -> None:
    mixture, noise = truth
    grid = edm_grid(9, zero=True)
    for sampler in (euler_sample, heun_sample):
        with pytest.raises(RequestError, match="without zero"):
            sampler(mixture, grid, noise)
    with pytest.raises(RequestError, match="without zero"):
        bdia_sample(make_plan(grid, 0.5, level=None, anyway=True), mixture, noise)


@pytest.mark.parametrize("gamma", [1.0, 0.9, "optimal"])
@pytest.mark.parametrize("down", ["euler", "heun"])
def test_on_the_lattice_a_transformers_walk_comes_back_to_the_bit_both_ways(gamma: float | str, down: str) -> None:
    network = awake(TINY)
    predictor = LabelledDenoiser(network, torch.tensor([0, 3]))
    plan = make_plan(edm_grid(10), gamma, anyway=True, start="euler", down=down)  # type: ignore[arg-type]
    noise = 80 * torch.randn(2, 3, 8, 8, generator=seeded(6))
    picture, down_walk = bdia_sample(plan, predictor, noise)
    assert picture.isfinite().all()
    assert torch.equal(latent(plan, reinvert(plan, predictor, down_walk, verify=True)), _snapped(noise))
    clean = _snapped(torch.rand(2, 3, 8, 8, generator=seeded(7)) * 2 - 1)
    up_walk = invert(plan, predictor, clean)
    assert torch.equal(latent(plan, resample(plan, predictor, up_walk, verify=True)), clean)


def _snapped(z: Tensor) -> Tensor:
    return (z * 2**18).round() / 2**18


def stripes(count: int = 64) -> tuple[Tensor, Tensor]:
    """Pictures of two kinds: dark left, or dark right, a little noisy."""
    label = torch.arange(count) % 2
    picture = torch.full((count, 3, 8, 8), 60) + torch.randint(20, (count, 3, 8, 8), generator=seeded(8))
    picture[label == 0, :, :, 4:] += 120
    picture[label == 1, :, :, :4] += 120
    return picture.to(torch.uint8), label


def test_training_teaches_pictures_and_labels(tmp_path: Path) -> None:
    losses: list[float] = []
    longer = replace(QUICK, images=6400, mean=1.5)  # mostly so noisy that only the label tells
    network = train(TINY, longer, *stripes(), tmp_path / "a.safetensors", lambda s: losses.append(s.loss or 0.0))
    assert sum(losses[-50:]) < 0.9 * sum(losses[:50])
    label = torch.arange(16) % 2
    noisy = 3 * torch.randn(16, 3, 8, 8, generator=seeded(9))  # nothing to go by but the label
    found = denoise(network, noisy, torch.full((16,), 3.0), label)
    brighter_left = (found[..., :4] - found[..., 4:]).mean((1, 2, 3))
    assert brighter_left[label == 1].mean() > 0.1
    assert brighter_left[label == 0].mean() < -0.1


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = train(TINY, QUICK, *stripes(), tmp_path / "whole.safetensors")

    def killer(step: Step) -> None:
        if step.step == 256:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        train(TINY, QUICK, *stripes(), tmp_path / "cut.safetensors", killer, every=0.0)
    seen: list[int] = []
    cut = train(TINY, QUICK, *stripes(), tmp_path / "cut.safetensors", lambda s: seen.append(s.step))
    assert seen[0] == 256
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), cut.parameters(), strict=True))


def test_a_checkpoint_of_other_settings_or_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    train(TINY, replace(QUICK, images=16), *stripes(), path)
    with pytest.raises(RequestError, match="other settings"):
        train(replace(TINY, depth=1), QUICK, *stripes(), path)
    with pytest.raises(RequestError, match="no checkpoint"):
        load_average(tmp_path / "missing.safetensors")
    assert train(TINY, replace(QUICK, images=32), *stripes(), path).size == TINY


def test_every_byte_survives_being_a_float() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(as_bytes(as_floats(every)), every)


def test_the_binary_version_is_read_and_a_cut_one_refused(tmp_path: Path) -> None:
    records = torch.randint(256, (3, 3073), generator=seeded(10)).to(torch.uint8)
    records[:, 0] = torch.tensor([7, 0, 9])
    (tmp_path / "test_batch.bin").write_bytes(records.numpy().tobytes())
    pictures, labels = read_cifar10(tmp_path, "test")
    assert labels.tolist() == [7, 0, 9]
    assert torch.equal(pictures[1].flatten(), records[1, 1:])
    (tmp_path / "test_batch.bin").write_bytes(b"x" * 3000)
    with pytest.raises(InputError, match="cut short"):
        read_cifar10(tmp_path, "test")
    with pytest.raises(InputError, match="no CIFAR-10 train"):
        read_cifar10(tmp_path, "train")
