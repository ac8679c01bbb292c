"""Boxes on the places of a latent, by the part of each place that a box covers."""

import itertools
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.place.box import Box

FAINT = 0.02  # of one place: a box that covers no place by more than this is not there


@lru_cache(maxsize=4096)
def coverage(box: Box, height: int, width: int) -> Tensor:
    """How much of each place of a height x width grid the box covers: (height, width) float32, 0..1; kept, not to be
    written to.

    Nothing is rounded away: the sum is the box's area within the window, in places, on every grid.
    """
    rows, columns = (
        _covered(low, high, count) for low, high, count in ((box.top, box.bottom, height), (box.left, box.right, width))
    )
    return (rows[:, None] * columns).float()


@lru_cache(maxsize=4096)
def bump(box: Box, height: int, width: int, sigma: float = 0.5) -> Tensor:
    """A Gaussian over a box, 1 at its centre: exp(-(dx^2 / 2 (s w)^2 + dy^2 / 2 (s h)^2)), where s is `sigma`.

    dx, dy go from the box's centre to a place's, w and h are the box's sides. (height, width) float32; kept.
    Equation (1) of TrailBlazer's g, with one half; not cut off at the box, which `coverage` does.
    """
    (x, y), down, across = box.centre, _centres(height), _centres(width)
    rows = torch.exp(-((down - y) ** 2) / (2 * (sigma * box.height) ** 2))
    columns = torch.exp(-((across - x) ** 2) / (2 * (sigma * box.width) ** 2))
    return (rows[:, None] * columns).float()


def latent_boxes(boxes: Sequence[Box | None], frames: int, alone: bool = True) -> list[list[Box]]:
    """Which frames' boxes each frame of a time-compressed latent stands for.

    Args:
        boxes: Of every frame of the clip, None where the object is not to be seen.
        frames: Of the latent: as many as the clip's, or fewer.
        alone: The first frame has a latent of its own (Wan, CogVideoX, LTX); else all share evenly.

    Returns:
        `frames` lists, in order; `over_time` makes one mask of each.

    Raises:
        RequestError: the clip's length does not go with the latent's.
    """
    count = len(boxes)
    if frames == count:
        return [[box] if box else [] for box in boxes]
    first, rest = (1, frames - 1) if alone else (0, frames)
    if rest <= 0 or (count - first) % rest or count < frames:
        raise RequestError(
            f"{count} frames do not go into {frames} frames of latent",
            "give the model a clip of a length it knows: 4 n + 1 for Wan and CogVideoX, 8 n + 1 for LTX",
        )
    each = (count - first) // rest
    cuts = [0] * first + [first + i * each for i in range(rest)] + [count]
    return [[box for box in boxes[a:b] if box] for a, b in itertools.pairwise(cuts)]


def over_time(groups: Sequence[Sequence[Box]], height: int, width: int) -> tuple[Tensor, Tensor]:
    """Coverage and bump of each latent frame, (frames, height, width) both.

    Several boxes in a group, where time is compressed: a place is covered as much as in the frame that covers it most,
    for the object is there at some time, and the bump is the highest.
    """
    none = torch.zeros(height, width)
    masks = [torch.stack([coverage(b, height, width) for b in g]).amax(0) if g else none for g in groups]
    bumps = [torch.stack([bump(b, height, width) for b in g]).amax(0) if g else none for g in groups]
    return torch.stack(masks), torch.stack(bumps)


def check_size(name: str, groups: Sequence[Sequence[Box]], height: int, width: int) -> None:
    """Refuse an object whose boxes are next to nothing on a latent of this size, in every frame.

    Raises:
        RequestError: its name, its box and the latent's size.
    """
    boxes = [box for group in groups for box in group]
    if boxes and max(float(coverage(box, height, width).max()) for box in boxes) < FAINT:
        raise RequestError(
            f"the box of “{name}” ({boxes[0]}) is empty on the model's {width} x {height} places",
            "make it larger, or render a larger picture",
        )


def _covered(low: float, high: float, count: int) -> Tensor:
    edges = torch.arange(count, dtype=torch.float64)
    return (torch.clamp(edges + 1, max=high * count) - torch.clamp(edges, min=low * count)).clamp(min=0)


def _centres(count: int) -> Tensor:
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count
