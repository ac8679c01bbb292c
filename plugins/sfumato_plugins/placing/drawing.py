"""Boxes drawn over pictures, finer than pixels. Needs the engine, inside functions only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.place.box import Box
    from sfumato_plugins.placing.rendering import Seen

COLOURS = ((0.95, 0.62, 0.15), (0.25, 0.75, 0.95), (0.55, 0.85, 0.35), (0.9, 0.4, 0.75), (0.95, 0.9, 0.35))


def colour_of(number: int) -> tuple[float, float, float]:
    """An object's colour, by its number in the job."""
    return COLOURS[number % len(COLOURS)]


def outline(box: Box, height: int, width: int, line: float) -> Tensor:
    """How much of each pixel the box's outline covers, (1, height, width), 0..1. `line`: its thickness in pixels."""
    import torch

    from sfumato.place.box import Box
    from sfumato.place.masks import coverage

    x, y = line / 2 / width, line / 2 / height
    outer = coverage(Box(box.left - x, box.top - y, box.right + x, box.bottom + y), height, width)
    if box.width <= 2 * x or box.height <= 2 * y:
        return outer[None]
    inner = coverage(Box(box.left + x, box.top + y, box.right - x, box.bottom - y), height, width)
    return torch.clamp(outer - inner, min=0)[None]


def drawn(
    objects: Sequence[Seen], names: Sequence[str], height: int, width: int, line: float, found: bool = True
) -> tuple[Tensor, Tensor]:
    """The boxes of a frame, the nearest on top: colour times cover (3, height, width), and cover (1, height, width).

    Asked ones in each object's colour, found ones in white and half as thick.
    """
    import torch

    rgb, cover = torch.zeros(3, height, width), torch.zeros(1, height, width)
    strokes = [(one.asked, colour_of(names.index(one.name)), line) for one in reversed(objects)]
    strokes += [(one.found, (1.0, 1.0, 1.0), line / 2) for one in objects if found]
    for box, colour, thick in strokes:
        if box is not None:
            part = outline(box, height, width, thick)
            rgb = rgb * (1 - part) + torch.tensor(colour).view(3, 1, 1) * part
            cover = cover * (1 - part) + part
    return rgb, cover


def enlarged(picture: Tensor, longest: int) -> Tensor:
    """A small picture (C, H, W) with every pixel as a square, near a long side of `longest`; never blurred."""
    times = max(1, longest // max(picture.shape[-2:]))
    return picture.repeat_interleave(times, -2).repeat_interleave(times, -1)


def over(picture: Tensor, objects: Sequence[Seen], names: Sequence[str], longest: int) -> Tensor:
    """A picture, enlarged, with its boxes (3, h, w)."""
    large = enlarged(picture, longest)
    rgb, cover = drawn(objects, names, large.shape[1], large.shape[2], max(2.0, max(large.shape) / 200))
    return rgb + (1 - cover) * large
