"""Solving again what depends on a key, and nothing else.

The key's control goes with it for some samples (`Work.keyed`): one sample alone would be a jump. Around every key some
samples of some controls are free (`edits.window`, `edits.dependants`); so are those around curves that a stage before
has changed. Samples that lie near each other are one part; a part is solved for itself, over a few samples more on both
sides that stay, with the drift, offsets and habits of the whole take. What is not free keeps its bits. A part that was
made of the same before is not solved again.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sfumato.face.clip_settings import Known, Prior, Solved
from sfumato.face.edits import window
from sfumato.face.motion import LEARN
from sfumato.face.stage_kept import Kept, Parts
from sfumato.face.stage_work import Work
from sfumato.face.stale import digest_of
from sfumato.face.takes import Take

SETTLED = 2.5e-3  # of a control: those near a limit go to and fro by up to that, however often they are solved
ROUNDS = 8  # from where habits count: a key that the markers contradict would be argued with for long
AROUND = 8  # samples on both sides of a part that its second differences, and their mean size, reach over


def near_keys(work: Work) -> Tensor:
    """(F, K) bool: within reach of a key, and dependent on its control."""
    free = torch.zeros(len(work.markers.frames), len(work.rig.controls), dtype=torch.bool)
    for key in work.keys:
        rows = window(work.markers.frames, [key])
        free |= rows[:, None] & work.ties[work.rig.controls.index(key.control)]
    return free


def tied_to(work: Work, changed: Tensor) -> Tensor:
    """(F, K) bool: dependent on a control that has changed (F, K) in the same sample."""
    return (changed.double() @ work.ties.double()) > 0


def follow(
    work: Work, base: Solved, start: Tensor, free: Tensor, prior: Prior | None, before: Kept | None
) -> tuple[Solved, Parts]:
    """Solve the free values again.

    Args:
        base: The whole take's solve.
        start: (F, K) where the parts begin, and what stays where nothing is free.
        free: (F, K) bool.
        prior: What a solver expects, of all frames.
        before: What the stage kept the last time.

    Returns:
        The take's solve with the parts in it, and what each was made of.

    Raises:
        sfumato.errors.Cancelled: by the report.
    """
    prior = work.believed(start, prior)
    rounds = min(work.settings.rounds, LEARN + ROUNDS)
    settings = replace(work.settings, settled=max(work.settings.settled, SETTLED), rounds=rounds)
    take = Take(work.markers, work.rig, work.binding, settings, work.curves(start), prior, work.confidence, free)
    values, residual, weight = start.clone(), base.residual.clone(), base.weight.clone()
    parts: Parts = {}
    for first, last in _parts(free.any(1)):
        part = slice(first, last)
        made_of = _made_of(take, base, first, last)
        if before is not None and before.parts.get(made_of) == [first, last]:
            done = before.left
            mine = done.curves.values[part], done.residual[part], done.weight[part]
        else:
            known = Known(base.rigid[part], base.offsets, base.habits)
            done = take.solve(first, last, work.report, known)
            mine = done.curves.values, done.residual, done.weight
        values[part] = torch.where(free[part], mine[0], start[part])
        residual[part], weight[part] = mine[1:]
        parts[made_of] = [first, last]
    return replace(base, curves=work.curves(values), residual=residual, weight=weight), parts


def _parts(rows: Tensor) -> Sequence[tuple[int, int]]:
    """Spans of samples (first, one after the last) with AROUND more on both sides; spans that touch are one."""
    found: list[tuple[int, int]] = []
    for row in torch.nonzero(rows)[:, 0].tolist():
        first, last = max(0, row - AROUND), min(len(rows), row + AROUND + 1)
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def _made_of(take: Take, base: Solved, first: int, last: int) -> str:
    """Stands for everything that decides a part, the take and its base aside."""
    assert take.start is not None
    assert take.free is not None
    part, frames = slice(first, last), take.start.frames[first:last]
    locked = sorted(pair for pair in take.start.locked if frames[0] <= pair[0] <= frames[-1])
    tensors = [take.start.values[part], take.free[part]]
    if take.prior is not None:
        tensors += [take.prior.values[part], take.prior.weight[part]]
    data = b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors)
    return digest_of(json.dumps([first, last, locked]).encode() + data)
