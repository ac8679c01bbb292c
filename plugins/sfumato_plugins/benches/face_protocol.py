"""The conditions of the face bench: what a day of capture does to markers whose true controls are known.

Noise of 0.3 mm an axis; a tenth of the samples occluded in bursts; 3 in 1,000 are wild by 6 mm. Drift: the head moves
slowly by up to 0.6 degrees and 0.5 mm that stabilising has not taken out. New day: every marker put on again (1 mm) on
a face that is another (0.35 standard deviations on 20 modes of identity); calibrated means that one neutral, averaged,
was measured that day. A marker put on again lies elsewhere and moves as the one before it did. Same seed, same markers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato_plugins.benches.face_setup import Setup

if TYPE_CHECKING:
    from torch import Generator, Tensor

NOISE, WILD, WILD_SHARE = 0.03, 0.6, 0.003  # cm an axis, cm, of samples
OCCLUDED, BURST = 0.10, (5, 40)  # of samples; frames a burst
TURN, SHIFT = math.radians(0.6), 0.05  # radians and cm at the worst frame, each axis
PLACED, OTHER_FACE, NEUTRAL_FRAMES = 0.1 / 3**0.5, 0.35, 30  # cm an axis; standard deviations; frames averaged
CONDITIONS = ("noise", "drift", "raw", "calibrated")  # of one day to the next: each has what those before it have
WORSE = "occluded"  # drift with 30 % occluded, a mouth corner gone for 30 frames and 2 % of the labels swapped


@dataclass(frozen=True)
class Case:
    """Markers, and what made them.

    condition, seed: What was asked for.
    observed: (F, M, 3) float64 cm, NaN where unseen.
    truth: (F, K) controls.
    rest: (M, 3) where the markers lie on the neutral as far as the solver knows: the rig's own, or that day's.
    rigid: (F, 3, 4) the drift that was added.
    fps: Frames a second.
    """

    condition: str
    seed: int
    observed: Tensor
    truth: Tensor
    rest: Tensor
    rigid: Tensor
    fps: float


def make(
    setup: Setup,
    truth: Tensor,
    condition: str,
    seed: int,
    fps: float = 60.0,
    deform: Callable[[Tensor], Tensor] | None = None,
) -> Case:
    """Markers of a performance under one condition.

    Args:
        setup: The rig.
        truth: (F, K) float64 controls in 0 .. 1.
        condition: One of CONDITIONS, WORSE, or "clean" (nothing added).
        seed: Of everything random.
        fps: Frames a second; drift is slow in seconds, not in frames.
        deform: (F, K) -> (F, V, 3), for a rig that is not the linear one.
    """
    import torch

    draw = torch.Generator().manual_seed(seed)
    still = torch.eye(3, 4, dtype=torch.float64).repeat(len(truth), 1, 1)
    base, moved = _placed(setup, truth, condition in ("raw", "calibrated"), draw, deform)
    rest = setup.neutral[setup.spots]
    if condition == "calibrated":
        rest = base + _normal(base.shape, draw) * NOISE / math.sqrt(NEUTRAL_FRAMES)
    if condition == "clean":
        return Case(condition, seed, base + moved, truth, rest, still, fps)
    rigid = still if condition == "noise" else drift(len(truth), fps, draw)
    points = base + moved
    middle = points.mean((0, 1))
    points = torch.einsum("fij,fmj->fmi", rigid[..., :3], points - middle) + middle + rigid[:, None, :, 3]
    points = _noisy(points, draw)
    share = 0.30 if condition == WORSE else OCCLUDED
    points[_bursts(len(points), len(setup.spots), share, draw)] = math.nan
    if condition == WORSE:
        points = _swapped(points, 0.02, draw)
        first = int(torch.randint(max(len(truth) - 30, 1), (1,), generator=draw))
        points[first : first + 30, corner_marker(setup)] = math.nan
    return Case(condition, seed, points, truth, rest, rigid, fps)


def drift(frames: int, fps: float, draw: Generator) -> Tensor:
    """(F, 3, 4) slow rigid motions: three sines an axis of 3 to 12 seconds, the largest at its bound."""
    import torch

    time = torch.arange(frames, dtype=torch.float64) / fps
    period = 3 + 9 * torch.rand(3, 6, generator=draw, dtype=torch.float64)
    phase = 2 * math.pi * torch.rand(3, 6, generator=draw, dtype=torch.float64)
    wave = torch.sin(2 * math.pi * time[:, None, None] / period + phase).sum(1)
    turn, shift = wave[:, :3], wave[:, 3:]
    turn = turn * (TURN / turn.abs().amax(0).clamp_min(1e-12))
    shift = shift * (SHIFT / shift.abs().amax(0).clamp_min(1e-12))
    cross = torch.zeros(frames, 3, 3, dtype=torch.float64)
    x, y, z = turn.unbind(1)
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    return torch.cat([torch.linalg.matrix_exp(cross - cross.mT), shift[:, :, None]], 2)


def corner_marker(setup: Setup) -> int:
    """The marker nearest to a corner of the mouth."""
    return int((setup.neutral[setup.spots] - setup.neutral[setup.corners[0]]).norm(dim=1).argmin())


def _placed(
    setup: Setup, truth: Tensor, other_day: bool, draw: Generator, deform: Callable[[Tensor], Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Where the markers lie on the neutral, (M, 3), and how the performance moves them, (F, M, 3)."""
    import torch

    base, spots = setup.neutral[setup.spots], setup.spots
    if other_day:
        base = base + PLACED * _normal(base.shape, draw)
        person = OTHER_FACE * _normal((len(setup.identity), 1, 1), draw)
        base = base + (person * setup.identity[:, spots]).sum(0)
    if deform is not None:
        return base, torch.stack([deform(row)[spots] - setup.neutral[spots] for row in truth])
    return base, torch.einsum("fk,kmc->fmc", truth, setup.deltas[:, spots])


