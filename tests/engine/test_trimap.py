"""Trimaps from what artists have: tolerant values, rotos, cores and garbage, strokes, other sizes."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import RequestError
from sfumato.matte.distance import dilate, distance_to, erode
from sfumato.matte.trimap import (
    check_usable,
    classify,
    combine,
    from_core_and_garbage,
    from_roto,
    reduce,
    unknown_box,
)

DATA = Path(os.environ.get("SFUMATO_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def random_trimap(seed: int, height: int = 13, width: int = 17) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 3, (1, height, width), generator=generator).float() / 2


def disc(height: int, width: int, radius: float) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(height) - height // 2, torch.arange(width) - width // 2, indexing="ij")
    return (x * x + y * y <= radius * radius)[None].float()


# reading


@settings(deadline=None)
@given(seed=st.integers(0, 999), grey=st.sampled_from([127 / 255, 128 / 255, 0.5, 0.3]), noise=st.floats(0, 0.0199))
def test_jpeg_noise_does_not_change_a_trimap(seed, grey, noise):
    trimap = random_trimap(seed)
    painted = torch.where(trimap == 0.5, torch.tensor(grey), trimap)
    jitter = noise * (2 * torch.rand(trimap.shape, generator=torch.Generator().manual_seed(seed)) - 1)
    assert torch.equal(classify((painted + jitter).clamp(0, 1)), trimap)


def test_reading_a_trimap_twice_changes_nothing():
    trimap = random_trimap(3)
    assert torch.equal(classify(classify(trimap)), trimap)


def test_nan_is_unknown_and_overshoot_is_known():
    values = torch.tensor([[[float("nan"), 1.04, -0.03, 0.5]]])
    assert classify(values).tolist() == [[[0.5, 1.0, 0.0, 0.5]]]


def test_grey_saved_as_rgb_with_chroma_noise_is_read():
    trimap = random_trimap(1)
    noisy = trimap.expand(3, -1, -1) + torch.tensor([0.0, 0.015, -0.01])[:, None, None]
    assert torch.equal(classify(noisy.clamp(0, 1)), trimap)


def test_a_soft_roto_edge_is_unknown():
    row = torch.cat([torch.zeros(50), torch.linspace(0, 1, 41), torch.ones(50)])[None, None]
    assert classify(row)[0, 0].tolist() == [0.0] * 51 + [0.5] * 39 + [1.0] * 51


def test_a_colour_photograph_is_refused():
    with pytest.raises(RequestError, match="colour picture"):
        classify(torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(0)))


def test_a_grey_photograph_is_refused():
    with pytest.raises(RequestError, match="shades between black and white"):
        classify(torch.rand(1, 40, 40, generator=torch.Generator().manual_seed(0)))


def test_values_to_255_are_refused_with_the_range_in_the_sentence():
    with pytest.raises(RequestError, match="from 0 to 255"):
        classify(random_trimap(0) * 255)


@pytest.mark.skipif(not (DATA / "matting").exists(), reason=f"no test data at {DATA}")
def test_every_trimap_of_the_data_is_read_and_usable():
    oiio = pytest.importorskip("OpenImageIO")
    files = sorted((DATA / "matting").glob("alphamatting/trimap?/*.png"))
    for path in [*files, *sorted((DATA / "matting").glob("clips/*/trimap.0001.png"))]:
        pixels = torch.from_numpy(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)).permute(2, 0, 1)
        check_usable(classify(pixels))


# rotos, cores, garbage


@pytest.mark.parametrize(("erode_px", "dilate_px"), [(0, 0), (1, 2), (2.5, 4), (3, 0)])
def test_a_roto_becomes_unknown_within_true_discs(erode_px, dilate_px):
    edge = (torch.arange(31) >= 12).float().expand(1, 20, 31)
    row = from_roto(edge, erode_px, dilate_px)[0, 9]
    assert int((row == 1).sum()) == 31 - 12 - int(erode_px)
    assert int((row == 0).sum()) == 12 - int(dilate_px)
    pole = torch.zeros(1, 21, 21)
    pole[0, 10, 10] = 1
    assert torch.equal(from_roto(pole, 0, dilate_px) != 0, disc(21, 21, dilate_px).bool())


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), erode_px=st.floats(0, 4), dilate_px=st.floats(0, 4))
def test_a_roto_never_claims_what_it_did_not(seed, erode_px, dilate_px):
    alpha = torch.rand(1, 15, 20, generator=torch.Generator().manual_seed(seed)).mul(3).sub(1).clamp(0, 1)
    trimap = from_roto(alpha, erode_px, dilate_px)
    assert torch.all(alpha[trimap == 1] >= 0.98)
    assert torch.all(alpha[trimap == 0] <= 0.02)


def test_the_frame_border_is_no_edge():
    assert torch.all(from_roto(torch.ones(1, 8, 9), 3, 3) == 1)


def test_negative_erosion_is_refused():
    with pytest.raises(RequestError, match="negative"):
        from_roto(torch.ones(1, 8, 9), -1, 3)


@settings(deadline=None)
@given(a=st.integers(0, 999), b=st.integers(1000, 1999))
def test_garbage_wins_over_core_and_soft_edges_stay_unknown(a, b):
    core, garbage = random_trimap(a), random_trimap(b)
    trimap = from_core_and_garbage(core, garbage)
    assert torch.equal(trimap == 0, garbage == 1)
    assert torch.equal(trimap == 1, (core == 1) & (garbage < 1))


# combining


@settings(deadline=None)
@given(seeds=st.lists(st.integers(0, 9999), min_size=5, max_size=5, unique=True))
def test_strokes_win_over_garbage_over_holdout_over_trimap(seeds):
    trimap = random_trimap(seeds[0])
    garbage, holdout, hold_in, hold_out = (random_trimap(s).eq(1).float() for s in seeds[1:])
    result = combine(trimap, garbage=garbage, holdout=holdout, hold_in=hold_in, hold_out=hold_out)
    for at in torch.nonzero(trimap[0] >= 0).tolist():
        y, x = at
        if hold_out[0, y, x]:
            expected = 0.0
        elif hold_in[0, y, x]:
            expected = 1.0
        elif garbage[0, y, x]:
            expected = 0.0
        elif holdout[0, y, x]:
            expected = 1.0
        else:
            expected = float(trimap[0, y, x])
        assert float(result[0, y, x]) == expected


def test_combining_with_nothing_returns_an_equal_copy():
    trimap = random_trimap(5)
    result = combine(trimap)
    assert torch.equal(result, trimap)
    assert result is not trimap


def test_a_garbage_matte_of_another_size_is_refused_with_both_sizes():
    with pytest.raises(RequestError, match=r"17x9.*17x13"):
        combine(random_trimap(0), garbage=torch.zeros(1, 9, 17))


# other sizes


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 999), height=st.integers(1, 13), width=st.integers(1, 17))
def test_a_reduced_pixel_is_known_only_if_its_whole_footprint_is(seed, height, width):
    trimap = torch.nn.functional.interpolate(random_trimap(seed, 4, 5)[None], (13, 17))[0]
    small = reduce(trimap, height, width)
    for y in range(height):
        for x in range(width):
            top, bottom = y * 13 // height, -(-(y + 1) * 13 // height)
            left, right = x * 17 // width, -(-(x + 1) * 17 // width)
            footprint = trimap[0, top:bottom, left:right].unique()
            assert float(small[0, y, x]) == (float(footprint[0]) if len(footprint) == 1 else 0.5)


def test_the_same_size_changes_nothing():
    trimap = random_trimap(2)
    assert torch.equal(reduce(trimap, 13, 17), trimap)


# sentences


def test_a_trimap_without_unknown_pixels_is_fine():
    check_usable(torch.zeros(1, 4, 4))
    check_usable(torch.ones(1, 4, 4))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(0.5, "whole trimap is unknown"), (1.0, "no known background"), (0.0, "no known foreground")],
)
def test_a_trimap_that_cannot_work_says_what_is_missing(value, sentence):
    trimap = torch.full((1, 4, 4), 0.5)
    trimap[0, 0] = value
    with pytest.raises(RequestError, match=sentence):
        check_usable(trimap)


def test_a_trimap_of_another_size_than_the_plate_says_both_sizes():
    with pytest.raises(RequestError, match=r"960x540.*1920x1080"):
        check_usable(torch.zeros(1, 540, 960), torch.zeros(3, 1080, 1920))


def test_the_box_of_the_unknown_holds_all_of_it():
    trimap = torch.zeros(1, 20, 30)
    trimap[0, 5:8, 28:30] = 0.5
    assert unknown_box(trimap, 2) == (slice(3, 10), slice(26, 30))
    assert unknown_box(torch.zeros(1, 20, 30)) is None


# distance


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 999), limit=st.sampled_from([1.0, 2.5, 6.0, 40.0]), density=st.sampled_from([0.0, 0.02, 0.3])
)
def test_distance_is_the_nearest_of_all_pixels(seed, limit, density):
    mask = torch.rand(11, 14, generator=torch.Generator().manual_seed(seed)) < density
    points = mask.nonzero().float()
    every = torch.ones_like(mask).nonzero().float()
    expected = torch.full((11 * 14,), limit)
    if len(points):
        expected = torch.cdist(every, points).amin(1).clamp(max=limit)
    assert torch.allclose(distance_to(mask, limit).reshape(-1), expected, atol=1e-5)


def test_growing_then_shrinking_a_disc_gives_it_back():
    mask = disc(60, 60, 12)[0].bool()
    assert torch.equal(erode(dilate(mask, 5), 5) | mask, erode(dilate(mask, 5), 5))
    assert torch.equal(dilate(mask, 0), mask)
