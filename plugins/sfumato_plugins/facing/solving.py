"""A take solved stage by stage into a folder; what is done and still right is kept. Needs the engine."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.errors import JobError
from sfumato_plugins.facing import inputs, made_of
from sfumato_plugins.facing.binding_file import load_binding, save_binding
from sfumato_plugins.facing.closing import close
from sfumato_plugins.facing.folder import STAGES, changed_by_hand, solve_of
from sfumato_plugins.job import Job
from sfumato_plugins.place import Place

if TYPE_CHECKING:
    from sfumato.face.binding import Binding
    from sfumato.face.markers import Markers
    from sfumato.face.rig import Rig
    from sfumato.report import Step

SHARES = {"stabilise": 4, "clean": 6, "features": 4, "jaw": 12, "regions": 14, "finetune": 60}  # of the time, roughly


def solve(
    job: Job, values: Mapping[str, Any], report: Callable[[Step], None], place: Place
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Solve as far as the job says.

    Returns:
        The files that are complete on disk, solve.json first, and numbers for the record.

    Raises:
        JobError, sfumato.errors.SfumatoError: the request or an input is wrong (exit 2 or 3).
        sfumato.errors.Cancelled: by `report`; stages that are done stay.
    """
    from sfumato.device import one_thread

    with one_thread():  # it costs a fifth
        return _Solve(job, values, report, place).go()


class _Solve:
    def __init__(self, job: Job, values: Mapping[str, Any], report: Callable[[Step], None], place: Place) -> None:
        from sfumato_plugins.tools.face import folder_of

        self.job, self.values, self.report, self.say = job, values, report, place.note
        self.folder = folder_of(job)
        self.began = time.monotonic()

    def go(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        from sfumato.face import stages
        from sfumato.face.regions import JAW
        from sfumato.face.stale import is_stale, stale

        os.makedirs(self.folder, exist_ok=True)
        by_hand = changed_by_hand(self.folder)
        left = _said_before(self.folder)
        for name in by_hand:
            count = by_hand[name].partition(",")[0]
            what = f"keys fixed: {count}" if name == "edits.json" else f"{name} was changed by hand"
            self.say(f"face: {what}; what depends on it is solved again")
        take = self._take(left, by_hand)
        rig = inputs.rig_of(self.job)
        binding = self._binding(rig, take)
        solver = inputs.solver_of(self.job, self.values, rig, self.say)
        _absolute(self.job).save(os.path.join(self.folder, "job.json"))
        if not stages.jaw_controls(rig):
            self.say(f"face: the rig has no jaw ({', '.join(JAW)}); everything is solved as its regions are")
        wanted = self._wanted()
        made_with = made_of.stages_of(self.job, self.values, binding)
        todo = [stage for stage in stale(self.folder, made_with) if stage in wanted]
        done = []
        for stage in wanted:
            if is_stale(self.folder, stage, made_with):
                telling = self._telling(stage, todo)
                stages.run_stage(self.folder, stage, rig, binding, solver, None, telling, made_with)
                done.append(stage)
        files = left.get("files", {})
        close(self.job, self.values, rig, binding, wanted[-1], {name: files.get(name, "") for name in by_hand})
        return self._told(wanted[-1], done)

    def _told(self, last: str, done: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
        """The files that are there, and numbers for the record."""
        said = solve_of(self.folder)
        stats = {"stages": done, "seconds": round(time.monotonic() - self.began, 2), "stage": last, "device": "cpu"}
        stats.update({name: said[name] for name in ("method", "residual_mm", "seen") if name in said})
        names = ("solve.json", "curves.json") if said.get("controls") else ("solve.json",)
        return tuple(os.path.join(self.folder, name) for name in names), stats

    def _wanted(self) -> list[str]:
        last = "finetune" if self.values["stage"] == "all" else self.values["stage"]
        return list(STAGES[1 : STAGES.index(last) + 1])

    def _take(self, left: Mapping[str, Any], by_hand: Mapping[str, str]) -> Markers:
        """The take as the stages read it; read again only where it, or how it is read, has changed."""
        from sfumato.face.stage_takes import load_take, save_take

        folder = pathlib.Path(self.folder)
        if left.get("take") == made_of.take_of(self.job, self.values) and "ingest.json" not in by_hand:
            return load_take(folder, "ingest")
        take = inputs.take_of(self.job, self.values, self.say)
        save_take(take, folder, "ingest")
        return take

    def _binding(self, rig: Rig, take: Markers) -> Binding:
        """Where markers sit; kept in the folder, because laying a take onto a rig takes a while."""
        path, of = os.path.join(self.folder, "binding.json"), made_of.binding_of(self.job, take.names)
        try:
            return load_binding(path, of)
        except JobError:
            binding = inputs.binding_of(self.job, rig, take, self.say)
            save_binding(path, binding, of)
            return binding

    def _telling(self, stage: str, stale: list[str]) -> Callable[[Step], None]:
        """The engine's steps as a share of all stages that are to be solved."""
        from sfumato.report import Step

        whole = sum(SHARES[name] for name in stale)
        before = sum(SHARES[name] for name in stale[: stale.index(stage)]) if stage in stale else 0

        def tell(step: Step) -> None:
            within = step.step / step.of if step.of else 0.0
            share = (before + SHARES[stage] * min(within, 1.0)) / max(whole, 1)
            self.report(replace(step, phase=f"{stage}: {step.phase}", step=round(1000 * share), of=1000))

        tell(Step("starting", 0, 1))
        return tell


def _said_before(folder: str) -> Mapping[str, Any]:
    """What solve.json said the last time; nothing where there is none."""
    try:
        return solve_of(folder)
    except JobError:
        return {}


def _absolute(job: Job) -> Job:
    """The job with inputs that are found from wherever it lies."""
    given = {name: inputs.path_of(job, name) for name in job.inputs}
    outputs = {name: pattern.text for name in job.outputs if (pattern := job.output(name))}
    return replace(job, inputs=given, outputs=outputs)
