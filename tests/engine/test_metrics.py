"""The errors are those of the published tables: measured against known values, brute force and printed numbers."""

import math
import os
import pathlib
import warnings
from collections import deque

import numpy as np
import pytest
import torch

from sfumato.matte import metrics
from sfumato.matte.components import largest_component
from sfumato.matte.displacement import estimate_motion, follow

DATA = pathlib.Path(
    os.environ.get("SFUMATO_TEST_DATA") or pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
)

# SAD/1000, MSE x1e3, Grad/1000, Conn/1000 of closed-form (PyMatting's defaults) at 512 px, narrow trimap
PUBLISHED = {
    "GT01": (0.49, 4.9, 0.80, 0.31),
    "GT04": (4.62, 20.1, 4.50, 4.04),
    "GT21": (3.60, 37.0, 15.04, 3.34),
}


def frame(values: list[list[float]]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)[None]


def random_frame(seed: int, height: int = 23, width: int = 31) -> torch.Tensor:
    return torch.rand(1, height, width, generator=torch.Generator().manual_seed(seed))


def test_only_the_unknown_region_counts():
    trimap = frame([[0, 0.5, 1]])
    alpha, truth = frame([[0.9, 0.5, 0.1]]), frame([[0, 0.25, 1]])
    assert metrics.sad(alpha, truth, trimap) == pytest.approx(0.25)
    assert metrics.mse(alpha, truth, trimap) == pytest.approx(0.0625)


def test_a_perfect_matte_scores_zero_everywhere():
    shot = [random_frame(s) for s in range(3)]
    trimaps = [torch.full_like(shot[0], 0.5)] * 3
    assert metrics.score(shot, shot, trimaps) == metrics.Scores(0, 0, 0, 0, 0, 0)


def test_a_still_has_no_errors_over_time():
    scores = metrics.score([random_frame(0)], [random_frame(1)], [torch.full((1, 23, 31), 0.5)])
    assert scores.dtssd is None
    assert scores.messddt is None
    assert scores.sad > 0


def test_a_frame_without_unknown_pixels_counts_as_no_error():
    assert metrics.mse(random_frame(0), random_frame(1), torch.ones(1, 23, 31)) == 0


def test_the_gradient_of_a_ramp_is_the_product_of_the_kernels():
    ramp = torch.arange(64, dtype=torch.float64).expand(1, 64, 64) / 64
    x = torch.arange(-4, 5, dtype=torch.float64)
    smooth = torch.exp(-(x**2) / (2 * 1.4**2))
    derive = x * smooth
    expected = (derive * x).sum() / derive.norm() * (smooth.sum() / smooth.norm()) / 64
    found = metrics.gradient_magnitude(ramp)[0, 20:40, 20:40]
    assert found.min() == pytest.approx(float(expected))
    assert found.max() == pytest.approx(float(expected))


def flood(mask: np.ndarray) -> np.ndarray:
    best, seen = np.zeros_like(mask), np.zeros_like(mask)
    for start in zip(*np.nonzero(mask), strict=True):
        if seen[start]:
            continue
        region, todo = np.zeros_like(mask), deque([start])
        region[start] = seen[start] = True
        while todo:
            y, x = todo.popleft()
            for v, u in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if 0 <= v < mask.shape[0] and 0 <= u < mask.shape[1] and mask[v, u] and not seen[v, u]:
                    region[v, u] = seen[v, u] = True
                    todo.append((v, u))
        if region.sum() > best.sum():
            best = region
    return best


@pytest.mark.parametrize("seed", range(30))
def test_the_largest_region_is_the_one_a_flood_finds(seed: int):
    rng = np.random.default_rng(seed)
    mask = rng.random((rng.integers(1, 24), rng.integers(1, 24))) < rng.choice([0.3, 0.5, 0.6, 0.8, 1.0])
    np.testing.assert_array_equal(largest_component(mask), flood(mask))


def test_an_empty_mask_has_no_region():
    assert not largest_component(np.zeros((4, 5), dtype=bool)).any()


