"""What an edit does to a plate's pixels: changes what was asked for, takes its traces along, keeps every other bit."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from sfumato.diffusion.display import Display, display_of
from sfumato.diffusion.grain import made_grain, measured, patches_of
from sfumato.diffusion.residual import AGREE, DIFFER, Laid, Pictures, lay
from sfumato.diffusion.window import View, choose_view
from sfumato.plate import Plate, Window, fill_holes


def disc(size: int, x: float, y: float, radius: float) -> Tensor:
    """(1, size, size) 0..1."""
    down, across = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    return (radius + 0.5 - ((across - x) ** 2 + (down - y) ** 2).sqrt()).clamp(0, 1)[None]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plate_of(pixels: Tensor, **more: object) -> Plate:
    window = Window(0, 0, pixels.shape[2], pixels.shape[1])
    return Plate(pixels, ("R", "G", "B"), None, window, window, **more)  # type: ignore[arg-type]


def seen(plate: Plate, pixels: Tensor, view: View, display: Display) -> Tensor:
    """What a model sees of these pixels where the plate's are."""
    part = view.cut(pixels, plate.data, plate.display)
    return display.encode(view.shrink(display.light(fill_holes(part, ~part.isfinite().all(0, keepdim=True)))))


def edited(plate: Plate, wanted: Tensor, mask: Tensor | None = None, side: int = 32, **more: float) -> Laid:
    """The plate edited by a model that sees `side` pixels and paints exactly what it sees of `wanted`."""
    view, display = choose_view(plate, (side, side), 4), display_of(plate)
    recon, edit = (seen(plate, pixels, view, display) for pixels in (plate.pixels, wanted))
    return lay(plate, Pictures(view, display, recon, edit), mask, **more)  # type: ignore[arg-type]


def same_bits(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.contiguous().view(torch.int32), b.contiguous().view(torch.int32))


def wild() -> Plate:
    """HDR, negative values, -0.0, NaN and infinity."""
    pixels = 0.3 * noise(3, 60, 80) + 0.4
    pixels[:, 5:9, 5:9], pixels[0, 20, 20], pixels[1, 30, 30] = 73.0, float("nan"), float("-inf")
    pixels[:, 40, 40], pixels[:, 41, 41] = -0.0, 5e-42
    return plate_of(pixels)


def test_where_nothing_changes_every_bit_is_the_plates() -> None:
    plate = wild()
    for found in (
        edited(plate, plate.pixels),
        edited(plate, 1 - plate.pixels, torch.zeros(1, 60, 80)),
        edited(plate, plate.pixels, torch.ones(1, 60, 80), keep_detail=0.5),
    ):
        assert same_bits(found.pixels, plate.pixels)
        assert not found.delta.any()


@pytest.mark.parametrize("space", [None, "ACEScg"])
@pytest.mark.parametrize("keep_detail", [0.0, 0.6, 1.0])
def test_outside_the_mask_and_in_holes_every_bit_is_the_plates(keep_detail: float, space: str | None) -> None:
    plate, mask = wild().replace(space=space), torch.zeros(1, 60, 80)
    mask[:, 15:50, 15:60] = torch.linspace(0, 1, 45)
    found = edited(plate, 1 - plate.pixels, mask, keep_detail=keep_detail)
    holes = plate.holes()
    kept = ((mask == 0) | holes).expand(3, -1, -1)
    assert same_bits(found.pixels[kept], plate.pixels[kept])
    assert float((found.pixels != plate.pixels)[~kept].float().mean()) > 0.95
    assert bool(found.pixels[~holes.expand(3, -1, -1)].isfinite().all())
    assert int(holes.sum()) == 2


@pytest.mark.parametrize("light", [1.0, 60.0, 60000.0])
def test_plate_and_delta_sum_to_the_edit_in_float32(light: float) -> None:
    plate = plate_of((noise(3, 64, 64).abs() * light).half().float())
    found = edited(plate, torch.full((3, 64, 64), 0.2), torch.ones(1, 64, 64))
    assert bool((found.delta != 0).any())
    assert torch.equal(plate.pixels + found.delta, found.pixels)


def test_a_mask_may_hold_anything() -> None:
    plate, mask = plate_of(noise(3, 32, 32)), torch.tensor([float("nan"), -3.0, 0.0, 7.0]).repeat(1, 32, 8)
    found = edited(plate, 1 - plate.pixels, mask)
    assert found.mask[0, 0, :4].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert bool(found.delta.isfinite().all())


