"""A solve's curves on another rig, into a folder of their own. Needs the engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.errors import wrong
from sfumato_plugins.facing.folder import job_of, solve_of
from sfumato_plugins.ledger import write_json

if TYPE_CHECKING:
    from sfumato.report import Step

SCHEMA = "sfumato.retargeted/1"


def retarget_folder(
    folder: str, rig: str, out: str, gains: str | None, *, contacts: bool, report: Callable[[Step], None]
) -> dict[str, Any]:
    """Write OUT/curves.json for another rig, and beside it retarget.json, which says how it went.

    Args:
        folder: Of a solve. rig: The other rig's file or folder. out: A folder; made if need be.
        gains: A file of sfumato.retarget/1, where names alone are not enough.
        contacts: Keep lips and lids shut where they were.

    Returns:
        What retarget.json says, and the path of the curves.

    Raises:
        JobError: nothing is solved there, or it would be overwritten (exit 2 or 3).
        sfumato.errors.SfumatoError: a rig or the map cannot be read, or the two rigs share no control.
    """
    from sfumato.face.curves import load_curves, save_curves
    from sfumato.face.retarget import load_gains, retarget
    from sfumato.face.rig_files import load_rig
    from sfumato.report import Step
    from sfumato_plugins.facing.inputs import rig_of

    said = solve_of(folder)
    if not said.get("controls"):
        raise wrong("", f"no curves are solved in {folder} yet", "solve it to the end first")
    if os.path.realpath(out) == os.path.realpath(folder):
        raise wrong("--out", f"{out} is the folder of the solve itself", "name another one")
    curves = load_curves(os.path.join(folder, "curves.json"))
    report(Step("reading the rigs", 0, 3))
    target = load_rig(rig)
    source = rig_of(job_of(folder)) if contacts else None
    report(Step("carrying controls", 1, 3))
    moved = retarget(curves, target, source, load_gains(gains) if gains else None)
    os.makedirs(out, exist_ok=True)
    path = os.path.join(os.path.abspath(out), "curves.json")
    save_curves(moved.curves, path)
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "from": os.path.abspath(folder),
        "rig": os.path.abspath(rig),
        "controls": len(target.controls),
        "driven": len(target.controls) - len(moved.still),
        "unused": list(moved.unused),
        "still": list(moved.still),
        "limited": [list(pair) for pair in moved.limited],
        "notes": list(moved.notes),
    }
    if moved.kept:
        found["contact"] = {"frames": moved.kept.frames, "kept": moved.kept.kept}
        found["contact"]["changed"] = int(moved.kept.changed.sum())
    write_json(os.path.join(out, "retarget.json"), found)
    report(Step("written", 3, 3))
    return {**found, "curves": path}
