"""The menu: an entry for each tool that is a node, one for boxes. Nothing of ours is imported until one is chosen."""

from __future__ import annotations

import importlib.util
import os

import nuke

_COMMAND = """\
try:
    import sfumato_nuke.{module}
    sfumato_nuke.{call}
except Exception as error:
    nuke.message("sfumato: " + str(error))
"""


def install() -> None:
    """Add the entries to Nuke's nodes."""
    menu = nuke.menu("Nodes").addMenu("sfumato")
    for name in tools():
        menu.addCommand(name.capitalize(), _COMMAND.format(call=f"menu.make({name!r})", module="menu"))
    menu.addCommand("Boxes...", _COMMAND.format(call="boxes.export()", module="boxes"))


def tools() -> list[str]:
    """The tools that are nodes, by the names of files: importing them would cost every start what only some need.

    Raises:
        ImportError: sfumato's plugins are not importable.
    """
    found = importlib.util.find_spec("sfumato_plugins")
    if found is None or not found.submodule_search_locations:
        raise ImportError("sfumato_plugins is not there; its folder lies beside sfumato's folder for Nuke")
    names = os.listdir(os.path.join(found.submodule_search_locations[0], "tools"))
    nodes = os.listdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "nodes"))
    known = (name[:-3] for name in names if name.endswith(".py") and not name.startswith("_"))
    return sorted(name for name in known if f"sfumato_{name}.nk" in nodes)


def make(name: str) -> None:
    """What an entry does: a new node."""
    import sfumato_plugins
    from sfumato_nuke.node import create

    create(sfumato_plugins.tool(name))
