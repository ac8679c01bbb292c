"""A tool's whole node as data. Knows no Nuke."""

from __future__ import annotations

from sfumato_nuke import matte
from sfumato_nuke.inside import entrances, exits, exits_alone, readers, way_through, writes
from sfumato_nuke.panel import MADE, PLAIN, arrows, panel
from sfumato_nuke.parts import Design
from sfumato_plugins.tool import Tool
from sfumato_plugins.tools.matte import MATTE


def design(tool: Tool) -> Design:
    """The node of any tool; a tool whose result comp wants to tweak has more inside."""
    help = f"{tool.help} Needs sfumato only to compute; results show without it."
    if not tool.main_output.picture:
        inside = [*entrances(tool), *writes(tool, {}), *way_through(tool)]
        return Design(f"sfumato_{tool.name}", help, panel(tool), tuple(inside))
    if not arrows(tool):
        inside = [*readers(MADE), *exits_alone()]
        return Design(f"sfumato_{tool.name}", help, panel(tool, show=MADE), tuple(inside))
    if tool is not MATTE:
        pictures = {"result": "solved", "plate": tool.main_input.name, "this frame": "solved"}
        inside = [*entrances(tool), *writes(tool, {}), *readers(PLAIN), *exits(PLAIN, pictures)]
        return Design(f"sfumato_{tool.name}", help, panel(tool, show=PLAIN), tuple(inside))
    pictures = {
        "result": "finished",
        "matte": "matte_view",
        "plate": "plate",
        "unknown band": "band_over",
        "this frame": "finished",
    }
    inside = [
        *entrances(tool),
        *matte.band(),
        *writes(tool, {"trimap": matte.BAND}),
        *readers(matte.SHOWN),
        *matte.finish(),
        *exits(matte.SHOWN, pictures),
    ]
    return Design(f"sfumato_{tool.name}", help, panel(tool, matte.LIVE, matte.SHOWN), tuple(inside))
