"""Takes of any length, solved in windows that lie on the take and not on what is asked of it.

A window is solved for itself, over some frames more on both sides, and fades into the next. What belongs to the whole
take (where markers sit, how controls accelerate) is told by a few windows spread over it, before any is solved for
good. So whatever chunk of a take is asked for, on whatever machine, its frames come out the same to the bit, and memory
does not grow with the take. A take of one window is solved as `solve_clip` does.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from sfumato.face.binding import Binding
from sfumato.face.clip import solve_clip
from sfumato.face.clip_settings import ClipSettings, Known, Prior, Solved
from sfumato.face.curves import Curves
from sfumato.face.markers import Markers
from sfumato.face.motion import Habits
from sfumato.face.rig import Rig
from sfumato.report import Report, Step, silent

WINDOW = 900  # frames a window answers for; up to ALONE of them are one window
ALONE = 1200
MARGIN = 60  # frames it looks at on both sides
FADE = 30  # frames on both sides of a seam over which one window becomes the next
TOLD_BY = 3  # windows that tell what belongs to the whole take


@dataclass(frozen=True)
class Take:
    """All that is solved.

    markers: Stabilised, in the rig's space. confidence, free, start, prior: As `solve_clip` has them, of all frames.
    """

    markers: Markers
    rig: Rig
    binding: Binding
    settings: ClipSettings | None = None
    start: Curves | None = None
    prior: Prior | None = None
    confidence: Tensor | None = None
    free: Tensor | None = None

    def solve(self, first: int, last: int, report: Report, known: Known | None) -> Solved:
        """Frames first .. last - 1 for themselves."""
        part = slice(first, last)
        markers = replace(
            self.markers, positions=self.markers.positions[part], start=self.markers.frames[first], timecode=""
        )
        start, prior = self.start, self.prior
        if start is not None:
            frames = start.frames[part]
            locked = frozenset(key for key in start.locked if frames[0] <= key[0] <= frames[-1])
            start = Curves(start.names, frames, start.values[part], start.fps, locked)
        if prior is not None:
            prior = Prior(prior.values[part], prior.weight[part])
        confidence = None if self.confidence is None else self.confidence[part]
        free = None if self.free is None else self.free[part]
        return solve_clip(markers, self.rig, self.binding, self.settings, report, start, prior, confidence, free, known)


def solve_take(
    take: Take, report: Report = silent, span: tuple[int, int] | None = None, known: Known | None = None
) -> Solved:
    """Solve a take, or a chunk of it that is the same to the bit.

    Args:
        take: All of it, whatever is wanted.
        span: First sample that is wanted, and the one after the last; default: all.
        known: Offsets and habits of the whole take, where they were told before (`told`).

    Returns:
        The samples of `span`.

    Raises:
        InputError: none of the binding's markers is in the take.
        sfumato.errors.Cancelled: by `report`.
    """
    frames = len(take.markers.positions)
    first, last = span or (0, frames)
    edges = _edges(frames)
    if len(edges) == 2:
        return _cut(take.solve(0, frames, report, known), slice(first, last))
    known = known or told(take, report)
    joined = _Joined(take, known)
    wanted = [(a, b) for a, b in pairwise(edges) if a - FADE < last and b + FADE > first]
    for number, (a, b) in enumerate(wanted):
        low, high = max(a - MARGIN, 0), min(b + MARGIN, frames)
        joined.put(take.solve(low, high, _within(report, number, len(wanted)), known), a, b, low)
    return _cut(joined.solved(), slice(first, last))


def told(take: Take, report: Report = silent) -> Known:
    """Where markers sit in a take, and how its controls accelerate: the mean of what some of its windows say."""
    frames = len(take.markers.positions)
    edges = _edges(frames)
    count = min(TOLD_BY, len(edges) - 1)
    chosen = [round(i * (len(edges) - 2) / max(count - 1, 1)) for i in range(count)]
    found = []
    for number, i in enumerate(chosen):
        low, high = max(edges[i] - MARGIN, 0), min(edges[i + 1] + MARGIN, frames)
        found.append(take.solve(low, high, _within(report, number, count), None))
    habits = [one.habits for one in found if one.habits is not None]
    moved = [one.offsets for one in found if one.offsets.any()]
    offsets = torch.stack(moved).mean(0) if 2 * len(moved) > count else torch.zeros_like(found[0].offsets)
    return Known(offsets=offsets, habits=Habits.pooled(habits) if habits else None)


class _Joined:
    """A take put together from windows that fade into each other."""

    def __init__(self, take: Take, known: Known) -> None:
        frames, markers = len(take.markers.positions), len(take.binding.names)
        self.take, self.known, self.frames = take, known, frames
        self.values = torch.zeros(frames, len(take.rig.controls), dtype=torch.float64)
        self.rigid = torch.zeros(frames, 6, dtype=torch.float64)
        self.residual = torch.full((frames, markers), torch.nan, dtype=torch.float64)
        self.weight = torch.zeros(frames, markers, dtype=torch.float64)

    def put(self, part: Solved, first: int, last: int, begins: int) -> None:
        """A window that answers for first .. last - 1, solved from `begins` on."""
        low, high = max(first - FADE, 0), min(last + FADE, self.frames)
        at = torch.arange(low, high, dtype=torch.float64) + 0.5
        share = torch.ones(high - low, dtype=torch.float64)
        if first > 0:
            share = torch.minimum(share, ((at - first + FADE) / (2 * FADE)).clamp(max=1))
        if last < self.frames:
            share = torch.minimum(share, ((last + FADE - at) / (2 * FADE)).clamp(max=1))
        inside = slice(low - begins, high - begins)
        self.values[low:high] += share[:, None] * part.curves.values[inside]
        self.rigid[low:high] += share[:, None] * part.rigid[inside]
        own = slice(first - begins, last - begins)
        self.residual[first:last], self.weight[first:last] = part.residual[own], part.weight[own]

    def solved(self) -> Solved:
        take = self.take
        values, keys = self.values, frozenset[tuple[float, str]]()
        if take.start is not None:  # a sum of shares is not always one to the last bit
            given = take.start.only(take.rig.controls)
            values, keys = torch.where(given.lock_mask(), given.values, values), given.locked
            if take.free is not None:
                values = torch.where(take.free, values, given.values)
        values = torch.minimum(torch.maximum(values, take.rig.lower), take.rig.upper)
        curves = Curves(take.rig.controls, take.markers.frames, values, take.markers.timeline_fps, keys)
        offsets = self.known.offsets
        assert offsets is not None
        return Solved(curves, self.rigid, offsets, self.residual, self.weight, self.known.habits)


def _edges(frames: int) -> list[int]:
    """Where windows begin, and where the last one ends."""
    count = 1 if frames <= ALONE else -(-frames // WINDOW)
    return [round(i * frames / count) for i in range(count + 1)]


def _cut(solved: Solved, part: slice) -> Solved:
    curves = solved.curves
    frames = curves.frames[part]
    keys = frozenset(key for key in curves.locked if frames[0] <= key[0] <= frames[-1])
    cut = Curves(curves.names, frames, curves.values[part], curves.fps, keys)
    return replace(
        solved, curves=cut, rigid=solved.rigid[part], residual=solved.residual[part], weight=solved.weight[part]
    )


def _within(report: Report, number: int, of: int) -> Report:
    """Progress of one window, told as that of them all."""

    def tell(step: Step) -> None:
        report(replace(step, step=number * step.of + step.step, of=of * step.of))

    return tell
