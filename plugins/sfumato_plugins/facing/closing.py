"""The end of a solve: curves.json, and solve.json, which says what there is and what to look at. Needs the engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sfumato_plugins.facing import inputs, looking, made_of
from sfumato_plugins.facing.folder import CURVES, SOLVE, STAGES, digest_of, edits_of
from sfumato_plugins.facing.solution import Solution
from sfumato_plugins.job import Job
from sfumato_plugins.ledger import write_json

if TYPE_CHECKING:
    from sfumato.face.binding import Binding
    from sfumato.face.rig import Rig

FILES = tuple(f"{stage}.json" for stage in STAGES if stage != "features")


def close(
    job: Job, values: Mapping[str, Any], rig: Rig, binding: Binding, last: str, by_hand: Mapping[str, str]
) -> None:
    """Write both, solve.json last of all.

    last: The stage that the solve went to.
    by_hand: Digests of files as the stages left them, where a person has changed them since.
    """
    from sfumato_plugins.tools.face import folder_of

    folder = folder_of(job)
    path = os.path.join(folder, "solve.json")
    has = [stage for stage in CURVES if STAGES.index(stage) <= STAGES.index(last)]
    said = _head(job, values, folder, last)
    if has:
        _curves(job, folder, has[-1])
        said["controls"] = {n: [float(low), float(high)] for n, low, high in zip(rig.controls, rig.lower, rig.upper)}
        said.update(looking.summary(Solution.read(folder, rig, binding, said)))
    elif os.path.isfile(os.path.join(folder, "curves.json")):
        os.remove(os.path.join(folder, "curves.json"))  # of a stage further than what was asked for now
    files = {name: digest_of(folder, name) for name in FILES}
    said["files"] = {name: by_hand.get(name) or found for name, found in files.items() if found}
    write_json(path, said)


def _head(job: Job, values: Mapping[str, Any], folder: str, last: str) -> dict[str, Any]:
    from sfumato import __version__

    return {
        "schema": SOLVE,
        "stage": last,
        "method": "staged" if "solver" in job.inputs and values["method"] != "clip" else "clip",
        "solver": os.path.basename(inputs.path_of(job, "solver")),
        "actor": values["actor"],
        "version": __version__,
        "edits": len(edits_of(folder)),
        "take": made_of.take_of(job, values),
    }


def _curves(job: Job, folder: str, stage: str) -> None:
    """The curves of a stage, as curves.json."""
    from sfumato.face.curves import load_curves, save_curves

    curves = load_curves(os.path.join(folder, f"{stage}.json"))
    about = {"stage": stage, "take": os.path.basename(inputs.path_of(job, "markers"))}
    save_curves(replace(curves, about=about), os.path.join(folder, "curves.json"))
