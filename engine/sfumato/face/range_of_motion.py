"""Faces made up from a rig and from what an actor does, and the markers that a day of capture would show of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sfumato.face.binding import Binding
from sfumato.face.rig import Rig, rotation

NOISE = 0.03  # centimetres, an axis
PLACED = 0.03  # centimetres, an axis: how far from its place a marker is for a while
TURN, SHIFT = math.radians(0.3), 0.03  # radians and centimetres of drift, one standard deviation an axis
LOST = 0.12  # of the markers
CHUNK = 500


def poses(rig: Rig, known: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """(count, K) controls: half are mixtures of frames that are known, pushed about; half are sparse and at random.

    known: (N, K) approved frames; where there are none all are at random.
    """
    lower, upper = rig.lower.double(), rig.upper.double()
    spread = upper - lower
    active = torch.rand(count, len(spread), generator=draw, dtype=torch.float64) < 0.15
    random = torch.rand(count, len(spread), generator=draw, dtype=torch.float64).square() * spread * active
    if not len(known):
        return random
    half = count // 2
    one, two = (known[torch.randint(len(known), (half,), generator=draw)] for _ in range(2))
    share = torch.rand(half, len(spread), generator=draw, dtype=torch.float64)
    gain = 0.6 + 0.8 * torch.rand(half, 1, generator=draw, dtype=torch.float64)
    mixed = (one * share + two * (1 - share)) * gain
    pushed = mixed + 0.06 * spread * torch.randn(half, len(spread), generator=draw, dtype=torch.float64)
    near = torch.where(torch.rand(half, len(spread), generator=draw) < 0.3, pushed, mixed)
    found: Tensor = torch.cat([near, random[half:]]).clamp(lower, upper)
    return found


def shown(rig: Rig, binding: Binding, values: Tensor, offsets: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Markers (N, M, 3) of poses (N, K) as tracked, and whether each is seen (N, M).

    offsets: (M, 3) where this actor's markers lie beside the rig's, cm.
    """
    places = torch.cat([binding.at(rig, part) for part in torch.split(values, CHUNK)]) + offsets
    return tracked(places, draw)


def tracked(places: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Markers with noise, places that are a little off, a head that has not been held quite still, some unseen."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    count, markers, _ = places.shape
    middle = places.mean((0, 1))
    turned = (places - middle) @ rotation(normal(count, 3) * TURN).transpose(1, 2) + middle
    moved = turned + normal(count, 1, 3) * SHIFT + normal(count, markers, 3) * (NOISE**2 + PLACED**2) ** 0.5
    share = torch.rand(count, 1, generator=draw) * 2 * LOST
    return moved, torch.rand(count, markers, generator=draw) > share
