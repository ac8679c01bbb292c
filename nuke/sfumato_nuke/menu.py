"""The menu: one entry for each tool. Nothing of ours is imported until an entry is chosen."""

from __future__ import annotations

import nuke

TOOLS = (("Matte", "matte"),)
"""Label and name of every tool: known here without importing them; a test compares."""
_COMMAND = """\
try:
    import sfumato_nuke.menu
    sfumato_nuke.menu.make({name!r})
except Exception as error:
    nuke.message("sfumato: " + str(error))
"""


def install() -> None:
    """Add the entries to Nuke's nodes; once."""
    menu = nuke.menu("Nodes").addMenu("sfumato")
    for label, name in TOOLS:
        menu.addCommand(label, _COMMAND.format(name=name))


def make(name: str) -> None:
    """What an entry does: a new node."""
    import sfumato_plugins
    from sfumato_nuke.node import create

    create(sfumato_plugins.tool(name))
