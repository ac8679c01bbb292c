"""The plug-in: menu, shelf and the undoable command sfumatoApplyCurves, while it is loaded."""

from __future__ import annotations

import os
import sys

import maya.api.OpenMaya as om

VERSION = "0.1.0"
_callbacks: list[int] = []


def maya_useNewAPI() -> None:
    """Tells Maya which of its two Python APIs this is written for."""


def _find_ourselves(folder: str) -> None:
    """Where the module file was not read (loaded by path, mayapy), our scripts and plugins are not on the path."""
    root = os.path.dirname(os.path.abspath(folder))
    for wanted in (os.path.join(root, "scripts"), os.path.join(os.path.dirname(root), "plugins")):
        if wanted not in map(os.path.abspath, sys.path) and os.path.isdir(wanted):
            sys.path.append(wanted)


def initializePlugin(plugin: om.MObject) -> None:
    """Maya calls this when the plug-in loads."""
    us = om.MFnPlugin(plugin, "sfumato", VERSION, "Any")
    _find_ourselves(us.loadPath())
    try:
        from sfumato_maya import menu, write_keys
    except ImportError as error:
        what = f"sfumato: {error}. The folders maya and plugins belong side by side; this is {us.loadPath()}"
        om.MGlobal.displayError(what)
        raise

    us.registerCommand(write_keys.NAME, write_keys.create, write_keys.syntax)
    try:
        _callbacks.append(om.MSceneMessage.addCallback(om.MSceneMessage.kMayaExiting, _leave))
        menu.make_soon()
    except Exception:
        us.deregisterCommand(write_keys.NAME)
        raise


def uninitializePlugin(plugin: om.MObject) -> None:
    """Maya calls this when the plug-in unloads: panels, menu, shelf, engine and command go."""
    us = om.MFnPlugin(plugin)
    from sfumato_maya import closing, menu, write_keys

    while _callbacks:
        om.MMessage.removeCallback(_callbacks.pop())
    closing.close_everything()
    menu.remove()
    us.deregisterCommand(write_keys.NAME)


def _leave(*_: object) -> None:
    """Maya is being closed: the engine is told, and would notice by itself."""
    from sfumato_maya import closing

    closing.close_engine()
