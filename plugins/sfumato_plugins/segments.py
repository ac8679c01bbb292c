"""How a shot is cut: keyframes first, then what lies between them. Decided by the job's range, never by a chunk's."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SPACING = 8
"""Frames from one keyframe to the next at `standard` and `final`."""
RADIUS = {"preview": 0, "standard": 1, "final": 2}
"""How many frames away a frame looks at its neighbours; the engine's presets say the same (`neighbours`).

In a shot of 24 frames a changed plate makes 6.6 frames stale on average in `standard`, 9.6 in `final`.
"""


@dataclass(frozen=True)
class Plan:
    """The cut of a job: all its frames, the keyframes among them, and how far a frame looks."""

    frames: tuple[int, ...]
    keys: tuple[int, ...]
    radius: int


def plan(frames: Sequence[int], quality: str) -> Plan:
    """Cut a job's whole range: every frame alone in `preview`, otherwise a keyframe at most every SPACING frames.

    The first and the last frame are keyframes, so every other frame lies between two.
    """
    frames = tuple(sorted(set(frames)))
    if quality == "preview" or len(frames) < 2:
        return Plan(frames, frames, RADIUS[quality])
    last = len(frames) - 1
    cuts = -(-last // SPACING)
    return Plan(frames, tuple(frames[last * i // cuts] for i in range(cuts + 1)), RADIUS[quality])


def surrounding(frame: int, plan: Plan) -> tuple[int, ...]:
    """The keyframes a frame starts from: itself when it is one, else the one before and the one after."""
    at = bisect.bisect_left(plan.keys, frame)
    if at < len(plan.keys) and plan.keys[at] == frame:
        return (frame,)
    return plan.keys[max(at - 1, 0) : at + 1]


def reads(frame: int, plan: Plan) -> tuple[int, ...]:
    """Every frame whose pixels can change this one's result: its neighbours, its keyframes and theirs."""
    centres = {frame, *surrounding(frame, plan)}
    return tuple(f for f in plan.frames if any(abs(f - centre) <= plan.radius for centre in centres))


def segments(plan: Plan) -> tuple[tuple[int, ...], ...]:
    """What a farm can run side by side: each frame alone in `preview`; else each keyframe, then each gap."""
    keys = set(plan.keys)
    gaps: dict[tuple[int, ...], list[int]] = {}
    for frame in plan.frames:
        if frame not in keys:
            gaps.setdefault(surrounding(frame, plan), []).append(frame)
    return (*((key,) for key in plan.keys), *(tuple(gap) for gap in gaps.values()))


def pieces(wanted: Iterable[int], plan: Plan) -> tuple[tuple[int, ...], ...]:
    """The segments restricted to the frames that are wanted, empty ones left out."""
    wanted = set(wanted)
    cut = (tuple(f for f in segment if f in wanted) for segment in segments(plan))
    return tuple(piece for piece in cut if piece)
