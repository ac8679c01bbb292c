"""Coarse trimaps: a few brush strokes inside what a full trimap knows, everything else unknown."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from sfumato_plugins.benches.cases import Case, Frame

if TYPE_CHECKING:
    from torch import Generator, Tensor


def scribbled(case: Case, share: float = 0.05, seed: int = 0) -> Case:
    """The same case with strokes for a trimap, named "NAME scribbles"."""

    def load(number: int) -> Frame:
        frame = case.load(number)
        return replace(frame, trimap=scribble(frame.trimap, share, seed))

    return replace(case, name=f"{case.name} scribbles", load=load)


def scribble(trimap: Tensor, share: float = 0.05, seed: int = 0) -> Tensor:
    """Strokes covering at most `share` of the foreground that a trimap knows, and of the background.

    A stroke starts at a random known pixel and wanders, turning slowly, until it would leave its region. The same
    seed gives the same strokes.

    Args:
        trimap: (1, H, W) of 0, 0.5, 1.

    Returns:
        (1, H, W) of 0, 0.5, 1; known pixels are a subset of the given ones.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    found = torch.full_like(trimap, 0.5)
    radius = max(1, round(max(trimap.shape) / 256))
    for value in (0.0, 1.0):
        region = trimap[0] == value
        painted = torch.zeros_like(region)
        budget = int(share * int(region.sum()))
        places = region.nonzero()
        for _ in range(200):
            if not len(places) or int(painted.sum()) >= budget:
                break
            start = places[int(torch.randint(len(places), (1,), generator=generator))]
            stroke = _stroke(region, start, radius, generator) & ~painted
            room = budget - int(painted.sum())
            if int(stroke.sum()) <= room or not bool(painted.any()):
                kept = stroke.nonzero()[: max(room, 1)]
                painted[kept[:, 0], kept[:, 1]] = True
        found[0][painted] = value
    return found


def _stroke(region: Tensor, start: Tensor, radius: int, generator: Generator) -> Tensor:
    import torch

    height, width = region.shape
    y, x = (float(v) for v in start)
    angle = float(torch.rand(1, generator=generator)) * 2 * math.pi
    painted = torch.zeros_like(region)
    for _ in range(max(height, width) // 3):
        top, left = max(0, round(y) - radius), max(0, round(x) - radius)
        patch = (slice(top, round(y) + radius + 1), slice(left, round(x) + radius + 1))
        painted[patch] |= region[patch]
        angle += 0.25 * float(torch.randn(1, generator=generator))
        y, x = y + math.sin(angle), x + math.cos(angle)
        if not (0 <= round(y) < height and 0 <= round(x) < width) or not bool(region[round(y), round(x)]):
            break
    return painted
