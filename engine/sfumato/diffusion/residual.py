"""Onto the plate: what an edit changed, and nothing else."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from sfumato.diffusion.display import CEILING, to_light
from sfumato.diffusion.grain import measure_grain
from sfumato.diffusion.window import View
from sfumato.plate import fill_holes

AGREE, DIFFER = 0.04, 0.16  # display-referred: below, recon and edit show the same; above, something else


@dataclass(frozen=True)
class Laid:
    """What comes of it.

    pixels: (3, H, W) the edited plate: plate + delta, and where delta is 0 the plate's own bits.
    delta: (3, H, W). mask: (1, H, W) 0..1, what was let through.
    """

    pixels: Tensor
    delta: Tensor
    mask: Tensor


def changed(recon: Tensor, edit: Tensor) -> Tensor:
    """How surely two pictures (1, 3, h, w) differ, (1, 1, h, w): 0 at AGREE, exactly, and 1 from DIFFER on."""
    apart = (edit - recon).abs().amax(1, keepdim=True)
    smooth = avg_pool2d(apart, 3, 1, 1, count_include_pad=False)
    share = ((smooth - AGREE) / (DIFFER - AGREE)).clamp(0, 1)
    return share * share * (3 - 2 * share)


def automatic_mask(recon: Tensor, edit: Tensor) -> Tensor:
    """A soft mask (1, 1, h, w) around all that an edit changed, exactly 0 elsewhere."""
    return avg_pool2d(max_pool2d(changed(recon, edit), 3, 1, 1), 3, 1, 1, count_include_pad=False)


def lay(
    plate: Tensor,
    recon: Tensor,
    edit: Tensor,
    view: View,
    mask: Tensor | None,
    *,
    keep_detail: float,
    automatic: bool,
    generator: torch.Generator,
) -> Laid:
    """out = plate + mask (light(edit) - light(recon)), with the old object's detail taken along.

    What the model cannot carry - detail finer than its pixels, grain, light above white - is in plate - light(recon).
    Where recon and edit agree it stays. Where they differ it belongs to what is no longer there: a part
    1 - keep_detail of it goes, and as much of the plate's own grain comes in its place.

    Args:
        plate: (3, H, W) float32 scene-linear; NaN and infinity are holes.
        recon, edit: (1, 3, h, w) display-referred, what the codec gave back without and with the edit.
        view: Where they lie.
        mask: (1, H, W) 0..1, or None.
        keep_detail: 0..1.
        automatic: Without a mask, keep to what changed.
        generator: Of the grain.

    Returns:
        Where mask or change is 0 the plate's own bits. NaN and infinity of the plate stay.
    """
    rows, columns = slice(view.part.top, view.part.bottom), slice(view.part.left, view.part.right)
    part, holes = plate[:, rows, columns], ~plate[:, rows, columns].isfinite().all(0, keepdim=True)
    let = _mask(plate, recon, edit, view, mask, automatic)
    delta = torch.zeros_like(plate)
    if not torch.equal(recon, edit) and bool((let > 0).any()):
        difference = view.grow(to_light(edit) - to_light(recon))
        gone = (1 - keep_detail) * _gone(part, changed(recon, edit), view)
        if bool((gone > 0).any()):
            carried = view.grow(to_light(recon))
            filled = fill_holes(part, holes)
            grain = measure_grain(part, (gone == 0) & ~holes)
            difference = difference - gone * (filled - carried)
            # Two independent grains add in power: what is kept of the old leaves room for so much of the new.
            room = (1 - (1 - gone).square()).clamp_min(0).sqrt()
            difference = difference + room * grain.made(filled + difference, generator)
        delta[:, rows, columns] = (let[:, rows, columns] * difference).masked_fill(holes, 0.0)
    pixels = torch.where(delta == 0, plate, plate + delta)
    return Laid(pixels, delta, let)


def _gone(part: Tensor, change: Tensor, view: View) -> Tensor:
    """(1, height, width) 0..1, where the plate's detail is of something that is there no longer.

    A highlight is so much brighter than white that a few hundredths of it, left at its rim, would still be a ring: it
    goes with the next two of the model's pixels.
    """
    wide = max_pool2d(change, 5, 1, 2)
    bright = part.nan_to_num(0.0).amax(0, keepdim=True) > CEILING
    return torch.where(bright, view.grow(wide, smooth=False), view.grow(change, smooth=False))


def _mask(plate: Tensor, recon: Tensor, edit: Tensor, view: View, mask: Tensor | None, automatic: bool) -> Tensor:
    if mask is not None:
        return mask.clamp(0, 1)
    rows, columns = slice(view.part.top, view.part.bottom), slice(view.part.left, view.part.right)
    let = torch.zeros_like(plate[:1])
    let[:, rows, columns] = view.grow(automatic_mask(recon, edit), smooth=False) if automatic else 1.0
    return let
