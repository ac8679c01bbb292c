"""Straight foreground and background of a matte."""

import math
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from sfumato.errors import Cancelled, ShapeError
from sfumato.matte.foreground import estimate_foreground
from sfumato.matte.trimap import classify
from sfumato.report import Step

DATA = Path(os.environ.get("SFUMATO_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
CLIPS = DATA / "matting" / "clips"


def smooth(seed: int, channels: int, height: int, width: int) -> torch.Tensor:
    noise = torch.rand(1, channels, 4, 5, generator=torch.Generator().manual_seed(seed))
    return interpolate(noise, (height, width), mode="bicubic", align_corners=False)[0].clamp(0, 1)


def composite(seed: int, height: int = 48, width: int = 56, brightness: float = 1.0):
    """A smooth element over a smooth background: image, alpha, trimap, F, B."""
    alpha = ((smooth(seed, 1, height, width) - 0.5) * 4 + 0.5).clamp(0, 1)
    foreground, background = smooth(seed + 1, 3, height, width), brightness * smooth(seed + 2, 3, height, width)
    trimap = torch.where(alpha >= 1, 1.0, torch.where(alpha <= 0, 0.0, 0.5))
    return alpha * foreground + (1 - alpha) * background, alpha, trimap, foreground, background


def grey_psnr(alpha, foreground, true_alpha, true_premultiplied, region) -> float:
    """Over 18 % grey, in sRGB-coded values clipped to 0..1, over a region: the protocol of the bench."""

    def coded(x):
        x = x.clamp(0, 1)
        return torch.where(x <= 0.0031308, 12.92 * x, 1.055 * x.clamp(min=1e-9) ** (1 / 2.4) - 0.055)

    ours = coded(alpha * foreground + (1 - alpha) * 0.18)
    truth = coded(true_premultiplied + (1 - true_alpha) * 0.18)
    return -10 * math.log10(float((ours - truth)[:, region].square().mean()))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40), st.sampled_from([1.0, 50.0]))
def test_layers_are_finite_and_give_the_plate_back(seed, height, width, brightness):
    generator = torch.Generator().manual_seed(seed)
    image = brightness * torch.randn(3, height, width, generator=generator)
    alpha = (1.5 * torch.rand(1, height, width, generator=generator) - 0.25).clamp(0, 1)
    trimap = torch.where(alpha >= 1, 1.0, torch.where(alpha <= 0, 0.0, 0.5))
    f, b = estimate_foreground(image, alpha, trimap)
    assert f.isfinite().all()
    assert b.isfinite().all()
    assert torch.equal(torch.where(alpha >= 1, image, 0.0), torch.where(alpha >= 1, f, 0.0))
    assert torch.equal(torch.where(alpha <= 0, image, 0.0), torch.where(alpha <= 0, b, 0.0))
    assert float((alpha * f + (1 - alpha) * b - image).abs().max()) <= 1e-4 * brightness


@pytest.mark.parametrize("trimap_value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("alpha_value", [0.0, 0.3, 1.0])
def test_a_layer_that_is_nowhere_known_is_still_finite(trimap_value, alpha_value):
    image = composite(3)[0]
    alpha, trimap = torch.full((1, 48, 56), alpha_value), torch.full((1, 48, 56), trimap_value)
    f, b = estimate_foreground(image, alpha, trimap)
    assert f.isfinite().all()
    assert b.isfinite().all()


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 999), st.integers(-6, 6))
def test_exposure_changes_nothing_but_exposure(seed, stops):
    image, alpha, trimap, *_ = composite(seed)
    f, b = estimate_foreground(image, alpha, trimap)
    brighter_f, brighter_b = estimate_foreground(image * 2.0**stops, alpha, trimap)
    assert torch.allclose(brighter_f, f * 2.0**stops, rtol=1e-4, atol=1e-5 * 2.0**stops)
    assert torch.allclose(brighter_b, b * 2.0**stops, rtol=1e-4, atol=1e-5 * 2.0**stops)


@pytest.mark.parametrize("brightness", [1.0, 30.0])
@pytest.mark.parametrize("seed", range(4))
def test_smooth_layers_are_found(seed, brightness):
    image, alpha, trimap, foreground, _ = composite(10 * seed, 96, 112, brightness)
    f, _ = estimate_foreground(image, alpha, trimap)
    region = (trimap == 0.5)[0]
    found = grey_psnr(alpha, f, alpha, alpha * foreground, region)
    kept = grey_psnr(alpha, image, alpha, alpha * foreground, region)
    print(f"seed {seed}, background to {brightness:g}: {found:.1f} dB, plate colour kept {kept:.1f} dB")
    assert found > kept + 2


