"""Plates and windows: rectangles that may be negative, channels by name, holes."""

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import InputError
from sfumato.plate import Plate, Window, fill_holes

windows = st.builds(Window, st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 12), st.integers(1, 12))


def plate(pixels, channels=("R", "G", "B"), window=None, **more):
    window = window or Window(0, 0, pixels.shape[2], pixels.shape[1])
    return Plate(pixels, tuple(channels), None, window, window, **more)


@given(windows, windows)
def test_what_two_windows_share_lies_in_both_and_both_lie_in_what_is_around_them(a, b):
    assert a.common(b).common(a) == a.common(b)
    assert a.around(b).common(a) == a
    assert a.around(b).common(b) == b


def test_a_window_cannot_be_less_than_empty():
    with pytest.raises(ValueError, match="-1 x 3"):
        Window(0, 0, -1, 3)


@given(windows, windows, st.integers(0, 9))
def test_a_plate_moved_to_a_window_keeps_every_pixel_that_fits(ours, theirs, seed):
    pixels = torch.rand(2, ours.height, ours.width, generator=torch.Generator().manual_seed(seed))
    moved = plate(pixels, ("A", "Z"), ours).on(theirs, fill=-1.0)
    assert moved.data == theirs
    for y in range(theirs.top, theirs.bottom):
        for x in range(theirs.left, theirs.right):
            inside = ours.left <= x < ours.right and ours.top <= y < ours.bottom
            expected = pixels[:, y - ours.top, x - ours.left] if inside else torch.full((2,), -1.0)
            assert torch.equal(moved.pixels[:, y - theirs.top, x - theirs.left], expected)


def test_colour_is_found_by_name_and_not_by_place():
    pixels = torch.arange(5.0)[:, None, None].expand(5, 2, 2)
    assert plate(pixels, ("A", "B", "G", "R", "Z")).rgb()[:, 0, 0].tolist() == [3.0, 2.0, 1.0]


def test_a_grey_picture_is_grey_in_all_three():
    assert plate(torch.full((1, 2, 2), 0.5), ("Y",)).rgb().shape == (3, 2, 2)


def test_a_picture_without_colour_says_which_channels_it_has():
    with pytest.raises(InputError, match="Z, N"):
        plate(torch.zeros(2, 2, 2), ("Z", "N")).rgb()


@pytest.mark.parametrize(
    ("channels", "values", "meant"),
    [
        ("A", (0.3,), 0.3),
        ("RGBA", (0.1, 0.2, 0.3, 0.4), 0.4),
        ("RGBA", (0.1, 0.2, 0.3, 1.0), 0.1),  # an unused alpha
        ("RGB", (0.6, 0.6, 0.6), 0.6),
        ("Y", (0.5,), 0.5),
        ("Z", (0.7,), 0.7),
    ],
)
def test_a_mask_is_its_alpha_or_else_its_only_colour(channels, values, meant):
    pixels = torch.tensor(values)[:, None, None].expand(len(values), 2, 2)
    assert plate(pixels, channels).matte()[0, 0, 0].item() == pytest.approx(meant)


def test_pixels_must_fit_the_window_and_names_must_differ():
    with pytest.raises(ValueError, match="do not fit"):
        plate(torch.zeros(3, 2, 2), window=Window(0, 0, 3, 2))
    with pytest.raises(ValueError, match="twice"):
        plate(torch.zeros(2, 2, 2), ("A", "A"))


def test_a_plate_travels_to_another_process():
    one = plate(torch.zeros(3, 2, 2), metadata={"a": 1})
    assert pickle.loads(pickle.dumps(one)).metadata == {"a": 1}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_hole_is_where_any_colour_is_not_finite(bad):
    pixels = torch.zeros(4, 3, 3)
    pixels[1, 0, 2] = bad
    pixels[3, 1, 1] = bad  # in Z: no hole in the picture
    holes = plate(pixels, "RGBZ").holes()
    assert holes.nonzero().tolist() == [[0, 0, 2]]


@given(st.integers(1, 17), st.integers(1, 17), st.integers(0, 99), st.floats(0, 1))
def test_filling_holes_touches_nothing_else_and_stays_within_what_is_there(height, width, seed, share):
    random = torch.Generator().manual_seed(seed)
    pixels = torch.rand(3, height, width, generator=random)
    holes = torch.rand(1, height, width, generator=random) < share
    broken = pixels.masked_fill(holes, float("nan"))
    filled = fill_holes(broken, holes)
    assert torch.equal(filled.where(~holes, pixels), pixels)
    if not holes.all():
        known = pixels[:, ~holes[0]]
        assert filled.min() >= known.min() - 1e-6
        assert filled.max() <= known.max() + 1e-6
    else:
        assert not filled.any()
