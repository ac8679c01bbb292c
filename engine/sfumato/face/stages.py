"""The solve as separate steps with files between them, each of which can be looked at, changed and run again.

ingest.json -> stabilise -> clean -> features -> jaw -> regions -> finetune. A stage reads the files of those before it
and writes its own; `stale` knows from what each was made. After FDLS: the jaw first, then the rest given the jaw, then
everything against the markers (`stage_curves`). Without a trained solver each of the three is a classical solve of the
whole clip.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import save

from sfumato.atomic import write_bytes
from sfumato.errors import InputError
from sfumato.face import stage_curves
from sfumato.face.binding import Binding
from sfumato.face.clean import clean
from sfumato.face.clip_settings import ClipSettings
from sfumato.face.control_names import find
from sfumato.face.features import build_graph, graph_features
from sfumato.face.regions import JAW
from sfumato.face.rig import Rig
from sfumato.face.stabilise import stabilise
from sfumato.face.stage_kept import Kept, keep
from sfumato.face.stage_takes import load_take, save_take
from sfumato.face.stage_work import Solver, Work
from sfumato.face.stale import READS, record
from sfumato.report import Report, Step, silent


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
    work = Work(folder, stage, rig, binding, solver, settings or ClipSettings(), report, made_with)
    line: dict[str, Any] = {"from": work.made_from, "inputs": work.inputs}
    if stage in BEFORE_CURVES:
        BEFORE_CURVES[stage](work)
    else:
        kept = CURVES[stage](work)
        line |= {"kept": keep(work, kept), "parts": kept.parts}
    record(folder, stage, line)


def jaw_controls(rig: Rig) -> tuple[str, ...]:
    """The controls that the jaw stage solves; a rig without a jaw has none."""
    return tuple(rig.controls[i] for i in find(rig.controls, *JAW))


def _stabilise(work: Work) -> None:
    found = stabilise(load_take(work.folder, "ingest"), work.rig, work.binding, work.report)
    save_take(found.markers, work.folder, "stabilise", turn=found.turn, shift=found.shift)


def _clean(work: Work) -> None:
    still = load_take(work.folder, "stabilise").only(work.binding.names, unseen=True)
    found = clean(still, work.rest, work.report)
    save_take(found.markers, work.folder, "clean", confidence=found.confidence, wild=found.wild)


def _features(work: Work) -> None:
    work.report(Step("graph", 0, 1))
    graph = build_graph(work.rest)
    values, valid = graph_features(graph, work.markers.positions)
    data = save({"edges": graph.edges, "values": values.float().contiguous(), "valid": valid.contiguous()})
    write_bytes(work.folder / "features.safetensors", data)


BEFORE_CURVES: dict[str, Callable[[Work], None]] = {"stabilise": _stabilise, "clean": _clean, "features": _features}
CURVES: dict[str, Callable[[Work], Kept]] = {
    "jaw": stage_curves.jaw,
    "regions": stage_curves.regions,
    "finetune": stage_curves.finetune,
}
