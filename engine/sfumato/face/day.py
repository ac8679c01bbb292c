"""Another day: markers put on again, a face that is not quite yesterday's. One neutral and a few poses tell how much.

    o_m = median over frames of (x_m - p_m(w)),   shrunk by n / (n + (noise / placed)^2)

with w = 0 on the neutral and the approved controls on the poses. Nothing is trained again: solvers are given the
rig's markers plus o.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.errors import InputError, RequestError
from sfumato.face.binding import Binding
from sfumato.face.curves import Curves
from sfumato.face.markers import Markers
from sfumato.face.rig import Rig
from sfumato.face.stabilise import stabilise

NOISE, PLACED = 0.03, 0.15  # centimetres an axis: of a sample, and of a marker put on by hand
RESTLESS, MANY = 0.15, 0.15  # centimetres a marker may scatter over the neutral frames; share of them that may
FAR = 1.0  # centimetres: an offset beyond is another face, or another label
AROUND = 4  # markers whose offsets one that was not seen takes


@dataclass(frozen=True)
class Day:
    """offsets: (M, 3) cm, what this day's markers have over the rig's. scatter: (M,) cm over the frames looked at.

    seen: (M,) bool; the others take their offsets from the markers around. notes: sentences for a person.
    """

    names: tuple[str, ...]
    offsets: Tensor
    scatter: Tensor
    seen: Tensor
    notes: tuple[str, ...] = ()

    def rest(self, rig: Rig, binding: Binding) -> Tensor:
        """(M, 3) where this day's markers lie on the neutral: for `SolverFile.on`, and for cleaning."""
        still = binding.only(self.names).at(rig, torch.zeros(len(rig.controls), dtype=torch.float64))
        return still + self.offsets

    def taken_off(self, markers: Markers) -> Markers:
        """A take of this day as if its markers sat where the rig has them: for the solve of the whole clip."""
        mine = markers.only(self.names, unseen=True)
        return replace(mine, positions=mine.positions - self.offsets)


def new_day(
    neutral: Markers, rig: Rig, binding: Binding, poses: Sequence[tuple[Markers, Curves]] = (), still: bool = False
) -> Day:
    """Measure a day.

    Args:
        neutral: The face at rest, some frames of it.
        poses: Approved frames of this day, three to five; they tell apart a marker that was placed elsewhere from a
            face that was not quite at rest.
        still: The takes have been stabilised already.

    Raises:
        InputError: the face is not at rest, or lies nowhere near the rig's.
        RequestError: a pose has no frame on which there are both markers and curves.
    """
    left, noted = [_residuals(neutral, None, rig, binding, still)], []
    scatter = _scatter(left[0])
    restless = [n for n, s in zip(binding.names, scatter.tolist(), strict=True) if s > RESTLESS]
    if len(restless) > MANY * len(binding.names):
        raise InputError(
            f"the neutral is not at rest: {len(restless)} of {len(binding.names)} move ({', '.join(restless[:4])})",
            "give some frames on which the face does nothing",
        )
    left += [_residuals(take, curves, rig, binding, still) for take, curves in poses]
    medians = torch.stack([part.nanmedian(0).values for part in left])
    counts = torch.stack([part.isfinite().all(-1).sum(0).double() for part in left])
    share = counts / (counts + (NOISE / PLACED) ** 2 * len(left))
    offsets = _mean(medians, share) * share.amax(0)[:, None]
    seen = counts.sum(0) > 0
    middle = float(offsets[seen].norm(dim=-1).median()) if bool(seen.any()) else torch.inf
    if middle > FAR:
        raise InputError(
            f"the neutral lies {middle * 10:.0f} mm from the rig's: it is another face, or its labels are other ones",
            "check the rig and the labels; a binding of its own (--binding) is better for another set of markers",
        )
    far = [
        n for n, s, o in zip(binding.names, seen.tolist(), offsets.norm(dim=-1).tolist(), strict=True) if s and o > FAR
    ]
    if far:
        noted.append(f"more than {FAR * 10:.0f} mm from its place on the rig: {', '.join(far)}; is the label right?")
    if restless:
        noted.append(f"not at rest on the neutral: {', '.join(restless)}")
    lost = [name for name, there in zip(binding.names, seen.tolist(), strict=True) if not there]
    if lost:
        noted.append(f"not seen on the neutral, so placed like the markers around: {', '.join(lost)}")
        offsets = _like_those_around(
            offsets, seen, binding.at(rig, torch.zeros(len(rig.controls), dtype=torch.float64))
        )
    return Day(binding.names, offsets, scatter.nan_to_num(0.0), seen, tuple(noted))


def _residuals(take: Markers, curves: Curves | None, rig: Rig, binding: Binding, still: bool) -> Tensor:
    """(F, M, 3) markers less the rig's, on the frames whose controls are known; all frames at rest for no curves."""
    mine = take.only(binding.names, unseen=True) if still else stabilise(take, rig, binding).markers
    if curves is None:
        return mine.positions - binding.at(rig, torch.zeros(len(rig.controls), dtype=torch.float64))
    row = {round(frame, 4): i for i, frame in enumerate(mine.frames)}
    pairs = [(row[round(f, 4)], i) for i, f in enumerate(curves.frames) if round(f, 4) in row]
    if not pairs:
        raise RequestError("a pose has no frame with both markers and curves", "give both on the same frames")
    here, there = (torch.tensor(side) for side in zip(*pairs, strict=True))
    return mine.positions[here] - binding.at(rig, curves.only(rig.controls).values[there])


def _scatter(left: Tensor) -> Tensor:
    """(M,) the median distance from the median, times 1 / 1.54 so that it is a normal scatter's deviation an axis."""
    found: Tensor = (left - left.nanmedian(0).values).norm(dim=-1).nanmedian(0).values / 1.54
    return found


def _mean(medians: Tensor, share: Tensor) -> Tensor:
    """Over takes, (M, 3), those with more frames counting more; 0 where none shows a marker."""
    weight = share[..., None] * medians.isfinite()
    return (medians.nan_to_num(0.0) * weight).sum(0) / weight.sum(0).clamp(min=1e-12)


def _like_those_around(offsets: Tensor, seen: Tensor, rest: Tensor) -> Tensor:
    known = torch.nonzero(seen)[:, 0]
    apart = torch.cdist(rest, rest[known])
    near = apart.topk(min(AROUND, len(known)), largest=False).indices
    return torch.where(seen[:, None], offsets, offsets[known[near]].mean(1))
