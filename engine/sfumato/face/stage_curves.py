"""The three stages that make curves: the jaw, the regions given the jaw, and the fine-tune of all against the markers.

Each has a base, solved as if no key were fixed (by the networks of a solver, or over the whole clip), and follows from
there the keys and what the stage before has changed.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.errors import InputError
from sfumato.face.belief import belief
from sfumato.face.clip_settings import Prior, Solved
from sfumato.face.curves import load_curves, save_curves
from sfumato.face.following import follow, near_keys, tied_to
from sfumato.face.markers import Markers
from sfumato.face.solver_file import SolverFile
from sfumato.face.stage_kept import Kept, Parts, kept_before, kept_by
from sfumato.face.stage_work import Work
from sfumato.face.takes import Take, solve_take


@dataclass(frozen=True)
class Given:
    """What a stage is given: (F, K) as it is now, and as it would be without keys."""

    now: Tensor
    base: Tensor


def jaw(work: Work) -> Kept:
    """The jaw's controls, by its network or as those of a whole solve."""
    blank = torch.zeros(len(work.markers.frames), len(work.rig.controls), dtype=torch.float64)
    kept = kept_before(work)
    by_hand = torch.zeros_like(blank, dtype=torch.bool) if kept is None else kept.by_hand
    columns = work.columns(work.jaw)
    if work.solver is not None:
        base = kept.base if kept else _said(work, _network_jaw(work))
        left, parts = replace(base, curves=work.curves(work.keyed(base.curves.values, by_hand))), Parts()
    else:
        base = kept.base if kept else solve_take(_take(work, blank), work.report)
        start = work.keyed(base.curves.values, by_hand)
        left, parts = follow(work, base, start, near_keys(work) & ~by_hand, None, kept)
    return _left(work, Kept(base, blank, left, by_hand, parts), columns)


def regions(work: Work) -> Kept:
    """All controls, given the jaw's, which stay as they are."""
    given, columns = _given(work, "jaw"), work.columns(work.jaw)
    kept = kept_before(work)
    origin = kept.given if kept else given.base
    by_hand = torch.zeros_like(given.now, dtype=torch.bool) if kept is None else kept.by_hand
    fixed = torch.zeros_like(by_hand)
    fixed[:, columns] = True
    changed = fixed & (given.now != origin)
    if work.solver is not None:
        base = kept.base if kept else _said(work, _network_regions(work, given.base))
        told = tied_to(work, changed) & ~fixed & ~by_hand
        values = torch.where(told, _network_regions(work, given.now), base.curves.values) if told.any() else None
        values = work.keyed(base.curves.values if values is None else values, by_hand)
        left, parts = replace(base, curves=work.curves(torch.where(fixed, given.now, values))), Parts()
    else:
        base = kept.base if kept else solve_take(_take(work, given.base, free=~fixed), work.report)
        free = (near_keys(work) | tied_to(work, changed)) & ~fixed & ~by_hand
        start = torch.where(fixed, given.now, work.keyed(base.curves.values, by_hand))
        left, parts = follow(work, base, start, free, None, kept)
    return _left(work, Kept(base, origin, left, by_hand, parts))


def finetune(work: Work) -> Kept:
    """All controls against the markers, begun from the regions' and, with a solver, tied to them."""
    given, columns = _given(work, "regions"), work.columns(work.jaw)
    kept = kept_before(work)
    origin = kept.given if kept else given.base
    by_hand = torch.zeros_like(given.now, dtype=torch.bool) if kept is None else kept.by_hand
    told = kept.belief if kept else _belief(work, origin)
    base = kept.base if kept else _tuned(work, origin, told)
    changed = given.now != origin
    jaws = torch.zeros_like(changed)
    jaws[:, columns] = changed[:, columns]
    free = near_keys(work) | tied_to(work, jaws)
    free = (free | tied_to(work, changed & ~free)) & ~by_hand  # what the regions' stage has followed is not new
    start = work.keyed(base.curves.values, by_hand)
    left, parts = follow(work, base, start, free, _prior(given.now, told), kept)
    return _left(work, Kept(base, origin, left, by_hand, parts, told))


def _given(work: Work, stage: str) -> Given:
    """The curves of the stage before: its file, and what it would hold without keys."""
    curves = load_curves(work.folder / f"{stage}.json")
    if len(curves.frames) != len(work.markers.frames):
        what = f"{stage}.json has {len(curves.frames)} frames, and the take has {len(work.markers.frames)}"
        raise InputError(what, "put the stage's own file back, or remove it and solve again")
    now = curves.only(work.rig.controls).values
    kept = kept_by(work, stage)
    return Given(now, now if kept is None else kept.base.curves.values)


def _left(work: Work, kept: Kept, columns: list[int] | None = None) -> Kept:
    """Keep it, and write the stage's file: these controls, or all."""
    names = [work.rig.controls[i] for i in columns] if columns is not None else work.rig.controls
    save_curves(kept.left.curves.only(names), work.folder / f"{work.stage}.json")
    return kept


def _take(work: Work, start: Tensor, prior: Prior | None = None, free: Tensor | None = None) -> Take:
    """The whole take, no key fixed."""
    begin = replace(work.curves(start), locked=frozenset())
    return Take(work.markers, work.rig, work.binding, work.settings, begin, prior, work.confidence, free)


def _tuned(work: Work, start: Tensor, told: Tensor | None) -> Solved:
    """The whole take against the markers."""
    take = _take(work, start, _prior(start, told))
    if work.solver is None:
        return solve_take(take, work.report)
    _, day = work.of_the_day
    if day.any():  # it is known nearly; the rest is looked for with the curves
        take = replace(take, settings=replace(work.settings, offsets=True))
    found = solve_take(replace(take, markers=_without(day, work.markers)), work.report)
    return replace(found, offsets=found.offsets + day)


def _belief(work: Work, start: Tensor) -> Tensor | None:
    """(K,) how much the fine-tune believes the networks' curves."""
    if work.solver is None:
        return None
    solver, day = work.of_the_day
    if not isinstance(solver, SolverFile):
        return solver.weight
    return belief(solver, work.curves(start), _without(day, work.markers), work.confidence, work.rig, work.binding)


def _prior(values: Tensor, told: Tensor | None) -> Prior | None:
    return None if told is None else Prior(values, told.double().expand_as(values))


def _without(day: Tensor, markers: Markers) -> Markers:
    """Markers as on the day that the solver knows."""
    return replace(markers, positions=markers.positions - day)


def _network_jaw(work: Work) -> Tensor:
    solver, _ = work.of_the_day
    return solver.jaw(work.markers, work.confidence).only(work.rig.controls).values


def _network_regions(work: Work, jaw: Tensor) -> Tensor:
    solver, _ = work.of_the_day
    found = solver.regions(work.markers, work.confidence, work.curves(jaw).only(work.jaw))
    return found.only(work.rig.controls).values


def _said(work: Work, values: Tensor) -> Solved:
    """What a network says, as a solve."""
    frames, markers = work.confidence.shape
    unknown = torch.full((frames, markers), torch.nan, dtype=torch.float64)
    rigid, offsets = torch.zeros(frames, 6, dtype=torch.float64), torch.zeros(markers, 3, dtype=torch.float64)
    return Solved(work.curves(values), rigid, offsets, unknown, unknown)