def test_without_a_mask_only_what_changed_is_touched() -> None:
    plate = plate_of(0.01 * noise(3, 128, 128) + 0.3)
    little = 0.3 + 0.005 * torch.ones(3, 128, 128)
    found = edited(plate, little + 0.5 * disc(128, 64, 64, 20))
    far = (disc(128, 64, 64, 45) == 0).expand(3, -1, -1)
    assert same_bits(found.pixels[far], plate.pixels[far])
    assert bool((found.delta != 0)[:, 50:78, 50:78].all())
    everywhere = edited(plate, little + 0.5 * disc(128, 64, 64, 20), auto_mask=0.0)
    assert bool((everywhere.delta[far] != 0).all())


def test_an_hdr_lamp_goes_without_a_ghost() -> None:
    """A lamp of 50 with a soft rim, on a wall with grain: gone, to the rim, and the wall's grain where it was."""
    wall, lamp = 0.2 + 0.004 * noise(3, 192, 192), disc(192, 96, 96, 20)
    soft = avg_pool2d(lamp, 9, 1, 4)
    plate = plate_of(wall * (1 - soft) + 50.0 * soft)
    clean = torch.full_like(wall, 0.2)
    for mask in (None, (disc(192, 96, 96, 60) > 0).float()):
        found = edited(plate, clean, mask)
        apart = (found.pixels - clean).abs()
        assert float(apart.max()) < 6 * 0.004  # no pixel of it, nowhere
        assert float(avg_pool2d((found.pixels - clean)[None], 8).abs().max()) < 0.004  # nor its glow
    plain = edited(plate, clean, keep_detail=1.0)
    assert float(plain.pixels[:, 96, 96].min()) > 40.0  # what would be there if the residual stayed


def test_an_old_texture_does_not_show_through_the_new_thing() -> None:
    """Stripes too fine for the model, on a thing that becomes a plain one."""
    size, thing = 128, disc(128, 64, 64, 30)
    stripes = 0.25 + 0.2 * (torch.arange(size) % 2)[None, None, :].expand(3, size, size)
    plate = plate_of(0.1 * (1 - thing) + stripes * thing)
    blue = 0.1 * (1 - thing) + torch.tensor([0.02, 0.05, 0.6]).view(3, 1, 1) * thing

    def ghost(picture: Tensor) -> float:
        """How alike the stripes a picture (3, H, W) is, 1 as in the plate."""
        inside = (slice(None), slice(50, 78), slice(50, 78))
        pattern = plate.pixels[inside] - plate.pixels[inside].mean((1, 2), keepdim=True)
        return float((picture[inside] * pattern).sum() / (pattern * pattern).sum())

    assert abs(ghost(edited(plate, blue).pixels)) < 0.02
    assert abs(ghost(edited(plate, blue).delta) + 1) < 0.02  # the difference takes the stripes away
    assert ghost(edited(plate, blue, keep_detail=1.0).pixels) == pytest.approx(1.0, abs=0.02)
    assert ghost(edited(plate, blue, keep_detail=0.5).pixels) == pytest.approx(0.5, abs=0.02)


def test_detail_stays_where_recon_and_edit_agree() -> None:
    """Inside the mask, but away from what changed, the fine texture is the plate's own."""
    texture = 0.3 + 0.1 * (torch.arange(160) % 2)[None, None, :].expand(3, 160, 160)
    plate = plate_of(texture)
    found = edited(plate, texture * (1 - disc(160, 40, 80, 20)), torch.ones(1, 160, 160))
    assert same_bits(found.pixels[:, :, 90:], plate.pixels[:, :, 90:])


