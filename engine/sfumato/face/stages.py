"""The solve as separate steps with files between them, each of which can be looked at, changed and run again.

ingest.json -> stabilise -> clean -> features -> jaw -> regions -> finetune. A stage reads the files of those before it
and writes its own; the manifest knows from what each was made. After FDLS: the jaw first, then the rest given the jaw,
then everything against the markers. Without a trained solver each of the three is a classical solve of the whole clip.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from sfumato.atomic import write_bytes
from sfumato.errors import InputError
from sfumato.face.binding import Binding
from sfumato.face.clean import clean
from sfumato.face.clip import ClipSettings, Known, Prior, Solved, solve_clip
from sfumato.face.control_names import find
from sfumato.face.curves import Curves, load_curves, save_curves
from sfumato.face.edits import Key, dependants, read_edits, window
from sfumato.face.features import build_graph, graph_features
from sfumato.face.markers import Markers, load_markers, save_markers
from sfumato.face.quality import look
from sfumato.face.rig import Rig
from sfumato.face.solver_file import SolverFile
from sfumato.face.stabilise import stabilise
from sfumato.report import Report, Step, silent

STAGES = ("stabilise", "clean", "features", "jaw", "regions", "finetune")
READS = {  # the files that decide what a stage makes, besides rig, binding, solver and fixed keys
    "stabilise": ("ingest.json",),
    "clean": ("stabilise.json",),
    "features": ("clean.json",),
    "jaw": ("clean.json", "clean.safetensors"),
    "regions": ("clean.json", "clean.safetensors", "jaw.json"),
    "finetune": ("clean.json", "clean.safetensors", "regions.json"),
}
WRITES = {"features": ("features.safetensors",)}
JAW = ("jawOpen", "jawForward", "jawLeft", "jawRight")
SOFT, SOFT_REACH = 5e4, 3.0  # weight of a key that is not locked, and samples over which it fades


class Solver(Protocol):
    """What a trained solver says of a take.

    jaw: The jaw's curves. regions: All controls' curves, given the jaw's. weight: (K,) how much the fine-tune believes
    each of them.
    """

    @property
    def weight(self) -> Tensor: ...
    def jaw(self, clean: Markers, confidence: Tensor) -> Curves: ...
    def regions(self, clean: Markers, confidence: Tensor, jaw: Curves) -> Curves: ...


def stale(folder: str | Path, made_with: str = "") -> list[str]:
    """Stages that have to be run: not run yet, or made from something else than lies there now.

    made_with: Stands for rig, binding, solver and settings.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    found = []
    for stage in STAGES:
        known = manifest.get(stage, {})
        there = all((folder / name).is_file() for name in _written(stage))
        before = any(other in found for other in STAGES[: STAGES.index(stage)])
        if before or not there or known.get("from") != _from(folder, stage, made_with):
            found.append(stage)
    return found


def run_stage(
    folder: str | Path,
    stage: str,
    rig: Rig,
    binding: Binding,
    solver: Solver | None = None,
    settings: ClipSettings | None = None,
    report: Report = silent,
    made_with: str = "",
) -> None:
    """Run one stage; its files appear whole or not at all, its line in the manifest last.

    Raises:
        InputError: a stage before it has not been run, or a file cannot be read.
        sfumato.errors.Cancelled: by `report`.
    """
    folder = Path(folder)
    for name in READS[stage]:
        if not (folder / name).is_file():
            raise InputError(f"{folder / name} is not there: {stage} needs it", "run the stages before it first")
    _Run(folder, rig, binding, solver, settings or ClipSettings(), report, made_with).go(stage)


def jaw_controls(rig: Rig) -> tuple[str, ...]:
    """The controls that the jaw stage solves; a rig without a jaw has none."""
    return tuple(rig.controls[i] for i in find(rig.controls, *JAW))


