"""What the markers cannot tell: how sure each control is, and which controls could stand in for each other.

With J the slopes of the seen markers by controls and drift at a frame's solve, sigma the markers' noise and P what is
known before (a control lies within its range, drift is small, two controls that undo each other do not act at once),
the solve's covariance is

    C = (J' W J / sigma^2 + P)^-1

A control whose standard deviation, a share of its range, is above UNSURE is not told by the markers; two such controls
whose errors run against each other (correlation below -AGAINST) stand in for each other and cannot be told apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.face.binding import Binding, jacobian
from sfumato.face.curves import Curves
from sfumato.face.rig import NativeRig, Rig

UNSURE = 0.1  # of a control's range, one standard deviation
AGAINST = 0.45
UNDO, ONE_OF_TWO = -0.5, 0.1  # cosine of the slopes of two that undo each other; how much both may act, of the range
KNOWN = 0.5  # standard deviation of a control before anything is seen, of its range
TURN, SHIFT = 0.01, 0.05  # radians and centimetres of drift, one standard deviation
MOST = 400  # frames at which a rig that is not linear is differentiated; others take the nearest one's
CHUNK = 60


@dataclass(frozen=True)
class Ambiguity:
    """How far a solve can be trusted, control by control.

    deviation: (F, K) one standard deviation of each control, in its own units.
    unsure: (F, K) bool, not told by the markers at that frame.
    groups: Controls that cannot be told apart on at least half of the frames, each group by name.
    sentences: The same for a person.
    """

    deviation: Tensor
    unsure: Tensor
    groups: tuple[tuple[str, ...], ...]
    sentences: tuple[str, ...]

    def by_frame(self, curves: Curves) -> dict[float, tuple[str, ...]]:
        """Controls that are not told at single frames though they mostly are: markers were not seen there."""
        rare = self.unsure & (self.unsure.double().mean(0) < 0.5)
        rows = torch.nonzero(rare.any(1))[:, 0].tolist()
        return {
            curves.frames[i]: tuple(n for n, un in zip(curves.names, rare[i].tolist(), strict=True) if un) for i in rows
        }


def examine(rig: Rig, binding: Binding, curves: Curves, weight: Tensor, noise: float = 0.03) -> Ambiguity:
    """Look at a solve.

    Args:
        curves: Of the rig's controls; others are ignored.
        weight: (F, M) 0..1 of the binding's markers, how much each sample was believed; 0 where unseen.
        noise: One standard deviation of a marker, an axis, centimetres.
    """
    values = curves.only(rig.controls).values
    spread = (rig.upper - rig.lower).clamp(min=1e-9)
    covariance = _covariances(rig, binding, values, weight, noise, spread)
    deviation = covariance.diagonal(dim1=1, dim2=2).sqrt()
    unsure = deviation > UNSURE * spread
    together = covariance / (deviation[:, :, None] * deviation[:, None]).clamp(min=1e-12)
    mixed = (together < -AGAINST) & unsure[:, :, None] & unsure[:, None]
    groups = _connected(rig.controls, mixed.double().mean(0) >= 0.5)
    return Ambiguity(deviation, unsure, groups, _sentences(rig.controls, groups, unsure, deviation))


def region_of(rig: Rig, binding: Binding) -> tuple[str, ...]:
    """The region of each marker: the first word of the control that moves it most, "mouth" of mouthSmileLeft."""
    rest = binding.at(rig, torch.zeros(len(rig.controls), dtype=torch.float64))
    moved = (binding.at(rig, torch.diag(rig.upper.double())) - rest).norm(dim=-1)
    words = [re.match(r"[a-z]+|[A-Z]+", name.rpartition(":")[2]) for name in rig.controls]
    return tuple(word[0].lower() if (word := words[row]) else "face" for row in moved.argmax(0).tolist())


def _covariances(rig: Rig, binding: Binding, values: Tensor, weight: Tensor, noise: float, spread: Tensor) -> Tensor:
    """(F, K, K) with drift left free to be anything small."""
    count = len(rig.controls)
    before = torch.cat([(KNOWN * spread).square(), torch.tensor([TURN**2] * 3 + [SHIFT**2] * 3, dtype=torch.float64)])
    linear = isinstance(rig, NativeRig) and rig.linear
    told, which = torch.unique(weight if linear else torch.cat([weight, values], 1), dim=0, return_inverse=True)
    if not linear and len(told) > MOST:
        kept = torch.linspace(0, len(values) - 1, MOST).round().long()
        which = (torch.arange(len(values))[:, None] - kept[None]).abs().argmin(1)
        told = torch.cat([weight, values], 1)[kept]
    found = []
    for part in told.split(CHUNK):
        seen = part[:, : weight.shape[1]]
        at = part[:, weight.shape[1] :] if not linear else values[:1]
        slopes = torch.cat([jacobian(rig, binding, at), _drift(binding.at(rig, at))], -1)
        believed = (seen / noise**2).repeat_interleave(3, 1)[..., None]
        normal = slopes.transpose(1, 2) @ (believed * slopes) + torch.diag(1.0 / before)
        normal[:, :count, :count] += _not_both(slopes[..., :count], spread)
        found.append(torch.linalg.inv(normal)[:, :count, :count])
    return torch.cat(found)[which]


def _not_both(slopes: Tensor, spread: Tensor) -> Tensor:
    """(F, K, K) precision of the sum of two controls that undo each other: jawLeft and jawRight are not both at 1."""
    length = slopes.norm(dim=1).clamp(min=1e-9)
    cosine = slopes.transpose(1, 2) @ slopes / (length[:, :, None] * length[:, None])
    pairs = (cosine < UNDO).double() / (ONE_OF_TWO**2 * spread[:, None] * spread)
    both: Tensor = pairs + torch.diag_embed(pairs.sum(2))
    return both


def _drift(places: Tensor) -> Tensor:
    """(F, 3M, 6) how markers (F, M, 3) move with a small turn about their middle and a shift."""
    x, y, z = (places - places.mean(1, keepdim=True)).unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows = [zero, z, -y, one, zero, zero, -z, zero, x, zero, one, zero, y, -x, zero, zero, zero, one]
    return torch.stack(rows, -1).reshape(len(places), -1, 6)


def _connected(names: tuple[str, ...], mixed: Tensor) -> tuple[tuple[str, ...], ...]:
    left, groups = set(range(len(names))), []
    while left:
        group, rim = set(), {left.pop()}
        while rim:
            one = rim.pop()
            group.add(one)
            rim |= {other for other in torch.nonzero(mixed[one])[:, 0].tolist() if other in left}
            left -= rim
        if len(group) > 1:
            groups.append(tuple(names[i] for i in sorted(group)))
    return tuple(sorted(groups))


def _sentences(
    names: tuple[str, ...], groups: tuple[tuple[str, ...], ...], unsure: Tensor, deviation: Tensor
) -> tuple[str, ...]:
    grouped = {name for group in groups for name in group}
    sentences = [
        f"the markers cannot tell {' from '.join(group)}: look at the video, or lock a key" for group in groups
    ]
    share = unsure.double().mean(0)
    for i in torch.argsort(share, descending=True).tolist():
        if share[i] > 0.02 and names[i] not in grouped:
            often = "on no frame" if share[i] > 0.98 else f"not on {float(share[i]):.0%} of the frames"
            typical = float(deviation[unsure[:, i], i].median())
            sentences.append(f"{names[i]} is told by the markers {often}: it may be off by {typical:.2f}")
    return tuple(sentences)
