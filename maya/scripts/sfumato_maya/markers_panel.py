"""The panel that exports the selected locators and joints as markers."""

from __future__ import annotations

from typing import Any

import maya.api.OpenMaya as om
from maya import cmds

from sfumato_maya import controls, markers, windows
from sfumato_plugins.errors import JobError

WINDOW = "sfumato_markers"


def show() -> None:
    """Open the panel on the playback range."""
    if windows.make(WINDOW, "sfumato Export Markers", (480, 180)):
        _draw()
    cmds.showWindow(WINDOW)


def _draw() -> None:
    cmds.columnLayout(adjustableColumn=True, rowSpacing=2)
    span = (cmds.playbackOptions(query=True, minTime=True), cmds.playbackOptions(query=True, maxTime=True), 1.0)
    for name, value, help in (
        ("first", span[0], "first frame"),
        ("last", span[1], "last frame, included"),
        ("step", span[2], "0.5 samples between frames too"),
    ):
        flags = {"label": name.capitalize(), "annotation": help, "columnWidth": (1, controls.LABEL)}
        cmds.floatFieldGrp(f"{WINDOW}_{name}", value1=value, **flags)
    help = "the file to write (sfumato.markers/1)"
    controls.draw_file(f"{WINDOW}_file", "Markers", help, written=True, files="Markers (*.json)")
    help = "selected locators and joints; the timeline does not move; hidden is unseen"
    cmds.button(f"{WINDOW}_export", label="Export selected", annotation=help, command=_export)
    cmds.text(f"{WINDOW}_status", label="", align="left", wordWrap=True)


def _export(*_: Any) -> None:
    numbers = [cmds.floatFieldGrp(f"{WINDOW}_{n}", query=True, value1=True) for n in ("first", "last", "step")]
    path = cmds.textFieldButtonGrp(f"{WINDOW}_file", query=True, text=True).strip()
    try:
        found = markers.sample(markers.spread(*numbers))
        found.save(path)
        unseen = sum(place is None for row in found.positions for place in row)
        text = f"{len(found.names)} markers, {len(found.frames)} frames, unseen {unseen} times: {path}"
    except JobError as error:
        text = str(error)
    except OSError as error:
        text = f"{path or 'no file'} cannot be written: {error.strerror}"
    cmds.text(f"{WINDOW}_status", edit=True, label=text)
    om.MGlobal.displayInfo(f"sfumato: {text}")