class _Run:
    def __init__(
        self,
        folder: Path,
        rig: Rig,
        binding: Binding,
        solver: Solver | None,
        settings: ClipSettings,
        report: Report,
        made_with: str,
    ) -> None:
        self.folder, self.rig, self.binding, self.solver = folder, rig, binding, solver
        self.settings, self.report, self.made_with = settings, report, made_with
        self.keys = [key for key in read_edits(folder) if key.control in rig.controls]
        self._clean_take: Markers | None = None  # read once a stage

    def go(self, stage: str) -> None:
        made_from = _from(self.folder, stage, self.made_with)
        getattr(self, f"_{stage}")()
        manifest = _manifest(self.folder)
        manifest[stage] = {
            "from": made_from,
            "inputs": _inputs(self.folder, stage, self.made_with),
            "keys": [list(vars(key).values()) for key in self.keys],
            "kept": _digest(self.folder / f"{stage}.safetensors"),
        }
        write_bytes(self.folder / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())

    def _stabilise(self) -> None:
        found = stabilise(load_markers(self.folder / "ingest.json"), self.rig, self.binding, self.report)
        self._tensors("stabilise", turn=found.turn, shift=found.shift)
        save_markers(found.markers, self.folder / "stabilise.json")

    def _clean(self) -> None:
        still = load_markers(self.folder / "stabilise.json").only(self.binding.names, unseen=True)
        rest = self.binding.at(self.rig, torch.zeros(len(self.rig.controls), dtype=torch.float64))
        found = clean(still, rest, self.report)
        self._tensors("clean", confidence=found.confidence, wild=found.wild)
        save_markers(found.markers, self.folder / "clean.json")

    def _features(self) -> None:
        rest = self.binding.at(self.rig, torch.zeros(len(self.rig.controls), dtype=torch.float64))
        self.report(Step("graph", 0, 1))
        graph = build_graph(rest)
        values, valid = graph_features(graph, self._markers().positions)
        self._tensors("features", edges=graph.edges, values=values.float(), valid=valid)

    def _jaw(self) -> None:
        names = jaw_controls(self.rig)
        mine = [key for key in self.keys if key.control in names]
        if self.solver is not None:
            solver, _ = self._of_the_day()
            curves = self._keyed(solver.jaw(self._markers(), self._confidence()).only(names), mine)
        else:
            again = self._again("jaw", mine, self._blank().only(()))
            solved = again or self._whole(self._keyed(self._blank(), mine), mine)
            self._tensors("jaw", values=solved.curves.values, rigid=solved.rigid, offsets=solved.offsets)
            curves = solved.curves.only(names)
        save_curves(self._locked(curves, mine), self.folder / "jaw.json")

    def _regions(self) -> None:
        jaw = load_curves(self.folder / "jaw.json")
        if self.solver is not None:
            solver, _ = self._of_the_day()
            found = solver.regions(self._markers(), self._confidence(), jaw).only(self.rig.controls)
            curves = self._keyed(_put(found, jaw), self.keys)
        else:
            solved = self._again("regions", self.keys, jaw) or self._given_the(jaw)
            self._tensors("regions", values=solved.curves.values, rigid=solved.rigid, offsets=solved.offsets)
            curves = _put(solved.curves, jaw)
        save_curves(self._locked(curves, self.keys), self.folder / "regions.json")

    def _given_the(self, jaw: Curves) -> Solved:
        """Everything but the jaw, from where the jaw's own solve left it."""
        path = self.folder / "jaw.safetensors"
        begin = replace(self._blank(), values=load_file(path)["values"]) if path.is_file() else self._blank()
        start = self._keyed(_put(begin, jaw), self.keys)
        free = torch.tensor([name not in jaw.names for name in self.rig.controls]).expand(start.values.shape)
        return self._whole(start, self.keys, free=free)

    def _finetune(self) -> None:
        start = self._keyed(load_curves(self.folder / "regions.json").only(self.rig.controls), self.keys)
        solved = self._tuned_again(start)
        if solved is None:
            prior = Prior(start.values, self.solver.weight.expand_as(start.values)) if self.solver else None
            _, day = self._of_the_day()
            solved = self._whole(start, self.keys, prior, day=day)
        self._tensors("finetune", residual=solved.residual, weight=solved.weight, rigid=solved.rigid,
                      offsets=solved.offsets, start=start.values, values=solved.curves.values)  # fmt: skip
        save_curves(self._locked(solved.curves, self.keys), self.folder / "finetune.json")

    # what the stages have in common

    def _of_the_day(self) -> tuple[Solver, Tensor]:
        """The solver on the day of this take, and that day's offsets (M, 3); both as they are for the day it knows."""
        still = torch.zeros(len(self.binding.names), 3, dtype=torch.float64)
        if not isinstance(self.solver, SolverFile):
            return self.solver, still  # type: ignore[return-value]
        found = look(self.solver, self._markers(), self._confidence(), self.rig, self.binding)
        return found.on(self.solver, self.binding), found.offsets

    def _whole(
        self,
        start: Curves,
        keys: list[Key],
        prior: Prior | None = None,
        free: Tensor | None = None,
        day: Tensor | None = None,
    ) -> Solved:
        prior = self._soft(start, keys, prior)
        start, markers = self._locked(start, keys), self._markers()
        if day is not None:
            markers = replace(markers, positions=markers.positions - day)
        found = solve_clip(markers, self.rig, self.binding, self.settings, self.report, start, prior,
                           self._confidence(), free)  # fmt: skip
        return found if day is None else replace(found, offsets=found.offsets + day)

    def _part(self, start: Curves, known: Solved, rows: Tensor, controls: frozenset[str]) -> Solved:
        """Solve again what changed, on these samples and controls; everything else keeps its bits."""
        column = torch.tensor([name in controls for name in self.rig.controls])
        span = torch.nonzero(rows)[:, 0]
        first, last = max(0, int(span[0]) - 2), min(len(rows), int(span[-1]) + 3)
        mixed = start.values.clone()
        for key in self.keys:
            mixed[self._row(start, key), self.rig.controls.index(key.control)] = key.value
        part = slice(first, last)
        markers, frames = self._markers(), start.frames[part]
        cut = replace(markers, positions=markers.positions[part], start=frames[0])
        begin = Curves(self.rig.controls, frames, mixed[part], start.fps)
        keys = [key for key in self.keys if frames[0] <= key.frame <= frames[-1]]
        begin = self._locked(begin, keys)
        done = solve_clip(cut, self.rig, self.binding, self.settings, self.report, begin, self._soft(begin, keys, None),
                          self._confidence()[part], (rows[:, None] & column)[part],
                          Known(known.rigid[part], known.offsets))  # fmt: skip
        values, residual, weight = known.curves.values.clone(), known.residual.clone(), known.weight.clone()
        values[part], residual[part], weight[part] = done.curves.values, done.residual, done.weight
        return Solved(replace(start, values=values), known.rigid, known.offsets, residual, weight)

    def _again(self, stage: str, keys: list[Key], given: Curves) -> Solved | None:
        """The stage's last solve with only what depends on changes solved again; None where more has changed.

        given: Curves of the stage before; where they are not as they were, this stage's follow.
        """
        known = self._kept(stage)
        before = _manifest(self.folder).get(stage, {})
        if known is None or not _same(before, _inputs(self.folder, stage, self.made_with), but="jaw.json"):
            return None
        start = _put(known.curves, given)
        differs = start.values != known.curves.values
        return self._followed(known, start, self._differing(before, keys), differs, set(given.names))

    def _tuned_again(self, start: Curves) -> Solved | None:
        """The last fine-tune with only what depends on changes solved again; None where more has changed."""
        known = self._kept("finetune")
        before = _manifest(self.folder).get("finetune", {})
        if known is None or not _same(before, _inputs(self.folder, "finetune", self.made_with), but="regions.json"):
            return None
        differs = load_file(self.folder / "finetune.safetensors")["start"] != start.values
        return self._followed(known, known.curves, self._differing(before, self.keys), differs, set())

    def _followed(self, known: Solved, start: Curves, keys: list[Key], differs: Tensor, held: set[str]) -> Solved:
        """Solve again what goes with these keys and with controls that differ (F, K); `held` ones stay.

        What depends on a control is looked for once, from where the change began: a key or the jaw. Other controls
        that differ have followed it already in the stage before.
        """
        names = {name for name, other in zip(self.rig.controls, differs.any(0).tolist(), strict=True) if other}
        began = {key.control for key in keys} | (names & set(jaw_controls(self.rig)))
        if not names and not began:
            return known
        rows = window(start.frames, keys) | differs.any(1)
        return self._part(start, known, rows, (dependants(self.rig, began or names) | names) - held)

    def _kept(self, stage: str) -> Solved | None:
        """The stage's last solve, with what a person has changed in its file since; None where it is not whole."""
        path, file = self.folder / f"{stage}.safetensors", self.folder / f"{stage}.json"
        if not file.is_file() or _manifest(self.folder).get(stage, {}).get("kept", "") != (_digest(path) or "none"):
            return None
        kept, blank = load_file(path), self._blank()
        if kept.get("values", blank.values).shape != blank.values.shape or "rigid" not in kept:
            return None
        shape = (len(blank.frames), len(self.binding.names))
        residual = kept.get("residual", torch.full(shape, torch.nan, dtype=torch.float64))
        weight = kept.get("weight", torch.ones(shape, dtype=torch.float64))
        curves = _put(replace(blank, values=kept["values"]), load_curves(file))
        return Solved(replace(curves, locked=frozenset()), kept["rigid"], kept["offsets"], residual, weight)

    def _differing(self, before: Mapping[str, Any], keys: list[Key]) -> list[Key]:
        known = {Key(float(f), str(c), float(v), bool(k)) for f, c, v, k in before.get("keys", ())}
        mine = set(keys)
        return sorted(known ^ mine, key=lambda key: (key.frame, key.control))

    def _soft(self, start: Curves, keys: list[Key], prior: Prior | None) -> Prior | None:
        """Keys that are not locked, as a belief that fades over some samples."""
        loose = [key for key in keys if not key.locked]
        if not loose:
            return prior
        values = start.values.clone() if prior is None else prior.values.clone()
        weight = torch.zeros_like(values) if prior is None else prior.weight.clone()
        for key in loose:
            row, column = self._row(start, key), self.rig.controls.index(key.control)
            values[row, column] = key.value
            weight[row, column] = SOFT
        return Prior(values, weight)

    def _keyed(self, curves: Curves, keys: list[Key]) -> Curves:
        values = curves.values.clone()
        for key in keys:
            if key.control in curves.names:
                values[self._row(curves, key), curves.names.index(key.control)] = key.value
        return replace(curves, values=values)

    def _locked(self, curves: Curves, keys: list[Key]) -> Curves:
        names = set(curves.names)
        pairs = {
            (curves.frames[self._row(curves, key)], key.control) for key in keys if key.locked and key.control in names
        }
        return replace(curves, locked=curves.locked | pairs)

    def _row(self, curves: Curves, key: Key) -> int:
        return min(range(len(curves.frames)), key=lambda i: abs(curves.frames[i] - key.frame))

    def _blank(self) -> Curves:
        markers = self._markers()
        values = torch.zeros(len(markers.positions), len(self.rig.controls), dtype=torch.float64)
        return Curves(self.rig.controls, markers.frames, values, markers.timeline_fps)

    def _markers(self) -> Markers:
        if self._clean_take is None:
            self._clean_take = load_markers(self.folder / "clean.json").only(self.binding.names, unseen=True)
        return self._clean_take

    def _confidence(self) -> Tensor:
        sure = load_file(self.folder / "clean.safetensors")["confidence"]
        return torch.where(sure < 0.5, torch.zeros_like(sure), sure)  # what was filled in tells nothing new

    def _tensors(self, stage: str, **tensors: Tensor) -> None:
        write_bytes(self.folder / f"{stage}.safetensors", save({k: t.contiguous() for k, t in tensors.items()}))


def _put(into: Curves, curves: Curves) -> Curves:
    """Curves with some controls taken from others."""
    values = into.values.clone()
    for name in curves.names:
        if name in into.names:
            values[:, into.names.index(name)] = curves.of(name)
    return replace(into, values=values, locked=into.locked | curves.locked)


def _same(before: Mapping[str, Any], now: Mapping[str, str], but: str) -> bool:
    """Whether a stage reads what it read the last time, one file aside."""
    known = before.get("inputs", {})
    return {k: v for k, v in known.items() if k != but} == {k: v for k, v in now.items() if k != but}


def _written(stage: str) -> tuple[str, ...]:
    return WRITES.get(stage, (f"{stage}.json",))


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _inputs(folder: Path, stage: str, made_with: str) -> dict[str, str]:
    return {**{name: _digest(folder / name) for name in READS[stage]}, "made_with": made_with}


def _from(folder: Path, stage: str, made_with: str) -> str:
    keys = [list(vars(key).values()) for key in read_edits(folder)] if stage in ("jaw", "regions", "finetune") else []
    text = json.dumps([_inputs(folder, stage, made_with), keys])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _digest(path: Path) -> str:
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return ""
