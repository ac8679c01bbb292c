"""The menu and the shelf: made when the plug-in loads, gone when it unloads. Entries import what they open."""

from __future__ import annotations

import maya.api.OpenMaya as om
from maya import cmds, mel

import sfumato_plugins

MENU = "sfumatoMenu"
SHELF = "sfumato"
TOOLS = (
    ("Apply Curves...", "Curves", "put a curves file onto a rig", "from sfumato_maya import curves_panel as panel"),
    ("Control Map...", "Map", "which control drives which attribute", "from sfumato_maya import map_editor as panel"),
    (
        "Export Boxes...",
        "Boxes",
        "boxes of transforms as the camera sees them",
        "from sfumato_maya import boxes_panel as panel",
    ),
    (
        "Export Markers...",
        "Markers",
        "locators and joints as markers",
        "from sfumato_maya import markers_panel as panel",
    ),
)
_wanted: list[bool] = []


def make_soon() -> None:
    """Make menu and shelf once Maya's own window is there; nothing without a window."""
    if not cmds.about(batch=True):
        _wanted[:] = [True]
        cmds.evalDeferred(_make, lowestPriority=True)


def _make() -> None:
    if not _wanted:  # unloaded again in the meantime
        return
    remove()
    _wanted[:] = [True]
    try:
        _make_menu(mel.eval("$sfumato_window = $gMainWindow"))
        _make_shelf(mel.eval("$sfumato_shelves = $gShelfTopLevel"))
    except RuntimeError as error:  # a Maya without a shelf still animates
        om.MGlobal.displayWarning(f"sfumato: no menu or shelf: {error}")


def remove() -> None:
    """Take menu and shelf away."""
    _wanted.clear()
    if cmds.about(batch=True):
        return
    if cmds.menu(MENU, exists=True):
        cmds.deleteUI(MENU, menu=True)
    if cmds.shelfLayout(SHELF, exists=True):
        cmds.deleteUI(SHELF, layout=True)


def _entries() -> list[tuple[str, str, str, str]]:
    """Label, short label, help, and the lines of Python that open it."""
    tools = [
        (f"{t.label}...", t.label, t.help, f"from sfumato_maya import panel\npanel.show({t.name!r})")
        for t in sfumato_plugins.TOOLS
    ]
    return tools + [(label, short, help, f"{line}\npanel.show()") for label, short, help, line in TOOLS]


def _make_menu(window: str) -> None:
    cmds.menu(MENU, label="sfumato", parent=window, tearOff=True)
    for label, _, help, code in _entries():
        cmds.menuItem(label=label, annotation=help, command=code, sourceType="python", parent=MENU)
    cmds.menuItem(divider=True, parent=MENU)
    release = "from sfumato_maya import work\nwork.session().release()"
    help = "end the engine and free its GPU memory, at once or when what runs is done"
    cmds.menuItem(label="Release GPU", annotation=help, command=release, sourceType="python", parent=MENU)


def _make_shelf(shelves: str) -> None:
    cmds.shelfLayout(SHELF, parent=shelves)
    for label, short, help, code in _entries():
        flags = {"imageOverlayLabel": short, "sourceType": "python", "parent": SHELF}
        cmds.shelfButton(label=label, annotation=help, image="pythonFamily.png", command=code, **flags)