@pytest.mark.parametrize("kernel", [[[1.0]], [[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]])
@pytest.mark.parametrize("masked", [False, True])
def test_new_grain_is_as_strong_and_as_coarse_as_the_plates(kernel: list[list[float]], masked: bool) -> None:
    taps = torch.tensor(kernel)
    grain = conv2d(noise(3, 256, 256)[:, None], taps[None, None] / taps.square().sum().sqrt(), padding="same")[:, 0]
    plate = plate_of(0.3 + 0.02 * grain)
    mask = disc(256, 128, 128, 70) if masked else None
    found = edited(plate, 0.3 - 0.15 * disc(256, 128, 128, 64).expand(3, -1, -1), mask)
    inside = (slice(None), slice(90, 166), slice(90, 166))
    for step in (1, 2):  # differences of pixels so far apart: strength and coarseness

        def rough(picture: Tensor, step: int = step) -> float:
            return float((picture[inside][:, :, step:] - picture[inside][:, :, :-step]).std())

        assert rough(found.pixels) == pytest.approx(rough(plate.pixels), rel=0.2)
    old = (plate.pixels - 0.3)[inside]
    new = found.pixels[inside] - found.pixels[inside].mean((1, 2), keepdim=True)
    assert abs(float((old * new).mean() / old.std() / new.std())) < 0.1  # and it is not the old one


def test_grain_is_another_in_every_frame_and_the_same_again() -> None:
    plate = plate_of(0.3 + 0.02 * noise(3, 128, 128))
    wanted = torch.full_like(plate.pixels, 0.1)
    frames = [edited(plate.replace(frame=frame), wanted).pixels for frame in (1001, 1002, 1001)]
    assert torch.equal(frames[0], frames[2])
    assert not torch.equal(frames[0], frames[1])
    assert not torch.equal(frames[0], edited(plate.replace(frame=1001), wanted, seed=1).pixels)


def test_a_pixels_grain_does_not_depend_on_what_else_is_edited() -> None:
    grain = measured(*patches_of(noise(3, 64, 64), torch.full((64, 64), 0.2), 100))
    assert grain is not None
    whole = made_grain(grain, range(50), range(70), 70, 3, 1)
    torch.testing.assert_close(made_grain(grain, range(20, 30), range(35, 60), 70, 3, 1), whole[:, 20:30, 35:60])


def test_grain_is_measured_beside_edges_and_texture_and_by_brightness() -> None:
    light = torch.linspace(0.05, 1, 400).expand(300, 400)
    strength = 0.01 + 0.04 * light
    texture = 0.3 * (disc(400, 200, 150, 80)[0, :300] > 0) * (noise(300, 400, seed=2) > 1)
    field = noise(3, 300, 400)
    field[1] = 0.6 * field[0] + 0.8 * field[1]
    found = measured(*patches_of(field * strength + texture, light, 4096))
    assert found is not None
    torch.testing.assert_close(found.strength, (0.01 + 0.04 * found.light)[:, None].expand(-1, 3), rtol=0.15, atol=0)
    made = made_grain(found, range(100), range(200), 200, 0, 0)
    assert float((made[0] * made[1]).mean()) == pytest.approx(0.6, abs=0.1)
    assert pytest.approx(found.strength[[0, -1]], rel=1e-5) == found.strength_at(torch.tensor([[-1.0, 9.0]]))[:, 0].T


def test_a_rendered_plate_without_grain_gets_none() -> None:
    smooth = torch.linspace(0, 1, 160).view(1, 1, -1).expand(3, 160, 160).contiguous()
    found = edited(plate_of(smooth), 1 - smooth, torch.ones(1, 160, 160))
    assert float((found.pixels - (1 - smooth)).abs()[:, :, 20:140].max()) < 0.01


def test_agreeing_pictures_have_not_changed_at_all() -> None:
    view, recon = View(Window(0, 0, 32, 32), 32, 32), torch.rand(3, 32, 32)
    near, far = (Pictures(view, Display(), recon, recon + apart) for apart in (0.99 * AGREE, 1.01 * DIFFER))
    assert not near.differ().any()
    assert float(far.differ().min()) == 1.0


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (17, 300), (33, 31), (200, 5)])
def test_plates_of_any_size_are_edited_and_put_back(height: int, width: int) -> None:
    plate = plate_of(noise(3, height, width).abs())
    found = edited(plate, 0.5 * plate.pixels, torch.ones(1, height, width))
    assert found.pixels.shape == (3, height, width)
    assert torch.equal(plate.pixels + found.delta, found.pixels)
    assert same_bits(edited(plate, plate.pixels).pixels, plate.pixels)


def test_only_what_the_model_looked_at_can_change() -> None:
    """Pixels outside the display window, as an overscan has them, are nobody's to edit."""
    plate = Plate(noise(3, 60, 60).abs(), ("R", "G", "B"), None, Window(-10, -10, 60, 60), Window(0, 0, 40, 40))
    found = edited(plate, 1 - plate.pixels, torch.ones(1, 60, 60))
    changed = (found.delta != 0).any(0)
    assert bool(changed[10:50, 10:50].all())
    assert int(changed.sum()) == 40 * 40
    assert torch.equal(found.mask[0] > 0, changed)
