"""The plug-in: found, loaded, and what Maya calls it (older versions keep the .py in the name)."""

from __future__ import annotations

import os

from maya import cmds

PLUGIN = "sfumato_menu"
FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "plug-ins")


def ensure() -> str:
    """Load the plug-in unless it is; its name as Maya has it.

    Raises:
        RuntimeError: Maya does not load it.
    """
    if not loaded():
        path = os.environ.get("MAYA_PLUG_IN_PATH", "")
        if FOLDER not in path.split(os.pathsep):  # by name: some versions refuse a path with a folder like v1.2.3
            os.environ["MAYA_PLUG_IN_PATH"] = os.pathsep.join(filter(None, [FOLDER, path]))
        cmds.loadPlugin(f"{PLUGIN}.py", quiet=True)
    return loaded()


def loaded() -> str:
    """Its name as Maya has it; empty while it is not loaded."""
    found = cmds.pluginInfo(query=True, listPlugins=True) or []
    return next((name for name in found if os.path.splitext(name)[0] == PLUGIN), "")
