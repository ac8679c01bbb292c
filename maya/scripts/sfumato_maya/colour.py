"""The colour config that Maya works with, so that a job is computed with the same."""

from __future__ import annotations

import os

from maya import cmds


def config() -> str:
    """The path of the active OCIO config; empty where Maya's colour management is off or names a file not there.

    $OCIO, which wins over the preferences in Maya too, goes into jobs by itself.
    """
    if os.environ.get("OCIO") or not cmds.colorManagementPrefs(query=True, cmEnabled=True):
        return ""
    path = str(cmds.colorManagementPrefs(query=True, configFilePath=True) or "")
    path = path.replace("<MAYA_RESOURCES>", os.path.join(os.environ.get("MAYA_LOCATION", ""), "resources"))
    return path if os.path.isfile(path) else ""
