"""What works in this Nuke, found out once by whoever installs sfumato:

    nuke -t .../nuke/sfumato_nuke/site_check.py

Prints a report; the exit code is 0 if everything works, else 1. Changes no script and no preference.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato_plugins.site_report import Report

HERE = os.path.dirname(os.path.abspath(__file__))


def find_ourselves() -> None:
    """Also where NUKE_PATH does not name our folder; and this folder itself must not hide others' modules."""
    ours = os.path.dirname(HERE)
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != HERE]
    for folder in (ours, os.path.join(os.path.dirname(ours), "plugins")):
        if folder not in sys.path:
            sys.path.append(folder)


def main() -> int:
    """Print the report and give the exit code."""
    if "nuke" not in sys.modules and importlib.util.find_spec("nuke") is None:
        print(f"{sys.executable} is not Nuke's Python. Run this check with Nuke's: nuke -t {os.path.abspath(__file__)}")
        return 2
    find_ourselves()
    from sfumato_plugins import site_report

    return site_report.run("sfumato in Nuke: what works here", checks)


def checks(report: Report, folder: str) -> None:
    """Every check, in the order in which one needs the other."""
    import nuke

    from sfumato_plugins import site_report

    mode = "with its window" if nuke.GUI else "in a terminal"
    report.check("Nuke", lambda: f"{nuke.NUKE_VERSION_STRING} {mode}")
    site_report.python_and_qt(report)
    report.check("init.py was run", _started)
    site_report.calls_are_there(report, os.path.join(HERE, "host_calls.txt"), window=bool(nuke.GUI))
    for tool in _tools():
        report.check(f"a {tool} node", functools.partial(_node, tool))
    matte = site_report.engine(report, "nuke", folder)
    if matte:
        report.check("Nuke reads the matte", lambda: _read(matte))
    else:
        report.add(site_report.SKIPPED, "Nuke reads the matte", "there is none")


def _started() -> str:
    import nuke

    here = os.path.dirname(HERE)
    paths = [os.path.realpath(path) for path in nuke.pluginPath()]
    if os.path.realpath(here) not in paths:
        raise RuntimeError(f"{here} is not on NUKE_PATH, so artists will not find sfumato")
    return here


def _tools() -> list[str]:
    import sfumato_plugins

    return [tool.name for tool in sfumato_plugins.NODES]


def _node(name: str) -> str:
    """Build the tool's Group, look at it, and take it away again."""
    import nuke

    import sfumato_plugins
    from sfumato_nuke.design import design
    from sfumato_nuke.node import build

    tool = sfumato_plugins.tool(name)
    node = build(tool)
    try:
        missing = [knob.name for knob in design(tool).knobs if node.knob(knob.name) is None]
        if missing:
            raise RuntimeError(f"knobs that could not be made: {', '.join(missing)}")
        return f"{len(node.knobs())} knobs, {len(node.nodes())} nodes inside"
    finally:
        nuke.delete(node)


def _read(path: str) -> str:
    """The matte through Nuke's own reader."""
    import nuke

    read = nuke.nodes.Read(file=path.replace(os.sep, "/"))
    try:
        if read.hasError():
            raise RuntimeError(f"Nuke does not read {path}")
        shape = read.format()
        return f"{shape.width()} x {shape.height()}, {', '.join(sorted(read.channels()))}"
    finally:
        nuke.delete(read)


def _program() -> None:
    """Leave with the exit code; in a Nuke with a window, which would close, just print."""
    code = main()
    if "nuke" in sys.modules:
        import nuke

        if nuke.GUI:
            return
    sys.exit(code)


if __name__ == "__main__":
    _program()
