"""A take solved stage by stage into a folder; what is done and still right is kept. Needs the engine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.errors import JobError
from sfumato_plugins.facing import inputs
from sfumato_plugins.facing.binding_file import load_binding, save_binding
from sfumato_plugins.facing.folder import (
    CURVES,
    SOLVE,
    STAGES,
    changed_by_hand,
    digest,
    digest_of,
    edits_of,
    solve_of,
)
from sfumato_plugins.job import Job
from sfumato_plugins.ledger import write_json
from sfumato_plugins.place import Place

if TYPE_CHECKING:
    from sfumato.face.binding import Binding
    from sfumato.face.curves import Curves
    from sfumato.face.markers import Markers
    from sfumato.face.rig import Rig
    from sfumato.report import Step

SHARES = {"stabilise": 4, "clean": 6, "features": 4, "jaw": 12, "regions": 14, "finetune": 60}  # of the time, roughly
FILES = tuple(f"{stage}.json" for stage in STAGES if stage != "features")


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
        left = self._left()
        for name in by_hand:
            self.say(f"face: {name} was changed by hand; what comes after it is solved again")
        take = inputs.take_of(self.job, self.values, self.say)
        rig = inputs.rig_of(self.job)
        binding = self._binding(rig, take)
        solver = inputs.solver_of(self.job, self.values, rig, self.say)
        self._ingest(take)
        _absolute(self.job).save(os.path.join(self.folder, "job.json"))
        if not stages.jaw_controls(rig):
            self.say(f"face: the rig has no jaw ({', '.join(JAW)}); everything is solved as its regions are")
        wanted = self._wanted()
        made_with = self._made_with(binding)
        todo = [stage for stage in stale(self.folder, made_with) if stage in wanted]
        done = []
        for stage in wanted:
            if is_stale(self.folder, stage, made_with):
                telling = self._telling(stage, todo)
                stages.run_stage(self.folder, stage, rig, binding, solver, None, telling, made_with)
                done.append(stage)
        return self._close(rig, binding, wanted[-1], done, {name: left.get(name, "") for name in by_hand})

    def _made_with(self, binding: Binding) -> str:
        """Stands for what every stage was made with, besides the files it reads."""
        solver = _content(self.job, "solver") if self.values["method"] != "clip" else []
        seats = [binding.names, binding.corners.tolist(), binding.weights.tolist()]
        return digest(repr((_content(self.job, "rig"), seats, solver)).encode())

    def _left(self) -> Mapping[str, str]:
        """Digests of the files as the stages left them the last time."""
        try:
            return dict(solve_of(self.folder).get("files", {}))
        except JobError:
            return {}

    def _wanted(self) -> list[str]:
        last = "finetune" if self.values["stage"] == "all" else self.values["stage"]
        return list(STAGES[1 : STAGES.index(last) + 1])

    def _binding(self, rig: Rig, take: Markers) -> Binding:
        """Where markers sit; kept in the folder, because laying a take onto a rig takes a while."""
        path = os.path.join(self.folder, "binding.json")
        of = digest(repr((_content(self.job, "rig"), _content(self.job, "binding"), take.names)).encode())
        try:
            return load_binding(path, of)
        except JobError:
            binding = inputs.binding_of(self.job, rig, take, self.say)
            save_binding(path, binding, of)
            return binding

    def _ingest(self, take: Markers) -> None:
        """The take as the stages read it; a file that says the same already stays."""
        from sfumato.face.markers import save_markers

        path = os.path.join(self.folder, "ingest.json")
        beside = os.path.join(self.folder, ".ingest.json")
        save_markers(take, beside)
        if digest_of(self.folder, ".ingest.json") == digest_of(self.folder, "ingest.json"):
            os.remove(beside)
        else:
            os.replace(beside, path)

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

    def _close(
        self, rig: Rig, binding: Binding, last: str, done: list[str], by_hand: Mapping[str, str]
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Write curves.json and, last of all, solve.json, which says what there is and what to look at."""
        from sfumato import __version__
        from sfumato_plugins.facing import looking
        from sfumato_plugins.facing.solution import Solution

        has = [stage for stage in CURVES if STAGES.index(stage) <= STAGES.index(last)]
        written = ["solve.json"]
        said: dict[str, Any] = {
            "schema": SOLVE,
            "stage": last,
            "method": "staged" if "solver" in self.job.inputs and self.values["method"] != "clip" else "clip",
            "solver": os.path.basename(inputs.path_of(self.job, "solver")),
            "actor": self.values["actor"],
            "version": __version__,
            "edits": len(edits_of(self.folder)),
        }
        if has:
            self._curves(has[-1])
            said["controls"] = {
                n: [float(low), float(high)] for n, low, high in zip(rig.controls, rig.lower, rig.upper)
            }
            write_json(os.path.join(self.folder, "solve.json"), said)
            said.update(looking.summary(Solution.read(self.folder, rig, binding, said)))
            written.append("curves.json")
        elif os.path.isfile(os.path.join(self.folder, "curves.json")):
            os.remove(os.path.join(self.folder, "curves.json"))  # of a stage further than what was asked for now
        files = {name: digest_of(self.folder, name) for name in FILES}
        said["files"] = {name: by_hand.get(name) or found for name, found in files.items() if found}
        write_json(os.path.join(self.folder, "solve.json"), said)
        stats = {"stages": done, "seconds": round(time.monotonic() - self.began, 2), "stage": last, "device": "cpu"}
        stats.update({name: said[name] for name in ("method", "residual_mm", "seen") if name in said})
        return tuple(os.path.join(self.folder, name) for name in written), stats

    def _curves(self, stage: str) -> Curves:
        """The curves of a stage, as curves.json."""
        from sfumato.face.curves import load_curves, save_curves

        curves = load_curves(os.path.join(self.folder, f"{stage}.json"))
        about = {"stage": stage, "take": os.path.basename(inputs.path_of(self.job, "markers"))}
        save_curves(replace(curves, about=about), os.path.join(self.folder, "curves.json"))
        return curves


def _content(job: Job, name: str) -> list[str]:
    """Digests of an input's files; nothing where the job gives none."""
    path = inputs.path_of(job, name)
    if not path:
        return []
    if os.path.isdir(path):
        return [digest_of(at, one) for at, _, names in sorted(os.walk(path)) for one in sorted(names)]
    return [digest_of(os.path.dirname(path), os.path.basename(path))]


def _absolute(job: Job) -> Job:
    """The job with inputs that are found from wherever it lies."""
    given = {name: inputs.path_of(job, name) for name in job.inputs}
    outputs = {name: pattern.text for name in job.outputs if (pattern := job.output(name))}
    return replace(job, inputs=given, outputs=outputs)
