"""What works in this Maya, found out once by whoever installs sfumato:

    mayapy .../maya/scripts/sfumato_maya/site_check.py

Prints a report; the exit code is 0 if everything works, else 1. Works in a new, empty scene, and therefore refuses to
run in a Maya with a window; saves nothing.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato_plugins.site_report import Report

HERE = os.path.dirname(os.path.abspath(__file__))
FRAMES = (1001.0, 1002.0, 1003.0)
VALUES = (0.0, 1.5, -2.25)


def find_ourselves() -> None:
    """mayapy may not look into a module's scripts/; and this folder itself must not hide others' modules."""
    scripts = os.path.dirname(HERE)
    plugins = os.path.join(os.path.dirname(os.path.dirname(scripts)), "plugins")
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != HERE]
    sys.path += [folder for folder in (scripts, plugins) if folder not in sys.path]


def main() -> int:
    """Print the report and give the exit code."""
    if in_a_window():
        print("This check opens an empty scene. Run it outside: mayapy " + os.path.join(HERE, "site_check.py"))
        return 2
    find_ourselves()
    from sfumato_plugins import site_report

    return site_report.run("sfumato in Maya: what works here", checks)


def in_a_window() -> bool:
    """Whether this is somebody's open Maya. In mayapy the commands are not there before it is initialised."""
    from maya import cmds

    return hasattr(cmds, "about") and not cmds.about(batch=True)


def checks(report: Report, folder: str) -> None:
    """Every check, in the order in which one needs the other."""
    import maya.standalone

    from sfumato_plugins import site_report

    maya.standalone.initialize(name="python")
    from maya import cmds

    report.check("Maya", lambda: f"{cmds.about(version=True)}, API {cmds.about(apiVersion=True)}")
    site_report.python_and_qt(report)
    report.check("the module is known", _module)
    site_report.calls_are_there(report, os.path.join(HERE, "host_calls.txt"), window=not cmds.about(batch=True))
    if report.check("the plug-in loads", _load) is not None:
        report.check("curves, in one undo step", _curves)
        report.check("the plug-in unloads", _unload)
    site_report.engine(report, "maya", folder)


def _module() -> str:
    from maya import cmds

    found = cmds.moduleInfo(listModules=True) or []
    if "sfumato" not in found:
        raise RuntimeError("the folder of sfumato.mod is not on MAYA_MODULE_PATH, so artists will not find sfumato")
    return str(cmds.moduleInfo(path=True, moduleName="sfumato"))


def _load() -> str:
    from maya import cmds

    path = os.path.join(os.path.dirname(os.path.dirname(HERE)), "plug-ins", "sfumato_menu.py")
    cmds.loadPlugin(path, quiet=True)
    return path


def _unload() -> str:
    from maya import cmds

    cmds.file(newFile=True, force=True)
    cmds.unloadPlugin("sfumato_menu")
    return ""


def _curves() -> str:
    """Key a node, read the keys back, and undo."""
    from maya import cmds

    from sfumato_maya.apply import apply
    from sfumato_plugins.curves import Curves

    cmds.file(newFile=True, force=True)
    plug = cmds.createNode("transform", name="sfumato_site_check") + ".translateX"
    rows = tuple((value,) for value in VALUES)
    said = apply(Curves(24.0, FRAMES, (plug,), rows), layer=None)
    keyed = [cmds.getAttr(plug, time=frame) for frame in FRAMES]
    cmds.undo()
    after = [cmds.getAttr(plug, time=frame) for frame in FRAMES]
    if any(abs(a - b) > 1e-6 for a, b in zip(keyed, VALUES)):
        raise RuntimeError(f"keyed {VALUES}, read back {keyed}")
    if any(after):
        raise RuntimeError(f"after one undo the values are {after}")
    return str(said)


if __name__ == "__main__":
    _code = main()
    sys.stdout.flush()
    if not in_a_window():
        os._exit(_code)  # some versions hang while they uninitialise