def test_an_island_is_disconnected_and_a_bridge_is_not():
    trimap = torch.full((1, 9, 20), 0.5)
    truth = torch.zeros(1, 9, 20)
    truth[0, 2:7, 1:8] = 1
    island, bridge = truth.clone(), truth.clone()
    island[0, 4, 12:15] = 1
    bridge[0, 4, 8:11] = 1
    assert metrics.connectivity_error(island, truth, trimap) == pytest.approx(3)
    assert metrics.connectivity_error(truth, truth, trimap) == 0
    assert metrics.connectivity_error(bridge, bridge, trimap) == 0


def test_flicker_is_the_change_of_the_error_and_not_the_error():
    truth = [random_frame(s) for s in range(4)]
    offset = [t + 0.1 for t in truth]
    blinking = [t + 0.1 * (i % 2) for i, t in enumerate(truth)]
    assert metrics.dtssd(offset, truth) == pytest.approx(0, abs=1e-7)
    assert metrics.dtssd(blinking, truth) == pytest.approx(0.1, abs=1e-6)


def test_one_frame_cannot_flicker():
    with pytest.raises(ValueError, match="two frames"):
        metrics.dtssd([random_frame(0)], [random_frame(0)])


def test_an_error_that_travels_with_the_object_is_steady_and_one_that_stays_behind_is_not():
    error = torch.zeros(1, 40, 60)
    error[0, 10:20, 10:20] = 0.5
    truth, trimap = torch.zeros(1, 40, 60), torch.full((1, 40, 60), 0.5)
    flow = torch.zeros(2, 40, 60)
    flow[0] = 7
    travels = [error, error.roll(7, dims=2)]
    assert metrics.messddt(travels, [truth] * 2, [trimap] * 2, flows=[flow]) == pytest.approx(0)
    assert metrics.messddt([error] * 2, [truth] * 2, [trimap] * 2, flows=[flow]) == pytest.approx(2 * 70 * 0.25)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (11, 6)])
def test_motion_of_a_moved_texture_is_found(shift: tuple[int, int]):
    coarse = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    before = torch.nn.functional.interpolate(coarse, size=(192, 256), mode="bicubic")[0]
    after = before.roll((shift[1], shift[0]), dims=(1, 2))
    found = estimate_motion(before, after)[:, 30:-30, 30:-30]
    assert (found - torch.tensor(shift).view(2, 1, 1)).abs().mean() < 0.1


def test_following_a_motion_looks_up_where_pixels_went():
    after = torch.arange(12, dtype=torch.float64).view(1, 3, 4)
    moved, inside = follow(after, torch.ones(2, 3, 4))
    assert moved[0, 0, 0] == pytest.approx(5)
    assert inside.sum() == 6


def test_the_plate_is_explained_by_its_own_layers():
    f, b = torch.rand(3, 8, 8) * 20, torch.rand(3, 8, 8)
    alpha = torch.rand(1, 8, 8)
    image = alpha * f + (1 - alpha) * b
    rms, worst = metrics.recomposite_residual(image, alpha, f, b)
    assert worst < 1e-5
    image[0, 0, 0] += 1
    image[1, 1, 1] = math.nan
    rms, worst = metrics.recomposite_residual(image, alpha, f, b)
    assert worst == pytest.approx(1, abs=1e-5)
    assert rms == pytest.approx(math.sqrt(1 / (3 * 63)), rel=1e-4)


@pytest.mark.parametrize("name", PUBLISHED)
def test_closed_form_scores_what_is_published(name: str):
    folder = DATA / "matting" / "alphamatting"
    if not folder.is_dir():
        pytest.skip(f"no photographs with ground truth at {folder}")
    pymatting = pytest.importorskip("pymatting", reason="PyMatting is the peer that was measured")
    from sfumato_plugins.benches.stills import read_still

    case = read_still(folder, name, long=512, trimap=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alpha = pymatting.estimate_alpha_cf(
            case.image.double().permute(1, 2, 0).numpy(), case.trimap[0].double().numpy()
        )
    found = metrics.score([torch.from_numpy(alpha)[None]], [case.truth], [case.trimap])
    sad, mse, grad, conn = PUBLISHED[name]
    assert found.sad == pytest.approx(sad, abs=0.006)
    assert found.mse == pytest.approx(mse, abs=0.06)
    assert found.grad == pytest.approx(grad, abs=0.006)
    assert found.conn == pytest.approx(conn, abs=0.006)