def _noisy(points: Tensor, draw: Generator) -> Tensor:
    import torch

    points = points + NOISE * _normal(points.shape, draw)
    wild = torch.rand(points.shape[:2], generator=draw, dtype=torch.float64) < WILD_SHARE
    away = _normal(points.shape, draw)
    found: Tensor = points + wild[..., None] * WILD * away / away.norm(dim=-1, keepdim=True)
    return found


def _bursts(frames: int, markers: int, share: float, draw: Generator) -> Tensor:
    """(F, M) bool: which samples are unseen, in bursts marker by marker until the share is reached."""
    import torch

    hidden = torch.zeros(frames, markers, dtype=torch.bool)
    while float(hidden.double().mean()) < share:
        marker = int(torch.randint(markers, (1,), generator=draw))
        length = int(torch.randint(*BURST, (1,), generator=draw))
        first = int(torch.randint(1 - length, frames, (1,), generator=draw))
        hidden[max(first, 0) : first + length, marker] = True
    return hidden


def _swapped(points: Tensor, share: float, draw: Generator) -> Tensor:
    """A share of the samples carry the label of a neighbour, and it theirs, for some frames."""
    import torch

    away = torch.cdist(*(points.nanmean(0),) * 2) + 1e9 * torch.eye(points.shape[1], dtype=torch.float64)
    near, points, done = away.argmin(1), points.clone(), 0
    while done < share * points.shape[0] * points.shape[1]:
        one = int(torch.randint(points.shape[1], (1,), generator=draw))
        two, length = int(near[one]), int(torch.randint(*BURST, (1,), generator=draw))
        first = int(torch.randint(len(points), (1,), generator=draw))
        there = slice(first, first + length)
        points[there, [one, two]] = points[there, [two, one]]
        done += 2 * len(points[there])
    return points


def _normal(shape: tuple[int, ...], draw: Generator) -> Tensor:
    import torch

    found: Tensor = torch.randn(shape, generator=draw, dtype=torch.float64)
    return found
