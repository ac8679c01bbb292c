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
    mayapy = "mayapy " + os.path.join(HERE, "site_check.py")
    try:
        window = in_a_window()
    except ImportError:
        print(f"{sys.executable} is not Maya's Python. Run this check with Maya's: {mayapy}")
        return 2
    if window:
        print(f"This check opens an empty scene. Run it outside: {mayapy}")
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
    loads = report.check("the plug-in loads", _load) is not None  # before the calls: one of them is its command
    site_report.calls_are_there(report, os.path.join(HERE, "host_calls.txt"), window=not cmds.about(batch=True))
    if loads:
        report.check("curves, in one undo step", _curves)
        report.check("curves, on a layer", _layer)
        report.check("markers, out of a scene", _markers)
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

    from sfumato_maya import loading

    name = loading.ensure()
    return f"{name}: {cmds.pluginInfo(name, query=True, path=True)}"


def _unload() -> str:
    from maya import cmds

    from sfumato_maya import loading

    cmds.file(newFile=True, force=True)  # what is in the undo queue keeps a plug-in loaded
    cmds.unloadPlugin(loading.loaded())
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


def _layer() -> str:
    """Key a rotation and a translation on a new layer, over a translation that is keyed, and undo."""
    from maya import cmds

    from sfumato_maya.apply import apply
    from sfumato_plugins.curves import Curves

    cmds.file(newFile=True, force=True)
    node = cmds.createNode("transform", name="sfumato_site_check")
    plugs = (f"{node}.rotateX", f"{node}.translateY")
    apply(Curves(24.0, FRAMES, (plugs[1],), ((7.0,), (7.0,), (7.0,))), layer=None)
    rows = tuple((10 * value, value) for value in VALUES)
    said = apply(Curves(24.0, FRAMES, plugs, rows))
    found = [[cmds.getAttr(plug, time=time) for plug in plugs] for time in (*FRAMES, 1001.5)]
    cmds.undo()
    after = [cmds.getAttr(plug, time=1002.0) for plug in plugs]
    wanted = [list(row) for row in (*rows, (7.5, 0.75))]
    if any(abs(a - b) > 1e-6 for x, y in zip(found, wanted) for a, b in zip(x, y)):
        raise RuntimeError(f"keyed {wanted} (the last between frames), read back {found}")
    if any(abs(a - b) > 1e-6 for a, b in zip(after, (0.0, 7.0))) or cmds.ls(said.layer):
        raise RuntimeError(f"after one undo the values are {after}, the layer is {cmds.ls(said.layer) or 'gone'}")
    return str(said)


def _markers() -> str:
    """Sample a moving locator, and look where the timeline is."""
    from maya import cmds

    from sfumato_maya.apply import apply
    from sfumato_maya.markers import sample
    from sfumato_plugins.curves import Curves

    cmds.file(newFile=True, force=True)
    node = cmds.createNode("transform", name="sfumato_site_check")
    apply(Curves(24.0, FRAMES, (f"{node}.translateX",), tuple((value,) for value in VALUES)), layer=None)
    before = cmds.currentTime(query=True)
    found = sample((1001.0, 1001.5, 1003.0), [node]).positions
    if cmds.currentTime(query=True) != before:
        raise RuntimeError("sampling moved the timeline")
    places = [place[0] if place else None for (place,) in found]
    if any(place is None or abs(place - x) > 1e-6 for place, x in zip(places, (0.0, 0.75, -2.25))):
        raise RuntimeError(f"x should be 0, 0.75 and -2.25; it is {places}")
    return "between frames too, and the timeline stays"


if __name__ == "__main__":
    _code = main()
    sys.stdout.flush()
    if "maya.cmds" not in sys.modules:
        sys.exit(_code)
    if not in_a_window():
        os._exit(_code)  # some versions hang while they uninitialise
