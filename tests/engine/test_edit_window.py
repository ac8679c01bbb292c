"""What part of a plate a model is shown: windows that differ, pixel aspects, masks, and any size."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sfumato.diffusion.display import Display, display_of
from sfumato.diffusion.window import View, bounds, choose_view
from sfumato.plate import Plate, Window
from sfumato.primaries import REC709

SIZES = st.integers(1, 300)


def plate(data: Window, display: Window | None = None, **more: object) -> Plate:
    pixels = torch.rand(3, data.height, data.width, generator=torch.Generator().manual_seed(1))
    return Plate(pixels, ("R", "G", "B"), None, data, display or data, **more)  # type: ignore[arg-type]


def boxed(shown: Plate, box: Window) -> Tensor:
    mask = torch.zeros(1, shown.height, shown.width)
    mask[(slice(None), *box.common(shown.data).slices(shown.data))] = 1
    return mask


@given(SIZES, SIZES, st.sampled_from([0.5, 1.0, 2.0]))
def test_any_picture_is_seen_whole_undistorted_and_within_the_models_size(h: int, w: int, aspect: float) -> None:
    shown = plate(Window(0, 0, w, h), pixel_aspect=aspect)
    view = choose_view(shown, (64, 64), 8)
    assert view.rows % 8 == view.columns % 8 == 0
    assert view.rows * view.columns <= 64 * 64
    assert view.part.common(shown.display) == shown.display
    across, down = view.part.width * aspect / view.columns, view.part.height / view.rows
    assert abs(across - down) <= max(aspect / view.columns, 1 / view.rows) + 1e-6  # to within a pixel of the plate
    seen = view.shrink(view.cut(shown.pixels, shown.data, shown.display))
    assert seen.shape == (3, view.rows, view.columns)
    assert view.grow(seen, 0, view.part.height).shape == (3, view.part.height, view.part.width)
    assert View.read(view.words()) == view


@given(st.integers(0, 250), st.integers(0, 250), st.integers(1, 60), st.integers(1, 60))
def test_a_mask_is_seen_whole_with_its_surroundings(left: int, top: int, wide: int, tall: int) -> None:
    shown = plate(Window(0, 0, 310, 310))
    box = Window(left, top, wide, tall)
    part = choose_view(shown, (32, 32), 4, boxed(shown, box)).part
    assert part.common(box) == box
    assert part.common(shown.display) == part
    assert part.width == part.height >= 2 * max(wide, tall) >= 2
    assert part.width >= 32  # never shown finer than it is


def test_where_the_picture_ends_less_of_the_surroundings_is_seen_before_another_shape() -> None:
    wide = plate(Window(0, 0, 512, 256))
    square = choose_view(wide, (32, 32), 4, boxed(wide, Window(165, 40, 180, 176)))
    assert (square.rows, square.columns) == (32, 32)
    assert square.part == Window(127, 0, 256, 256)
    long = choose_view(wide, (32, 32), 4, boxed(wide, Window(10, 100, 480, 20)))
    assert long.part.width >= 480
    assert long.columns > long.rows


def test_a_mask_of_nothing_shows_the_whole_picture() -> None:
    shown = plate(Window(0, 0, 90, 60))
    assert choose_view(shown, (32, 32), 4, torch.zeros(1, 60, 90)) == choose_view(shown, (32, 32), 4)


def test_a_sequence_of_small_data_windows_is_seen_in_one_and_the_same_picture() -> None:
    display = Window(0, 0, 200, 100)
    views = {choose_view(plate(Window(x, 20, 50, 40), display), (32, 32), 4) for x in (10, 60, 180)}
    assert len(views) == 1


def test_outside_the_data_window_a_picture_is_black_and_beyond_its_edge_it_goes_on() -> None:
    shown = plate(Window(10, 10, 20, 10), Window(0, 0, 40, 40))
    cut = View(Window(-5, 0, 50, 50), 10, 10).cut(shown.pixels, shown.data, shown.display)
    assert torch.equal(cut[:, 10:20, 15:35], shown.pixels)
    assert float(cut.sum()) == pytest.approx(float(shown.pixels.sum()), rel=1e-6)
    full = plate(Window(0, 0, 8, 8))
    beyond = View(Window(-2, -2, 12, 12), 4, 4).cut(full.pixels, full.data, full.display)
    assert torch.equal(beyond[:, :2, 2:10], full.pixels[:, :1].expand(3, 2, 8))
    assert torch.equal(beyond[:, 2:10, 2:10], full.pixels)


def test_rows_grown_apart_are_the_rows_grown_together() -> None:
    seen = torch.rand(3, 8, 12, generator=torch.Generator().manual_seed(3))
    view = View(Window(0, 0, 61, 47), 8, 12)
    whole = view.grow(seen, 0, 47)
    assert torch.equal(torch.cat([view.grow(seen, a, min(a + 10, 47)) for a in range(0, 47, 10)], 1), whole)
    expected = torch.nn.functional.interpolate(seen[None], (47, 61), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(whole, expected, rtol=0, atol=1e-5)


def test_shrinking_keeps_the_light() -> None:
    view = View(Window(0, 0, 64, 48), 12, 16)
    part = torch.rand(3, 48, 64)
    assert float(view.shrink(part).mean()) == pytest.approx(float(part.mean()), rel=1e-5)


def test_bounds_are_those_of_the_mask_in_the_plates_coordinates() -> None:
    shown = plate(Window(100, -20, 30, 30))
    assert bounds(boxed(shown, Window(110, -5, 7, 4)), shown.data) == Window(110, -5, 7, 4)
    assert bounds(torch.zeros(1, 30, 30), shown.data).width == 0
    torn = boxed(shown, Window(110, -5, 7, 4))
    torn[0, :, 3], torn[0, 2] = float("nan"), float("nan")
    assert bounds(torn, shown.data) == Window(110, -5, 7, 4)


def test_display_and_light_undo_each_other_below_white() -> None:
    light = torch.linspace(0, 1, 3000).view(3, 1, -1)
    for display in (Display(), display_of(plate(Window(0, 0, 4, 4)).replace(space="ACEScg")), Display(exposure=2.5)):
        shown = display.decode(display.encode(display.light(display.back(light))))
        torch.testing.assert_close(shown, light, rtol=0, atol=3e-6)
    assert float(Display().encode(torch.tensor(0.18))) == pytest.approx(0.4614, abs=1e-4)  # IEC 61966-2-1
    assert Display().light(torch.tensor([-3.0, 70.0]).view(1, 1, 2).expand(3, 1, 2))[0].tolist() == [[0.0, 1.0]]


def test_a_wide_gamut_plate_is_shown_in_the_colours_a_model_knows() -> None:
    aces = display_of(plate(Window(0, 0, 4, 4)).replace(space="ACES2065-1"))
    grey = aces.light(torch.full((3, 1, 1), 0.18))
    torch.testing.assert_close(grey, torch.full((3, 1, 1), 0.18), rtol=1e-4, atol=0)  # white to white
    red = aces.back(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1))[:, 0, 0]
    expected = torch.tensor([0.4397, 0.0898, 0.0175])  # Rec.709 red in AP0, as ACES' own sRGB input transform has it
    torch.testing.assert_close(red, expected, rtol=0, atol=5e-4)
    said = plate(Window(0, 0, 4, 4), metadata={"chromaticities": REC709.xy})
    assert display_of(said).matrix is None


def test_a_coded_still_is_shown_as_it_is() -> None:
    still = plate(Window(0, 0, 6, 5), coded=True)
    display = display_of(still)
    assert torch.equal(display.encode(display.light(still.pixels)), still.pixels)
    assert torch.equal(display.back(display.decode(still.pixels)), still.pixels)
