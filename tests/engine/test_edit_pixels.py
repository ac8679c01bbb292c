"""What an edit does to a plate's pixels: changes what was asked for, takes its traces along, keeps every other bit."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from sfumato.diffusion.display import to_display, to_light
from sfumato.diffusion.grain import measure_grain
from sfumato.diffusion.residual import AGREE, changed, lay
from sfumato.diffusion.window import View, around, whole
from sfumato.plate import Window


def disc(size: int, x: float, y: float, radius: float) -> Tensor:
    """(1, size, size) 0..1."""
    down, across = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    return (radius + 0.5 - ((across - x) ** 2 + (down - y) ** 2).sqrt()).clamp(0, 1)[None]


def noise(shape: tuple[int, ...], sigma: float, seed: int = 0) -> Tensor:
    return sigma * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def laid(plate: Tensor, recon: Tensor, edit: Tensor, view: View, mask: Tensor | None = None, **more: object):
    choice = {"keep_detail": 0.0, "automatic": True, **more}
    return lay(plate, recon, edit, view, mask, generator=torch.Generator().manual_seed(5), **choice)


def test_display_and_light_undo_each_other_below_white() -> None:
    light = torch.linspace(0, 1, 1001)
    assert torch.allclose(to_light(to_display(light)), light, atol=5e-5)
    assert to_display(torch.tensor([-3.0, 70.0])).tolist() == pytest.approx([0.0, 1.0], abs=1e-6)
    assert float(to_light(torch.tensor(1.02))) > 1.0


def test_where_nothing_changes_every_bit_is_the_plates() -> None:
    plate = noise((3, 60, 80), 0.3) + 0.4
    plate[:, 5:9, 5:9], plate[0, 20, 20], plate[1, 30, 30] = 73.0, float("nan"), float("-inf")
    view = whole(60, 80, (32, 32), 4)
    recon = to_display(view.shrink(plate.nan_to_num(0.0, 0.0, 0.0)))
    same = laid(plate, recon, recon.clone(), view)
    zero = laid(plate, recon, recon.flip(3), view, torch.zeros(1, 60, 80))
    for found in (same, zero):
        assert torch.equal(found.pixels.view(torch.int32), plate.view(torch.int32))
        assert not found.delta.any()


def test_outside_the_mask_every_bit_is_the_plates_and_holes_stay_holes() -> None:
    plate, view = noise((3, 64, 64), 0.1) + 0.5, View(Window(0, 0, 64, 64), 32, 32)
    plate[:, 30, 30] = float("nan")
    recon = to_display(view.shrink(plate.nan_to_num(0.5)))
    mask = disc(64, 32, 32, 12)
    found = laid(plate, recon, 1 - recon, view, mask)
    outside = (mask == 0).expand(3, -1, -1)
    assert torch.equal(found.pixels[outside], plate[outside])
    assert bool(found.pixels[:, 30, 30].isnan().all())
    assert bool((found.pixels != plate)[:, 32, 36:40].all())
    finite = plate.isfinite()
    assert torch.equal((plate + found.delta)[finite], found.pixels[finite])


def test_without_a_mask_only_what_changed_is_touched() -> None:
    plate, view = noise((3, 128, 128), 0.01) + 0.3, View(Window(0, 0, 128, 128), 32, 32)
    recon = to_display(view.shrink(plate))
    edit = recon + 0.3 * disc(32, 16, 16, 5) + 0.5 * AGREE
    found = laid(plate, recon, edit, view)
    far = (disc(128, 65, 65, 46) == 0).expand(3, -1, -1)
    assert torch.equal(found.pixels[far], plate[far])
    assert bool((found.delta != 0)[:, 64, 64].all())


def test_a_lamp_brighter_than_white_goes_without_a_ghost() -> None:
    ground, lamp = torch.full((3, 128, 128), 0.2), disc(128, 64, 64, 14)
    plate = ground * (1 - lamp) + 50.0 * lamp
    view = View(Window(0, 0, 128, 128), 32, 32)
    recon, edit = (to_display(view.shrink(p.clamp(0, 1))) for p in (plate, ground))
    found = laid(plate, recon, edit, view)
    plain = laid(plate, recon, edit, view, keep_detail=1.0)
    assert float((found.pixels - ground).abs()[:, 55:74, 55:74].max()) < 0.02
    assert float(found.pixels.max()) < 3.0  # its rim, where the model's pixels are half lamp
    assert float(plain.pixels[:, 64, 64].min()) > 40.0  # what would be there if the residual stayed


def test_an_old_texture_does_not_show_through_the_new_thing() -> None:
    size, thing = 128, disc(128, 64, 64, 30)
    stripes = 0.25 + 0.2 * (torch.arange(size) % 2)[None, None, :].expand(3, size, size)
    plate = 0.1 * (1 - thing) + stripes * thing
    view = View(Window(0, 0, size, size), 32, 32)
    recon = to_display(view.shrink(plate))
    edit = to_display(view.shrink(0.1 * (1 - thing) + torch.tensor([0.02, 0.05, 0.6]).view(3, 1, 1) * thing))

    def ghost(picture: Tensor) -> float:
        """How much of the stripes is in the middle: neighbours across against neighbours down."""
        middle = picture[:, 50:78, 50:78]
        return float((middle[:, :, 1:] - middle[:, :, :-1]).abs().mean())

    assert ghost(plate) > 0.15
    assert ghost(laid(plate, recon, edit, view).pixels) < 0.02 * ghost(plate)
    assert ghost(laid(plate, recon, edit, view, keep_detail=1.0).pixels) > 0.5 * ghost(plate)


@pytest.mark.parametrize("soft", [False, True])
def test_new_grain_is_as_strong_as_the_plates(soft: bool) -> None:
    grain = noise((3, 192, 192), 0.02)
    if soft:
        grain = avg_pool2d(grain[None], (1, 2), 1, (0, 1))[0, :, :, :192]
    plate = 0.3 + grain
    view = View(Window(0, 0, 192, 192), 32, 32)
    recon = torch.full((1, 3, 32, 32), float(to_display(torch.tensor(0.3))))
    edit = recon - 0.25 * disc(32, 16, 16, 9)
    found = laid(plate, recon, edit, view)
    inside = disc(192, 96, 96, 40)[0] > 0.99
    flat = found.pixels - avg_pool2d(found.pixels[None], 9, 1, 4)[0]
    before = plate - avg_pool2d(plate[None], 9, 1, 4)[0]
    assert float(flat[:, inside].std() / before[:, inside].std()) == pytest.approx(1.0, abs=0.2)
    again = laid(plate, recon, edit, view)
    assert torch.equal(found.pixels, again.pixels)


def test_grain_is_measured_beside_edges_and_by_brightness() -> None:
    light = torch.where(torch.arange(200) < 100, 0.1, 0.8)[None, None, :].expand(3, 150, 200)
    sigma = torch.where(torch.arange(200) < 100, 0.01, 0.04)[None, None, :]
    found = measure_grain(light + noise((3, 150, 200), 1.0) * sigma, torch.ones(1, 150, 200, dtype=torch.bool))
    assert float(found.sigma[:, 0].mean()) == pytest.approx(0.01, rel=0.15)
    assert float(found.sigma[:, -1].mean()) == pytest.approx(0.04, rel=0.15)
    assert found.soft < 0.1


def test_a_plate_without_grain_gets_none() -> None:
    plain = torch.linspace(0, 1, 100).view(1, 1, -1).expand(3, 80, 100)
    found = measure_grain(plain, torch.ones(1, 80, 100, dtype=torch.bool))
    assert float(found.made(plain, torch.Generator().manual_seed(0)).abs().max()) < 0.03


def test_agreeing_pictures_have_not_changed_at_all() -> None:
    recon = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert not changed(recon, recon + 0.9 * AGREE).any()
    assert float(changed(recon, recon + 0.5).min()) == 1.0


@pytest.mark.parametrize(("height", "width"), [(1, 1), (17, 300), (1080, 1920), (33, 31)])
def test_any_plate_fits_a_models_view(height: int, width: int) -> None:
    view = whole(height, width, (64, 64), 8)
    assert view.rows % 8 == 0
    assert view.columns % 8 == 0
    small = view.shrink(torch.rand(3, height, width))
    assert small.shape == (1, 3, view.rows, view.columns)
    assert view.grow(small).shape == (3, height, width)
    assert View.read(view.words()) == view


def test_a_mask_brings_the_model_near_to_it() -> None:
    mask = torch.zeros(1, 500, 900)
    mask[:, 100:150, 700:760] = 1
    view = around(mask, (32, 32), 4)
    assert view.part.width == view.part.height
    assert 80 <= view.part.height <= 110
    assert view.part.left <= 700 - 10
    assert view.part.right >= 760 + 10
    corner = torch.zeros(1, 500, 900)
    corner[:, :4, :4] = 1
    assert around(corner, (32, 32), 4).part.top == 0
    assert around(torch.zeros(1, 50, 90), (32, 32), 4).part == Window(0, 0, 90, 50)
