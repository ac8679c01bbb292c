"""Tools an artist can run, the job file, the runner and the command line. Standard library only at import time."""

from sfumato_plugins.errors import nearest, wrong
from sfumato_plugins.tool import Tool
from sfumato_plugins.tools.edit import EDIT
from sfumato_plugins.tools.face import FACE
from sfumato_plugins.tools.invert import INVERT
from sfumato_plugins.tools.matte import MATTE
from sfumato_plugins.tools.place import PLACE
from sfumato_plugins.tools.trail import TRAIL

TOOLS: "tuple[Tool, ...]" = (MATTE, EDIT, INVERT, PLACE, TRAIL, FACE)
NODES: "tuple[Tool, ...]" = tuple(one for one in TOOLS if one.nodal)  # what is a node


def tool(name: str) -> Tool:
    """The tool of that name.

    Raises:
        JobError: there is none (exit 2).
    """
    for one in TOOLS:
        if one.name == name:
            return one
    raise wrong("tool", f"there is no tool {name!r}", nearest(name, [one.name for one in TOOLS]))
