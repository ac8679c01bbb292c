"""Onto the plate: what an edit changed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from sfumato.diffusion.display import Display
from sfumato.diffusion.grain import Grain, made_grain, measured, patches_of
from sfumato.diffusion.window import View
from sfumato.plate import Plate

AGREE, DIFFER = 0.04, 0.16  # display-referred: below, recon and edit show the same; above, something else
BAND = 128  # rows of the plate worked on at a time
PATCHES = 8192  # on which grain is measured


@dataclass(frozen=True)
class Laid:
    """What comes of it.

    pixels: (3, H, W) the edited plate: plate + delta, and where delta is 0 the plate's own bits.
    delta: (3, H, W). mask: (1, H, W) 0..1, what was let through.
    grain: What was measured of the plate's; None where nothing was to be made.
    """

    pixels: Tensor
    delta: Tensor
    mask: Tensor
    grain: Grain | None


@dataclass(frozen=True)
class Pictures:
    """What the model saw and made of a plate: how it is shown, where, and the codec's answers.

    recon, edit: (3, h, w) display-referred, without and with the edit.
    """

    view: View
    display: Display
    recon: Tensor
    edit: Tensor

    def differ(self, least: float = AGREE, most: float = DIFFER) -> Tensor:
        """How surely they show different things, (1, h, w): exactly 0 up to a difference of `least`, 1 from `most`."""
        apart = (self.edit - self.recon).abs().amax(0, keepdim=True)
        share = ((apart - least) / (most - least)).clamp(0, 1)
        return share * share * (3 - 2 * share)


def automatic_mask(pictures: Pictures, most: float) -> Tensor:
    """A soft mask (1, h, w) around all that an edit changed, exactly 0 elsewhere."""
    found: Tensor = max_pool2d(pictures.differ(most / 2, most)[None], 5, 1, 2)[0]
    return found


def lay(
    plate: Plate,
    pictures: Pictures,
    mask: Tensor | None = None,
    *,
    keep_detail: float = 0.0,
    auto_mask: float = DIFFER,
    seed: int = 0,
) -> Laid:
    """out = plate + mask (light(edit) - light(recon)), with the old object's detail taken along.

    What the model cannot carry (detail finer than its pixels, grain, light above white) is in plate - light(recon).
    Where recon and edit agree it stays. Where they differ it belongs to what is no longer there: all of it goes but a
    part `keep_detail`, and as much of the plate's own grain comes in its place.

    Args:
        plate: R, G, B in scene-linear light; NaN and infinity are holes.
        pictures: What the model made of it.
        mask: (1, H, W) over the plate's data window, where the edit may act, 0..1; what is beyond is clipped, NaN is 0.
        keep_detail: 0..1.
        auto_mask: Without a mask, how far apart (display-referred) recon and edit must be for the edit to act; 0 lets
            it act wherever the model looked.
        seed: Of the grain, which is another in every frame.

    Returns:
        Where mask or change is 0, and in holes, the plate's own bits. plate + delta is pixels, to the bit.
    """
    pixels = plate.rgb().contiguous()  # its own memory: rgb() copies, or expands one channel
    delta, let, grain = torch.zeros_like(pixels), _let(plate, pictures, mask, auto_mask), None
    if torch.equal(pictures.recon, pictures.edit) or not bool((let > 0).any()):
        return Laid(pixels, delta, let, None)
    light = pictures.display.decode(pictures.recon)
    change = pictures.display.decode(pictures.edit) - light
    gone = (1 - keep_detail) * max_pool2d(pictures.differ()[None], 3, 1, 1)[0]
    if bool((gone > 0).any()):
        grain = _measured(pixels, plate, pictures, light)
    for band in _bands(plate, pictures):
        mine, through = pixels[band.where], let[band.where]
        if not bool((through > 0).any()):
            continue
        holes = ~mine.isfinite().all(0, keepdim=True)
        finite = mine.masked_fill(holes, 0.0)
        new = through * band.grown(change)
        old = through * band.grown(gone, False)
        if bool((old > 0).any()):
            new = new - old * (finite - band.grown(light))
            if grain is not None:
                # Grains that are independent add in power: what stays of the old one leaves room for so much.
                room = (1 - (1 - old).square()).clamp_min(0).sqrt()
                strength = room * grain.strength_at((finite + new).mean(0))
                new = new + strength * made_grain(grain, *band.place, plate.width, seed, plate.frame or 0)
        delta[band.where] = new.masked_fill_(holes, 0.0)
        pixels[band.where] = torch.where(new == 0, mine, mine + new)
    return Laid(pixels, delta, let, grain)


@dataclass(frozen=True)
class _Band:
    """Some rows of what the model looked at and the plate has: in the plate's array, and in the view's part."""

    pictures: Pictures
    where: tuple[slice, slice, slice]
    top: int
    bottom: int
    columns: slice

    @property
    def place(self) -> tuple[range, range]:
        """Rows and columns of the plate's array."""
        return range(self.where[1].start, self.where[1].stop), range(self.where[2].start, self.where[2].stop)

    def grown(self, seen: Tensor, light: bool = True) -> Tensor:
        """What the model sees, at the plate's size here, and if it is light, in the plate's own units."""
        found = self.pictures.view.grow(seen, self.top, self.bottom)[:, :, self.columns]
        return self.pictures.display.back(found) if light else found


def _bands(plate: Plate, pictures: Pictures) -> Iterator[_Band]:
    part = pictures.view.part
    area = part.common(plate.data)
    columns = slice(area.left - part.left, area.right - part.left)
    across = area.slices(plate.data)[1]
    for top in range(area.top, area.bottom, BAND):
        bottom = min(top + BAND, area.bottom)
        rows = slice(top - plate.data.top, bottom - plate.data.top)
        yield _Band(pictures, (slice(None), rows, across), top - part.top, bottom - part.top, columns)


def _let(plate: Plate, pictures: Pictures, mask: Tensor | None, auto_mask: float) -> Tensor:
    """The mask, (1, H, W) 0..1, where the model looked; 0 elsewhere."""
    let = plate.pixels.new_zeros(1, plate.height, plate.width)
    soft = automatic_mask(pictures, auto_mask) if mask is None and auto_mask > 0 else None
    for band in _bands(plate, pictures):
        if mask is not None:
            let[band.where] = mask[band.where].to(let).nan_to_num(0.0).clamp(0, 1)
        else:
            let[band.where] = 1.0 if soft is None else band.grown(soft, False)
    return let


def _measured(pixels: Tensor, plate: Plate, pictures: Pictures, light: Tensor) -> Grain | None:
    """The grain of what the model does not carry: where its pixels are the plate's own, that is none."""
    bands = list(_bands(plate, pictures))
    found = [
        patches_of(pixels[b.where] - b.grown(light), pixels[b.where].mean(0), max(PATCHES // len(bands), 1))
        for b in bands
    ]
    return measured(torch.cat([patches for patches, _ in found]), torch.cat([level for _, level in found]))
