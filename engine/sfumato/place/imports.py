"""Placements that were written for other programs."""

from collections.abc import Sequence

from sfumato.errors import RequestError
from sfumato.place.box import Box


def directed_diffusion_boxes(numbers: Sequence[float]) -> list[Box]:
    """Boxes from Directed Diffusion's command line: left, right, top, bottom for each region, one after another.

    Raises:
        RequestError: not four numbers a box, or an empty box.
    """
    if not numbers or len(numbers) % 4:
        raise RequestError(f"{len(numbers)} numbers make no boxes", "give left, right, top, bottom for each region")
    rows = (numbers[i : i + 4] for i in range(0, len(numbers), 4))
    return [Box(left, top, right, bottom) for left, right, top, bottom in rows]


def flux_boxes(rows: Sequence[Sequence[float]]) -> list[Box]:
    """Boxes from FLUX rows: top, left, bottom, right (y_min, x_min, y_max, x_max), 0..1.

    Raises:
        RequestError: a row that has not four numbers, or an empty box.
    """
    for row in rows:
        if len(row) != 4:
            raise RequestError(f"the row {list(row)} is no box", "give y_min, x_min, y_max, x_max")
    return [Box(left, top, right, bottom) for top, left, bottom, right in rows]


def pixel_boxes(rows: Sequence[Sequence[float]], width: int, height: int) -> list[Box]:
    """Boxes from BoxDiff's rows: left, top, right, bottom in pixels of a picture of this size."""
    return [Box(l / width, t / height, r / width, b / height) for l, t, r, b in rows]  # noqa: E741
