"""Shut lips and lids stay shut on another rig, by the smallest change of the controls that shut them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfumato.face.contact import Contacts
from sfumato.face.control_names import find
from sfumato.face.curves import Curves

if TYPE_CHECKING:
    from sfumato.face.rig import Rig

TOUCH = 0.05  # centimetres from shut; a marker's own noise is 0.03
LET_GO = 8.0  # beyond touch the target may part this many times faster than the source: no jump where contact ends
ROUNDS = 12
DAMPING = (0.0, 0.01, 0.1, 1.0, 10.0)
STIFF = 1e4  # a gap of a tenth of a millimetre costs as much as a control moved by 1
SHUTTING = {  # what may change, and how unwilling: lips are shut by lips before the jaw moves
    "lips": {
        **{"mouthClose": 1.0, "mouthPress": 1.0, "mouthShrugLower": 1.5, "mouthShrugUpper": 1.5, "mouthLowerDown": 1.0},
        **{"mouthUpperUp": 1.0, "mouthRollLower": 2.0, "mouthRollUpper": 2.0, "mouthFunnel": 3.0, "jawOpen": 2.0},
    },
    "lids left": {"eyeBlink_left": 1.0, "eyeWide_left": 1.0, "eyeSquint_left": 2.0},
    "lids right": {"eyeBlink_right": 1.0, "eyeWide_right": 1.0, "eyeSquint_right": 2.0},
}


@dataclass(frozen=True)
class Kept:
    """values: (F, K) float64. frames: on how many the source met, by kind. kept: on how many of them the target does.

    changed: (F,) bool, frames on which a control was changed. largest: the largest change of a control.
    """

    values: Tensor
    frames: dict[str, int]
    kept: dict[str, int]
    changed: Tensor
    largest: float
    notes: tuple[str, ...]


def keep_contact(
    theirs: Tensor, source: Rig, moved: Curves, target: Rig, find_on: Callable[[Rig], Contacts], touch: float = TOUCH
) -> Kept:
    """Change the target's shutting controls where the source's lips or lids meet and the target's would not.

    For each frame, with g the gaps of the target's pairs and d the change of its shutting controls, this minimises

        sum_c (cost_c d_c)^2 + STIFF * sum_p max(0, g_p(w + d) - bound_p)^2      within the limits of the rig,

    bound_p = touch where the source's gap at that place of the mouth is at most that, and grows LET_GO times as fast
    as the source's gap beyond.

    Args:
        theirs: (F, K) float64, the source's controls.
        moved: The target's curves; locked values stay.
        touch: Gaps up to this are contact, cm.
    """
    on_source, on_target = find_on(source), find_on(target)
    values, mask = moved.values.clone(), moved.lock_mask()
    frames: dict[str, int] = {}
    kept: dict[str, int] = {}
    for kind in dict.fromkeys(on_target.kind):
        if kind not in on_source.kind:
            continue
        ours, pairs = _of(on_source, kind), _of(on_target, kind)
        gap = _between(ours.gaps(source, theirs), ours.along, pairs.along)
        _shut(values, mask, target, pairs, touch + LET_GO * (gap - touch).clamp(min=0.0), kind)
        met = gap <= touch
        still = ~met | (pairs.gaps(target, values) <= touch + 1e-3)
        frames[kind] = int(met.any(1).sum())
        kept[kind] = int((met.any(1) & still.all(1)).sum())
    changed = (values != moved.values).any(1)
    largest = float((values - moved.values).abs().max()) if len(values) else 0.0
    return Kept(values, frames, kept, changed, largest, _notes(on_source, on_target, frames, kept, changed))


def _between(gaps: Tensor, along: Tensor, wanted: Tensor) -> Tensor:
    """(F, P) gaps at places (P,) as gaps at other places (Q,): straight between; exact at places that are the same."""
    after = torch.searchsorted(along, wanted).clamp(max=len(along) - 1)
    before = (after - 1).clamp(min=0)
    share = (wanted - along[before]) / (along[after] - along[before]).clamp(min=1e-12)
    share = share.clamp(0.0, 1.0)
    return gaps[:, before] * (1 - share) + gaps[:, after] * share


def _of(contacts: Contacts, kind: str) -> Contacts:
    rows = torch.tensor([i for i, one in enumerate(contacts.kind) if one == kind])
    return Contacts(contacts.pairs[rows], contacts.opening[rows], contacts.shut[rows], (kind,) * len(rows))


def _shut(values: Tensor, locked: Tensor, rig: Rig, pairs: Contacts, bound: Tensor, kind: str) -> None:
    """Gauss-Newton with a box, in place, on the frames that need it; each step is the best of some dampings."""
    cost = {i: price for name, price in SHUTTING[kind].items() for i in find(rig.controls, name)}
    rows = torch.nonzero((pairs.gaps(rig, values) > bound + 1e-6).any(1))[:, 0]
    if not cost or not len(rows):
        return
    free, now = torch.tensor(list(cost)), values[rows].clone()
    price = torch.tensor(list(cost.values()), dtype=torch.float64).square()
    low, high = rig.lower[free].minimum(now[:, free]), rig.upper[free].maximum(now[:, free])
    task = _Shutting(rig, pairs, bound[rows], now.clone(), free, price, locked[rows][:, free], low, high)
    least = task.objective(now)
    for _ in range(ROUNDS):
        before, best = least, now
        for step in task.steps(now):
            tried = now.clone()
            tried[:, free] = torch.minimum(torch.maximum(now[:, free] + step, low), high)
            reached = task.objective(tried)
            best = torch.where((reached < least)[:, None], tried, best)
            least = torch.minimum(reached, least)
        now = best
        if bool((before - least <= 1e-9 * before).all()):
            break
    values[rows] = now


@dataclass(frozen=True)
class _Shutting:
    """The frames that need it, F of them, with C controls that are free to change; see `keep_contact`."""

    rig: Rig
    pairs: Contacts
    bound: Tensor
    start: Tensor
    free: Tensor
    price: Tensor
    locked: Tensor
    low: Tensor
    high: Tensor

    def objective(self, values: Tensor) -> Tensor:
        over = (self.pairs.gaps(self.rig, values) - self.bound).clamp(min=0.0)
        change = (values - self.start)[:, self.free]
        return (self.price * change.square()).sum(1) + STIFF * over.square().sum(1)

    def steps(self, values: Tensor) -> Iterator[Tensor]:
        """(F, C) Newton's step with the pairs too far apart, damped more and more; none pushes past a limit."""
        gaps, slopes = _slopes(self.rig, self.pairs, values, self.free)
        over = (gaps - self.bound).clamp(min=0.0)
        active = torch.where((over > 0)[..., None], slopes, torch.zeros_like(slopes))
        here = values[:, self.free]
        pull = -STIFF * (active.transpose(1, 2) @ over[..., None])[..., 0]
        pull = pull - self.price * (here - self.start[:, self.free])
        stuck = self.locked | ((here <= self.low) & (pull < 0)) | ((here >= self.high) & (pull > 0))
        loose = (~stuck).double()
        normal = STIFF * active.transpose(1, 2) @ active + torch.diag(self.price)
        normal = normal * loose[:, :, None] * loose[:, None] + torch.diag_embed(1.0 - loose)
        size = normal.diagonal(dim1=1, dim2=2)
        for damping in DAMPING:
            damped = normal + torch.diag_embed(damping * size)
            yield torch.linalg.solve(damped, (pull * loose)[..., None])[..., 0]


def _slopes(rig: Rig, pairs: Contacts, values: Tensor, free: Tensor, by: float = 1e-4) -> tuple[Tensor, Tensor]:
    """Gaps (F, P) and their change with each free control (F, P, C), by differences: any rig has those."""
    gaps = pairs.gaps(rig, values)
    columns = []
    for control in free.tolist():
        nudged = values.clone()
        nudged[:, control] += by
        columns.append((pairs.gaps(rig, nudged) - gaps) / by)
    return gaps, torch.stack(columns, -1)


def _notes(
    source: Contacts, target: Contacts, frames: dict[str, int], kept: dict[str, int], changed: Tensor
) -> tuple[str, ...]:
    lost = [kind for kind in dict.fromkeys(source.kind) if kind not in target.kind]
    notes = [f"the target rig has no {kind} to keep shut" for kind in lost]
    for kind, count in frames.items():
        if count:
            notes.append(f"{kind} meet on {count} frames, and still do on {kept[kind]} of them")
    if changed.any():
        notes.append(f"controls that shut lips and lids were changed for that on {int(changed.sum())} frames")
    return tuple(notes)
