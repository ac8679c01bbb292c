"""The nodes inside every tool's Group: inputs, a Write for each, the result, the switch. All are Nuke's own.

So a script with results opens, and renders without a window, where sfumato is not installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sfumato_nuke.panel import MADE, arrows
from sfumato_nuke.parts import Expr, Inside
from sfumato_plugins.tool import Images, Tool

REGION = "plate_region"
"""The Crop that narrows the plate to the viewer's region while one frame is solved; off otherwise."""


def frame_shown(show: Sequence[str]) -> str:
    """Expression: this frame's preview is looked at, and there is one. Never without a window."""
    return f"$gui && parent.show == {show.index('this frame')} && parent.has_frame"


def entrances(tool: Tool) -> list[Inside]:
    """The arrows, and the Crop for one frame's region."""
    found = [_arrow(item, number) for number, item in enumerate(arrows(tool))]
    if not found:
        return []
    crop = {"box": (0, 0, 64, 64), "reformat": False, "crop": False, "disable": True}
    found.append(Inside("Crop", REGION, (tool.main_input.name,), crop, at=(0, 2)))
    return found


def writes(tool: Tool, instead: Mapping[str, str]) -> list[Inside]:
    """A Write for each arrow: EXR, one line a block, raw, off until an input has to be rendered.

    instead: Inner nodes whose picture is rendered in place of an input's own.
    """
    found = []
    for column, item in enumerate(arrows(tool)):
        source = REGION if item is tool.main_input else instead.get(item.name, item.name)
        knobs = {
            "channels": "rgb" if item.colour else "rgba",
            "file_type": "exr",
            "datatype": "16 bit half" if item.colour else "32 bit float",
            "compression": "Zip (1 scanline)",
            "raw": True,
            "create_directories": True,
            "disable": True,
        }
        found.append(Inside("Write", f"write_{item.name}", (source,), knobs, at=(column, 8)))
    return found


def readers(show: Sequence[str]) -> list[Inside]:
    """The result's Read, that of one solved frame, and which of them is meant: `solved`."""
    knobs = {"raw": True, "localizationPolicy": "off"}
    return [
        Inside("Read", "result", (), knobs, at=(-6, 9)),
        Inside("Read", "this_frame", (), knobs, at=(-5, 9)),
        Inside("Switch", "solved", ("result", "this_frame"), {"which": Expr(frame_shown(show))}, at=(-6, 10)),
    ]


def exits(show: Sequence[str], pictures: Mapping[str, str]) -> list[Inside]:
    """The switch and the way out: for each word of `show` the node that gives it.

    Until there is a result the plate comes through; a render without a window gets the result in place of overlays.
    """
    plate = show.index("plate")
    only = " || ".join(f"parent.show == {i}" for i, word in enumerate(show) if word not in ("result", "matte", "plate"))
    first = show.index("result")
    frame = show.index("this frame")
    which = (
        f"!$gui && ({only}) ? (parent.has_result ? {first} : {plate}) : "
        f"parent.show == {frame} ? (parent.has_frame ? {frame} : parent.has_result ? {first} : {plate}) : "
        f"parent.show < {plate} && !parent.has_result ? {plate} : parent.show"
    )
    inputs = tuple(pictures[word] for word in show)
    return [
        Inside("Switch", "view", inputs, {"which": Expr(which)}, at=(-3, 18)),
        Inside("Output", "Output1", ("view",), at=(-3, 19)),
    ]


def exits_alone() -> list[Inside]:
    """The way out of a node that takes no picture: black until there is a result."""
    frame = frame_shown(MADE)
    which = f"{frame} || parent.has_result ? 1 : 0"
    return [
        Inside("Constant", "nothing", (), {}, at=(-4, 17)),
        Inside("Switch", "view", ("nothing", "solved"), {"which": Expr(which)}, at=(-3, 18)),
        Inside("Output", "Output1", ("view",), at=(-3, 19)),
    ]


def way_through(tool: Tool) -> list[Inside]:
    """The way out of a node whose result is no picture: the plate comes through."""
    return [Inside("Output", "Output1", (tool.main_input.name,), at=(0, 10))]


def _arrow(item: Images, number: int) -> Inside:
    knobs = {"number": number} if number else {}
    return Inside("Input", item.name, (), knobs, at=(number, 0))
