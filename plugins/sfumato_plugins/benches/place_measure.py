"""What the placement benches measure in a picture, and how rows of it become means with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.place.box import Box

Row = dict[str, Any]
PLACED = 0.5  # IoU from which an object counts as placed
STEEP = 0.01  # share of pixels whose edges are the picture's sharpness
MARGIN = 2  # pixels around boxes that belong to no background
RESAMPLES = 1000


def measured(picture: Tensor, phrases: Sequence[str], asked: Sequence[Box | None], ground: str) -> Row:
    """Of one picture (3, H, W), 0..1.

    Returns:
        `ious` of every object asked for, 0 where it is missing; how many are `present`, and `bound`: of the shape that
        was said; `placed`: all of them from `PLACED` on; `background` in 8-bit levels, RMS, from the ground's own
        colour outside all boxes; `sharpness`, the mean slope at the steepest edges, 0..1 a pixel.
    """
    from sfumato.place.detect import match, see

    seen = see(picture)
    found = match(seen, phrases)
    pairs = [(box, thing, phrase) for box, thing, phrase in zip(asked, found, phrases) if box is not None]
    ious = [box.iou(thing.box) if thing else 0.0 for box, thing, _ in pairs]
    here = [thing.shape == phrase.split()[-1] for _, thing, phrase in pairs if thing]
    taken = [*(box for box in asked if box), *(thing.box for thing in seen)]
    return {
        "ious": ious,
        "present": len(here),
        "bound": sum(here),
        "placed": all(iou >= PLACED for iou in ious),
        "background": background(picture, taken, ground),
        "sharpness": sharpness(picture),
    }


def background(picture: Tensor, boxes: Sequence[Box], ground: str) -> float | None:
    """RMS error of the ground's colour outside boxes, 8-bit levels; None where nothing is outside."""
    import torch

    from sfumato.models.training.scenes import GROUNDS

    height, width = picture.shape[1:]
    free = torch.ones(height, width, dtype=torch.bool)
    for box in boxes:
        left, right = (round(edge * width) for edge in (box.left, box.right))
        top, bottom = (round(edge * height) for edge in (box.top, box.bottom))
        free[max(top - MARGIN, 0) : bottom + MARGIN, max(left - MARGIN, 0) : right + MARGIN] = False
    if not bool(free.any()):
        return None
    off = picture[:, free] - torch.tensor(GROUNDS[ground])[:, None]
    return 255 * float(off.square().mean().sqrt())


def sharpness(picture: Tensor) -> float:
    """The mean slope of the steepest edges, over all colours, 0..1 a pixel."""
    across, down = picture.diff(dim=2)[:, :-1], picture.diff(dim=1)[:, :, :-1]
    slopes = (across.square() + down.square()).sum(0).sqrt().flatten()
    return float(slopes.topk(max(1, int(STEEP * slopes.numel()))).values.mean())


def summary(rows: Sequence[Row]) -> Row:
    """Means over pictures: mIoU over all objects with a 95 % bootstrap interval over pictures, and the rest."""
    objects = sum(len(row["ious"]) for row in rows)
    low, high = interval([(sum(row["ious"]), len(row["ious"])) for row in rows])
    present = sum(row["present"] for row in rows)
    return {
        "pictures": len(rows),
        "miou": sum(sum(row["ious"]) for row in rows) / max(objects, 1),
        "low": low,
        "high": high,
        "placed": mean(float(row["placed"]) for row in rows),
        "presence": present / max(objects, 1),
        "binding": sum(row["bound"] for row in rows) / max(present, 1),
        "background": mean(row["background"] for row in rows),
        "sharpness": mean(row["sharpness"] for row in rows),
        "calls": mean(row["calls"] for row in rows),
        "seconds": mean(row["seconds"] for row in rows),
    }


def interval(parts: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Where 95 % of the means fall when pictures, each a sum and a count, are drawn again; seeded."""
    import torch

    values = torch.tensor(parts, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    drawn = values[torch.randint(len(values), (RESAMPLES, len(values)), generator=generator)].sum(1)
    means = (drawn[:, 0] / drawn[:, 1].clamp(min=1)).sort().values
    return float(means[int(0.025 * RESAMPLES)]), float(means[int(0.975 * RESAMPLES) - 1])


def mean(values: Iterable[float | None]) -> float | None:
    """Of those that are there."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
