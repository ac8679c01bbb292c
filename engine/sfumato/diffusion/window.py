"""Which part of a plate a model sees, and at what size."""

import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sfumato.plate import Window

CONTEXT = 1.6  # a masked object is shown with so much around it: a model must see what it stands in


@dataclass(frozen=True)
class View:
    """A rectangle of a plate's pixels, shown to a model as rows x columns.

    part: In the plate's pixel array, (0, 0) its first pixel.
    """

    part: Window
    rows: int
    columns: int

    def shrink(self, pixels: Tensor) -> Tensor:
        """Plate pixels (C, H, W) as the model sees them, (1, C, rows, columns): averaged down, or carried up."""
        return self.shrink_part(pixels[:, self.part.top : self.part.bottom, self.part.left : self.part.right])

    def shrink_part(self, part: Tensor) -> Tensor:
        """`shrink` for pixels that are the part already."""
        cut = part[None]
        size = (self.rows, self.columns)
        down = self.rows <= cut.shape[2] and self.columns <= cut.shape[3]
        return interpolate(cut, size, mode="area") if down else interpolate(cut, size, mode="bilinear", antialias=True)

    def grow(self, seen: Tensor, smooth: bool = True) -> Tensor:
        """What the model sees (1, C, rows, columns) at the size of the part, (C, height, width).

        smooth: Cubic; for masks, which must not ring, linear.
        """
        size = (self.part.height, self.part.width)
        if (self.rows, self.columns) == size:
            return seen[0]
        found: Tensor = interpolate(seen, size, mode="bicubic" if smooth else "bilinear", align_corners=False)[0]
        return found

    def words(self) -> str:
        """For records: what must be the same for an inversion to fit."""
        part = self.part
        return f"{part.left} {part.top} {part.width} {part.height} as {self.columns} x {self.rows}"

    @staticmethod
    def read(words: str) -> "View":
        """The view that `words` wrote down."""
        left, top, width, height, columns, rows = (int(n) for n in re.findall(r"-?\d+", words))
        return View(Window(left, top, width, height), rows, columns)


def whole(height: int, width: int, size: tuple[int, int], multiple: int) -> View:
    """The whole plate, at the model's native area and the plate's own proportions."""
    return _view(Window(0, 0, width, height), size, multiple)


def around(mask: Tensor, size: tuple[int, int], multiple: int) -> View:
    """The masked part of a plate with what is around it, in the model's own proportions where the plate allows.

    Args:
        mask: (1, H, W); where it is above 0.
        size: The model's native picture (H, W), pixels.
        multiple: Of sides of its pictures.
    """
    _, height, width = mask.shape
    rows, columns = (torch.nonzero(mask[0].amax(axis) > 0)[:, 0] for axis in (1, 0))
    if not len(rows):
        return whole(height, width, size, multiple)
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    tall, wide = CONTEXT * (bottom - top), CONTEXT * (right - left)
    shape = size[1] / size[0]
    tall, wide = max(tall, wide / shape, multiple), max(wide, tall * shape, multiple)
    first_row, rows_cut = _inside((top + bottom) / 2, tall, height)
    first_column, columns_cut = _inside((left + right) / 2, wide, width)
    return _view(Window(first_column, first_row, columns_cut, rows_cut), size, multiple)


def _inside(centre: float, length: float, limit: int) -> tuple[int, int]:
    """Start and length of an interval of whole pixels, pushed inside 0..limit."""
    count = min(math.ceil(length), limit)
    return min(max(round(centre - count / 2), 0), limit - count), count


def _view(part: Window, size: tuple[int, int], multiple: int) -> View:
    area, shape = size[0] * size[1], part.width / part.height
    rows = max(1, round(math.sqrt(area / shape) / multiple)) * multiple
    columns = max(1, round(math.sqrt(area * shape) / multiple)) * multiple
    return View(part, rows, columns)
