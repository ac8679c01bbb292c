"""Drag this file into a Maya viewport: sfumato is there at once, and in every Maya started from then on.

It writes sfumato.mod, with this folder's path, into the user's modules folder, and has the plug-in loaded at start.
Nothing is copied. To take it back: unload sfumato_menu in the Plug-in Manager and delete that sfumato.mod.
"""

from __future__ import annotations

import os
import sys

from maya import cmds

MODULE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def onMayaDroppedPythonFile(*_: object) -> None:
    """Maya calls this for a Python file that is dropped into it."""
    try:
        path = install()
        text = f"sfumato is installed: {path}"
    except (OSError, RuntimeError) as error:
        text = f"sfumato is not installed: {error}"
    finally:
        sys.modules.pop(__name__, None)  # or a second drop would do nothing
    cmds.confirmDialog(title="sfumato", message=text, button=["OK"])


def install() -> str:
    """Write the module file, load the plug-in now and from now on. Gives the module file's path.

    Raises:
        OSError: the modules folder cannot be written.
        RuntimeError: Maya does not load the plug-in.
    """
    folder = os.path.join(cmds.internalVar(userAppDir=True), "modules")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "sfumato.mod")
    part = os.path.join(os.path.dirname(folder), f".sfumato.mod.{os.getpid()}.part")  # all in modules/ is parsed
    with open(part, "w", encoding="utf-8") as file:
        file.write(module_text())
    os.replace(part, path)
    scripts = os.path.join(MODULE, "scripts")
    sys.path += [] if scripts in sys.path else [scripts]
    from sfumato_maya import loading

    cmds.pluginInfo(loading.ensure(), edit=True, autoload=True)
    cmds.pluginInfo(savePluginPrefs=True)
    return path


def module_text() -> str:
    """Our sfumato.mod with absolute paths in place of relative ones."""
    with open(os.path.join(MODULE, "sfumato.mod"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    root = MODULE.replace("\\", "/")
    found = []
    for line in lines:
        if line.startswith("+"):
            line = f"{line.rpartition(' ')[0]} {root}"
        found.append(line)
    return "\n".join(found) + "\n"