def test_an_alpha_error_in_front_of_a_bright_sky_does_not_glow():
    image, alpha, trimap, foreground, _ = composite(7, 96, 112, 30.0)
    region = trimap == 0.5
    wrong = torch.where(region, (alpha + 0.1).clamp(0.01, 0.99), alpha)
    f, _ = estimate_foreground(image, wrong, trimap)
    assert float(f[region.expand_as(f)].quantile(0.95)) <= 1.5 * float(foreground.max())


def test_the_foreground_under_alpha_zero_is_smooth_and_not_the_plate():
    image, alpha, trimap, *_ = composite(1, 96, 112)
    red = torch.tensor([0.8, 0.1, 0.1])[:, None, None]
    image = alpha * red + (1 - alpha) * (image + torch.tensor([0.0, 0.0, 2.0])[:, None, None])
    f, _ = estimate_foreground(image, alpha, trimap)
    nothing = (alpha == 0).expand_as(f)
    assert float((f - red).abs()[nothing].max()) < 0.1
    assert float((f[:, 1:] - f[:, :-1]).abs()[nothing[:, 1:] & nothing[:, :-1]].max()) < 0.02


def test_light_brighter_than_the_foreground_survives_where_alpha_is_high():
    image, alpha, trimap, *_ = composite(2, 64, 64)
    band = (trimap == 0.5) & (alpha > 0.8)
    image = torch.where(band, image + 5.0, image)
    f, _ = estimate_foreground(image, alpha, trimap)
    assert float((alpha * f)[band.expand_as(f)].mean()) > 0.3 * float(image[band.expand_as(image)].mean())


def test_holes_of_the_plate_do_not_spread():
    image, alpha, trimap, *_ = composite(4)
    holed = image.clone()
    holed[:, 20:23, 20:23] = float("nan")
    holed[1, 5, 5] = float("inf")
    f, b = estimate_foreground(holed, alpha, trimap)
    assert f.isfinite().all()
    assert b.isfinite().all()


def test_a_clean_plate_gives_a_better_foreground_and_comes_back():
    image, alpha, trimap, foreground, background = composite(5, 96, 112, 3.0)
    background = background + 0.3 * torch.rand(3, 96, 112, generator=torch.Generator().manual_seed(0))
    image = alpha * foreground + (1 - alpha) * background
    region = (trimap == 0.5)[0]
    blind, _ = estimate_foreground(image, alpha, trimap)
    f, b = estimate_foreground(image, alpha, trimap, background=background)
    assert grey_psnr(alpha, f, alpha, alpha * foreground, region) > 3 + grey_psnr(
        alpha, blind, alpha, alpha * foreground, region
    )
    assert torch.equal(b[:, alpha[0] == 1], background[:, alpha[0] == 1])
    assert float((alpha * f + (1 - alpha) * b - image).abs().max()) < 1e-4


def test_the_same_input_gives_the_same_bits():
    image, alpha, trimap, *_ = composite(6)
    first, second = (estimate_foreground(image, alpha, trimap) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_a_report_can_stop_it():
    def stop(step: Step) -> None:
        raise Cancelled("stopped")

    image, alpha, trimap, *_ = composite(6)
    with pytest.raises(Cancelled):
        estimate_foreground(image, alpha, trimap, report=stop)


def test_sizes_that_do_not_agree_are_refused():
    with pytest.raises(ShapeError, match="alpha"):
        estimate_foreground(torch.zeros(3, 4, 5), torch.zeros(1, 4, 4), torch.zeros(1, 4, 5))


@pytest.mark.skipif(not CLIPS.exists(), reason=f"no test data at {DATA}")
@pytest.mark.parametrize(("clip", "gain"), [("leopard_clip", 3.0), ("beachball_clip", -0.5), ("leaves_still", -0.5)])
def test_an_element_over_grey_beats_the_multi_level_estimate_with_the_true_alpha(clip, gain):
    pymatting = pytest.importorskip("pymatting")
    oiio = pytest.importorskip("OpenImageIO")

    def load(name: str) -> torch.Tensor:
        path = next((CLIPS / clip).glob(f"{name}.0001.*"))
        return torch.from_numpy(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)).permute(2, 0, 1).contiguous()

    plate, truth, trimap = load("plate")[:3], load("gt_premult"), classify(load("trimap"))
    alpha, region = truth[3:], (trimap == 0.5)[0]
    f, b = estimate_foreground(plate, alpha, trimap)
    peer = pymatting.estimate_foreground_ml(plate.permute(1, 2, 0).double().numpy(), alpha[0].double().numpy())
    ours = grey_psnr(alpha, f, alpha, truth[:3], region)
    theirs = grey_psnr(alpha, torch.from_numpy(peer).permute(2, 0, 1), alpha, truth[:3], region)
    residual = float((alpha * f + (1 - alpha) * b - plate)[:, region].square().mean().sqrt())
    print(f"{clip}: {ours:.2f} dB, multi-level {theirs:.2f} dB, residual {residual:.5f}")
    assert ours >= theirs + gain
    assert residual <= 0.005
