"""The panel that bakes the boxes of the selected transforms, as the shot's camera sees them."""

from __future__ import annotations

from typing import Any

import maya.api.OpenMaya as om
from maya import cmds

from sfumato_maya import boxes, controls, windows
from sfumato_plugins.errors import JobError
from sfumato_plugins.placing.baked import save

WINDOW = "sfumato_boxes"


def show() -> None:
    """Open the panel on the playback range."""
    if windows.make(WINDOW, "sfumato Export Boxes", (480, 200)):
        _draw()
    cmds.showWindow(WINDOW)


def _draw() -> None:
    cmds.columnLayout(adjustableColumn=True, rowSpacing=2)
    for name, help in (
        ("camera", "of the shot; empty: the one that renders"),
        ("prompt", "what the clip shows; an object's words are its name: red_ball is red ball"),
    ):
        flags = {"label": name.capitalize(), "annotation": help, "columnWidth": (1, controls.LABEL)}
        cmds.textFieldGrp(f"{WINDOW}_{name}", text="", **flags)
    span = (cmds.playbackOptions(query=True, minTime=True), cmds.playbackOptions(query=True, maxTime=True))
    for name, value, help in (("first", span[0], "first frame"), ("last", span[1], "last frame, included")):
        flags = {"label": name.capitalize(), "annotation": help, "columnWidth": (1, controls.LABEL)}
        cmds.floatFieldGrp(f"{WINDOW}_{name}", value1=value, **flags)
    help = "the file to write (sfumato.track/1), for the tool Trail"
    controls.draw_file(f"{WINDOW}_file", "Track", help, written=True, files="Tracks (*.json)")
    help = "selected transforms, by the points of their meshes; the timeline does not move"
    cmds.button(f"{WINDOW}_export", label="Export selected", annotation=help, command=_export)
    cmds.text(f"{WINDOW}_status", label="", align="left", wordWrap=True)


def _export(*_: Any) -> None:
    camera, prompt = (cmds.textFieldGrp(f"{WINDOW}_{n}", query=True, text=True).strip() for n in ("camera", "prompt"))
    first, last = (int(cmds.floatFieldGrp(f"{WINDOW}_{n}", query=True, value1=True)) for n in ("first", "last"))
    path = cmds.textFieldButtonGrp(f"{WINDOW}_file", query=True, text=True).strip()
    try:
        track = boxes.bake((), camera, first, last, prompt)
        save(path, track)
        names = ", ".join(str(one["name"]) for one in track["objects"])
        text = f"{names}: {track['count']} frames: {path}"
    except JobError as error:
        text = str(error)
    cmds.text(f"{WINDOW}_status", edit=True, label=text)
    om.MGlobal.displayInfo(f"sfumato: {text}")
