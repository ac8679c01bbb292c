"""Which part of a plate a model sees, and at what size."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from sfumato.diffusion.display import Display
from sfumato.errors import InputError
from sfumato.plate import Plate, Window, fill_holes

CONTEXT = 0.5  # of a mask's side, to each side of it: a model must see what a thing stands in
LEAST = 1.25  # sides of a mask that are shown at least where the picture ends, before proportions are given up


@dataclass(frozen=True)
class View:
    """A rectangle of a plate, shown to a model as rows x columns.

    part: In the plate's coordinates. It may reach over the picture's edge, so that proportions fit.
    """

    part: Window
    rows: int
    columns: int

    def cut(self, plate: Tensor, data: Window, display: Window) -> Tensor:
        """The part of pixels (C, H, W) that cover `data`, (C, part.height, part.width).

        Where the picture has no pixels they are 0; beyond the picture its outermost ones are repeated.
        """
        shown = self.part.common(display.around(data))
        shared = shown.common(data)
        found = plate[(slice(None), *shared.slices(data))]
        if shared != shown:
            found = plate.new_zeros(plate.shape[0], shown.height, shown.width)
            found[(slice(None), *shared.slices(shown))] = plate[(slice(None), *shared.slices(data))]
        part = self.part
        beyond = (shown.left - part.left, part.right - shown.right, shown.top - part.top, part.bottom - shown.bottom)
        return pad(found[None], beyond, mode="replicate")[0] if any(beyond) else found

    def shrink(self, part: Tensor) -> Tensor:
        """What `cut` gave as the model sees it, (C, rows, columns): averaged down, or carried up in straight lines."""
        size = (self.rows, self.columns)
        if self._enlarges:
            return interpolate(part[None], size, mode="bilinear", align_corners=False)[0]
        return interpolate(part[None], size, mode="area")[0]

    def grow(self, seen: Tensor, top: int, bottom: int) -> Tensor:
        """What the model sees (C, rows, columns) at the part's size, its rows from `top` to `bottom` alone.

        Carried up in straight lines, which never ring; averaged down where the model's pixels are the finer ones.
        """
        if self._enlarges:
            size = (self.part.height, self.part.width)
            return interpolate(seen[None], size, mode="area")[0, :, top:bottom]
        low, high, share = _between(torch.arange(top, bottom, device=seen.device), self.part.height, self.rows)
        rows = seen[:, low] * (1 - share)[:, None] + seen[:, high] * share[:, None]
        low, high, share = _between(torch.arange(self.part.width, device=seen.device), self.part.width, self.columns)
        return rows[:, :, low] * (1 - share) + rows[:, :, high] * share

    @property
    def _enlarges(self) -> bool:
        return self.rows * self.columns > self.part.width * self.part.height

    def words(self) -> str:
        """For records: what must be the same for an inversion to fit."""
        return f"{self.part}, seen as {self.columns} x {self.rows}"

    @staticmethod
    def read(words: str) -> View:
        """The view that `words` wrote down."""
        width, height, left, top, columns, rows = (int(n) for n in re.findall(r"-?\d+", words))
        return View(Window(left, top, width, height), rows, columns)


def choose_view(plate: Plate, size: tuple[int, int], multiple: int, mask: Tensor | None = None) -> View:
    """The whole display picture, or the masked part with what is around it.

    A masked part is taken in the model's own proportions, as far as the picture allows, and never finer than it is.
    The sides a model sees are the multiples that show most of the picture's detail within its native area. What is
    shown has the picture's proportions, pixel aspect undone, to within one pixel.

    Args:
        plate: Its windows count.
        size: The model's native picture (H, W), pixels.
        multiple: Of the sides of its pictures.
        mask: (1, H, W) over the data window; where it is above 0. Nowhere means the whole picture.
    """
    picture = plate.display if _area(plate.display) else plate.data
    wanted = _masked(plate, picture, size, mask) if mask is not None else picture
    aspect = plate.pixel_aspect
    rows, columns = _sides(wanted.height, wanted.width * aspect, size[0] * size[1], multiple)
    scale = min(rows / wanted.height, columns / (wanted.width * aspect))
    height, width = max(wanted.height, round(rows / scale)), max(wanted.width, round(columns / scale / aspect))
    top = _inside(wanted.top + wanted.height / 2, height, picture.top, picture.bottom)
    left = _inside(wanted.left + wanted.width / 2, width, picture.left, picture.right)
    return View(Window(left, top, width, height), rows, columns)


def seen(plate: Plate, view: View, display: Display) -> Tensor:
    """The picture a model is shown, (3, rows, columns) display-referred 0..1.

    Holes are filled from around them. Light above white is cut before it is averaged, so that a lamp of 50 does not
    light up what is around it.

    Raises:
        InputError: nothing finite to look at.
    """
    part = view.cut(plate.rgb(), plate.data, plate.display)
    holes = ~part.isfinite().all(0, keepdim=True)
    if bool(holes.any()) and (bool(holes.all()) or bool(plate.holes().all())):
        raise InputError("the plate has no finite pixel where it is to be edited", "render it again")
    return display.encode(view.shrink(display.light(fill_holes(part, holes))))


def bounds(mask: Tensor, data: Window) -> Window:
    """The smallest window that holds all of a mask (1, H, W) above 0; empty where there is nothing."""
    rows, columns = (torch.nonzero((mask[0] > 0).any(axis))[:, 0].tolist() for axis in (1, 0))
    if not rows:
        return Window(data.left, data.top, 0, 0)
    left, top = data.left + columns[0], data.top + rows[0]
    return Window(left, top, columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)


def _masked(plate: Plate, picture: Window, size: tuple[int, int], mask: Tensor) -> Window:
    """The mask with its surroundings, inside the picture; less of them rather than other proportions."""
    found = bounds(mask, plate.data).common(picture)
    if not _area(found):
        return picture
    aspect, (rows, columns) = plate.pixel_aspect, size
    around = 1 + 2 * CONTEXT
    scale = max(around * found.height / rows, around * found.width * aspect / columns, 1.0)
    scale = min(scale, max(picture.height / rows, LEAST * found.width * aspect / columns))
    scale = min(scale, max(picture.width * aspect / columns, LEAST * found.height / rows))
    height = min(max(math.ceil(scale * rows), found.height), picture.height)
    width = min(max(math.ceil(scale * columns / aspect), found.width), picture.width)
    top = _inside(found.top + found.height / 2, height, picture.top, picture.bottom)
    left = _inside(found.left + found.width / 2, width, picture.left, picture.right)
    return Window(left, top, width, height)


def _sides(tall: float, wide: float, area: int, multiple: int) -> tuple[int, int]:
    """Rows and columns, multiples within an area, that show most detail of a picture of these proportions."""
    best, most = (multiple, multiple), 0.0
    for rows in range(multiple, max(area // multiple, multiple) + 1, multiple):
        ideal = rows * wide / tall / multiple
        for columns in {math.floor(ideal) * multiple, math.ceil(ideal) * multiple} - {0}:
            detail = min(rows / tall, columns / wide)
            if rows * columns <= max(area, multiple**2) and detail > most * (1 + 1e-9):
                best, most = (rows, columns), detail
    return best


def _inside(centre: float, length: int, low: int, high: int) -> int:
    """Where an interval of this length begins: around a centre, pushed inside low..high, or over both ends alike."""
    if length >= high - low:
        return low - (length - (high - low)) // 2
    return min(max(round(centre - length / 2), low), high - length)


def _between(at: Tensor, length: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """For pixels of `length`, which two of `count` each lies between, and how much of the second; pixel centres."""
    place = ((at + 0.5) * count / length - 0.5).clamp(0, count - 1)
    low = place.floor().long()
    return low, (low + 1).clamp(max=count - 1), place - low


def _area(window: Window) -> int:
    return window.width * window.height
