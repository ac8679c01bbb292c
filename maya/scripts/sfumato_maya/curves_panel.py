"""The panel that puts curves onto a rig: which file, which map, which namespace, which layer; check, then apply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import maya.api.OpenMaya as om
from maya import cmds

from sfumato_maya import controls, layers, map_editor, windows
from sfumato_maya.apply import Applied, apply
from sfumato_maya.plan import make_plan
from sfumato_plugins import control_map, curves
from sfumato_plugins.errors import JobError, Problem

WINDOW = "sfumato_curves"
ROOT = "(none)"
NEW, NONE = "a new layer", "no layer: key the controls"
CURVES_FILES = "Curves (*.json)"


def show(path: str = "", mapped: str = "") -> None:
    """Open the panel, with a curves file and a control map filled in if they are given."""
    if windows.make(WINDOW, "sfumato Apply Curves", (520, 420)):
        _draw()
    _refill()
    for name, text in (("file", path), ("map", mapped)):
        if text:
            cmds.textFieldButtonGrp(f"{WINDOW}_{name}", edit=True, text=text)
    cmds.showWindow(WINDOW)


def _draw() -> None:
    cmds.columnLayout(adjustableColumn=True, rowSpacing=2)
    for name, label, help in (
        ("file", "Curves", "a curves file (sfumato.curves/1)"),
        ("map", "Control map", "which control drives which attribute; empty: the names are attributes"),
    ):
        controls.draw_file(f"{WINDOW}_{name}", label, help, written=False, files=CURVES_FILES)
    for name, label, help in (("namespace", "Namespace", "of the rig"), ("layer", "Layer", "where the keys go")):
        flags = {"label": label, "annotation": help, "columnWidth": (1, controls.LABEL)}
        cmds.optionMenuGrp(f"{WINDOW}_{name}", **flags)
    start_help = "frame the first sample lands on; empty: its own number"
    width = (1, controls.LABEL)
    cmds.textFieldGrp(f"{WINDOW}_start", label="Start frame", annotation=start_help, columnWidth=width)
    cmds.rowLayout(numberOfColumns=3)
    cmds.button(f"{WINDOW}_check", label="Check", width=100, annotation="say what would happen", command=_check)
    cmds.button(f"{WINDOW}_apply", label="Apply", width=100, annotation="one undo takes it back", command=_apply)
    cmds.button(f"{WINDOW}_edit", label="Edit map...", width=100, annotation="the control map", command=_edit)
    cmds.setParent("..")
    cmds.textScrollList(f"{WINDOW}_list", numberOfRows=12, annotation="what stands in the way, and what to know")


def _refill() -> None:
    """Offer the scene's namespaces and layers as they are now; what was chosen stays chosen if it is still there."""
    for name, options in (("namespace", [ROOT, *_namespaces()]), ("layer", [NEW, *layers.names(), NONE])):
        menu = f"{WINDOW}_{name}"
        chosen = cmds.optionMenuGrp(menu, query=True, value=True)
        cmds.optionMenuGrp(menu, edit=True, deleteAllItems=True)
        for option in options:
            cmds.menuItem(label=option, parent=f"{menu}|OptionMenu")
        if chosen in options:
            cmds.optionMenuGrp(menu, edit=True, value=chosen)


def _namespaces() -> list[str]:
    found = cmds.namespaceInfo(":", listOnlyNamespaces=True, recurse=True) or []
    return sorted(name.strip(":") for name in found if name.strip(":") not in ("UI", "shared"))


def _asked() -> tuple[curves.Curves, control_map.ControlMap | None, str, str | None, float | None]:
    """What the panel says: curves, map, namespace, layer, start.

    Raises:
        JobError: a file or a number cannot be read.
    """
    texts = {n: cmds.textFieldButtonGrp(f"{WINDOW}_{n}", query=True, text=True).strip() for n in ("file", "map")}
    if not texts["file"]:
        raise JobError(Problem("", "no curves file is chosen"))
    space = cmds.optionMenuGrp(f"{WINDOW}_namespace", query=True, value=True)
    layer = cmds.optionMenuGrp(f"{WINDOW}_layer", query=True, value=True)
    start = cmds.textFieldGrp(f"{WINDOW}_start", query=True, text=True).strip()
    try:
        first = float(start) if start else None
    except ValueError:
        raise JobError(Problem("start", f"{start!r} is no frame")) from None
    return (
        curves.load(texts["file"]),
        control_map.load(texts["map"]) if texts["map"] else None,
        "" if space == ROOT else space,
        None if layer == NONE else layers.NEW if layer == NEW else layer,
        first,
    )


def _tell(problems: Sequence[Problem], last: str) -> None:
    lines = [line for problem in problems for line in str(problem).splitlines()]
    cmds.textScrollList(f"{WINDOW}_list", edit=True, removeAll=True)
    cmds.textScrollList(f"{WINDOW}_list", edit=True, append=[*lines, last])


def _check(*_: Any) -> None:
    try:
        take, mapped, space, layer, start = _asked()
        plan = make_plan(take, mapped, space, layer=layer, start=start)
    except JobError as error:
        return _tell(error.problems, "nothing can be applied")
    span = f"frames {plan.times[0]:g} to {plan.times[-1]:g}"
    last = f"{len(plan.writes)} attributes can be written, {len(plan.stops)} cannot; {span}"
    _tell([*plan.stops, *plan.notes], last)


def _apply(*_: Any) -> None:
    try:
        take, mapped, space, layer, start = _asked()
        plan = make_plan(take, mapped, space, layer=layer, start=start)
        _tell([*plan.stops, *plan.notes], "not applied")
        if plan.stops and not (plan.writes and _agreed(len(plan.writes), plan.stops)):
            return
        done = apply(take, mapped, space, layer=layer, start=start, partial=True)
    except JobError as error:
        return _tell(error.problems, "nothing was applied")
    except RuntimeError as error:  # Maya's own refusal
        return _tell([Problem("Maya", str(error))], "nothing was applied")
    _refill()
    _finished(done)


def _agreed(count: int, stops: Sequence[Problem]) -> bool:
    """Whether the artist wants the rest; what stands in the way is in the list behind."""
    message = f"{len(stops)} attributes cannot be written; they are in the list.\nWrite the other {count}?"
    flags = {"defaultButton": "Cancel", "cancelButton": "Cancel", "dismissString": "Cancel"}
    answer = cmds.confirmDialog(title="sfumato", message=message, button=["Write the others", "Cancel"], **flags)
    return bool(answer == "Write the others")


def _finished(done: Applied) -> None:
    _tell([*done.left_out, *done.notes], f"applied: {done}")
    om.MGlobal.displayInfo(f"sfumato: {done}")


def _edit(*_: Any) -> None:
    texts = {n: cmds.textFieldButtonGrp(f"{WINDOW}_{n}", query=True, text=True).strip() for n in ("file", "map")}
    map_editor.show(texts["map"], texts["file"])
