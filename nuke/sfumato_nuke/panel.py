"""The panel of a tool's node, drawn from its declaration: tabs Tool, Range, Output, Farm, Info. Knows no Nuke."""

from __future__ import annotations

from collections.abc import Iterable

from sfumato_nuke.draw import parameters
from sfumato_nuke.parts import Knob
from sfumato_plugins.job import MISSING
from sfumato_plugins.parameters import Boxes
from sfumato_plugins.tool import Images, Tool

LAYOUT = 1
"""What the node looks like, counted up when `migrate.py` has to change old nodes; kept in the knob sfumato_version."""
QUEUE = "local queue"
TARGETS = (QUEUE, "openjd", "deadline-cloud", "deadline10", "opencue", "tractor", "commands")
RANGES = ("plate", "script", "frames below")
SHOW = ("result", "matte", "plate", "this frame")
PLAIN = ("result", "plate", "this frame")
MADE = ("result", "this frame")  # of a tool that takes no picture
OWN = ("its own", *RANGES[1:])
BOXES_OF = "boxes_of"

_SCRIPT = """\
try:
    import sfumato_nuke.buttons
    sfumato_nuke.buttons.press("{name}", nuke.thisNode())
except Exception as error:
    nuke.message("sfumato: " + str(error) + "\\n\\nIs sfumato's nuke folder on NUKE_PATH?")
"""


def button(name: str, label: str, help: str, same_line: bool = False) -> Knob:
    """A button; what it runs is frozen in every saved script, so it only imports us and calls one function."""
    return Knob("button", name, label, help, script=_SCRIPT.format(name=name), same_line=same_line)


def arrows(tool: Tool) -> tuple[Images, ...]:
    """The inputs that get an arrow, in the order of their numbers. What may have any size is only looked at."""
    return tuple(item for item in tool.inputs if item.picture and not item.any_size)


def named_files(tool: Tool) -> tuple[Images, ...]:
    """The inputs that are no pictures: a file knob each."""
    return tuple(item for item in tool.inputs if not item.picture)


def takes_boxes(tool: Tool) -> str:
    """The knob that boxes are baked into: a track's file, or words with boxes; empty for a tool that takes none."""
    tracks = [f"{tool.name}_{item.name}" for item in tool.inputs if item.holds == "boxes"]
    return next(iter([*tracks, *(f"{tool.name}_{p.name}" for p in tool.parameters if isinstance(p, Boxes))]), "")


def panel(tool: Tool, live: Iterable[Knob] = (), show: tuple[str, ...] = SHOW) -> tuple[Knob, ...]:
    """Every knob of a tool's node in order. `live`: knobs of the stock nodes inside that work without a solve."""
    return (*_tool(tool, tuple(live), show), *_range(tool), *_output(tool), *_farm(), *_info(tool))


def _tool(tool: Tool, live: tuple[Knob, ...], show: tuple[str, ...]) -> Iterable[Knob]:
    yield Knob("tab", f"{tool.name}_tab", "Tool", tool.help)
    yield Knob("text", "status", "Status", "Which version is shown, and whether its inputs changed since.", saved=False)
    yield button("run_here", "Run here", "Compute the range on this machine, in a process of its own.")
    if tool.main_output.picture:
        quick = "at preview quality, in the viewer's region" if tool.regional else "alone, beside the versions"
        yield button("solve_frame", "Solve this frame", f"The current frame {quick}.", True)
    yield button(
        "cancel", "Cancel", "Stop this node's run. Finished frames are kept; Run here goes on with them.", True
    )
    if tool.main_output.picture:
        yield Knob(
            "choice",
            "show",
            "Show",
            "What the node passes on. A render without a window never gets 'this frame' or an overlay.",
            show[0],
            show,
        )
    for item in named_files(tool):
        help = f"{item.help[:1].upper()}{item.help[1:]}; #### is the frame number."
        yield Knob("file", f"{tool.name}_{item.name}", item.label, help, "")
    if takes_boxes(tool):
        help = "Nodes that boxes are baked from: Roto, Tracker, Transform, CornerPin, any other. Empty: the selected."
        yield Knob("string", BOXES_OF, "Boxes of", help, "")
        help = "Bake them as Nuke evaluates them: the current frame's for a picture, the script's range for a clip."
        yield button("bake_boxes", "Bake boxes", help, True)
    yield from parameters(tool, lambda group: group != "Output")
    yield Knob("whole", "seed", "Seed", "Another seed, other noise. Both eyes share it.", 0)
    yield from live


def _range(tool: Tool) -> Iterable[Knob]:
    yield Knob("tab", "range_tab", "Range", "Which frames and views are computed.")
    ranges, whose = (
        (OWN, "Its own: a track's frames, a story's panels") if tool.span else (RANGES, "The plate's own range")
    )
    yield Knob("choice", "range_from", "Range", f"{whose}, the script's, or the frames below.", ranges[0], ranges)
    yield Knob(
        "string",
        "frames",
        "Frames",
        "1001-1048, 1001-1048x2 or 1,3,5-9; holes are kept.",
        "",
        when=("range_from", RANGES[2:]),
    )
    yield Knob("string", "views", "Views", "Names with commas between. Empty: all views of the script.", "")
    yield Knob("whole", "handles", "Handles", "Write this many more frames at both ends.", 0)
    yield Knob("whole", "context", "Context", "Read this many more frames at both ends, not written.", 0)
    yield Knob(
        "choice",
        "missing",
        "Missing frames",
        "What to do where an input has no frame: stop and say so, hold the nearest one, or skip the frame.",
        MISSING[0],
        MISSING,
    )


def _output(tool: Tool) -> Iterable[Knob]:
    yield Knob("tab", "output_tab", "Output", "Where results go and what is in them.")
    yield Knob(
        "string",
        "output",
        "Output",
        "Template with {show} {shot} {task} {version} {view} {layer} and ####;"
        " relative to the script's folder. Empty: the site's, else sfumato/{task}/{version}/...",
        "",
    )
    yield Knob("string", "output_show", "Show", "{show} in the template. Empty: the site's.", "")
    yield Knob("string", "output_shot", "Shot", "{shot} in the template.", "", same_line=True)
    yield Knob("string", "output_task", "Task", "{task} in the template. Empty: the node's name.", "", same_line=True)
    yield Knob("string", "version", "Version", "Like v003. Empty: the next one, or the one a stopped run began.", "")
    yield from parameters(tool, lambda group: group == "Output")
    if not tool.main_output.picture:
        made = tool.main_output
        yield Knob("file", "result_file", made.label, f"What was made last: {made.help}. Written by Run here.", "")
    for item in tool.outputs[1:]:
        yield Knob("switch", f"write_{item.name}", item.label, f"Also write {item.help}, beside the result.", False)
    if arrows(tool):
        yield Knob(
            "choice",
            "plate_bits",
            "Rendered plate",
            "How the plate is handed over where it has to be rendered; half holds nothing above 65504.",
            "half",
            ("half", "float"),
        )
    yield Knob("divider", "versions_divider", "Versions", "Results that are there.")
    yield Knob("string", "version_to_load", "Load", "Like v002. Empty: the newest.", "")
    yield button("load_version", "Load version", "Show that version. Nothing is computed.", True)
    yield button("reveal", "Reveal", "Open the result's folder.", True)


def _farm() -> Iterable[Knob]:
    yield Knob("tab", "farm_tab", "Farm", "Compute this node elsewhere. Our tasks need no Nuke licence.")
    yield Knob(
        "choice",
        "farm_target",
        "Target",
        "The queue of this machine, or a job file for a render manager.",
        QUEUE,
        TARGETS,
    )
    yield button(
        "send_to_farm",
        "Send to farm",
        "This node only. Inputs are rendered here and now, so the farm's"
        " tasks use no Nuke licence; the script must be saved, and a copy of it goes along.",
    )
    yield Knob("whole", "farm_slots", "Slots", "Tasks side by side in the local queue. 0: the GPUs; one on the CPU.", 0)
    yield Knob("whole", "farm_chunk", "Chunk", "Frames a task computes.", 12, same_line=True)
    yield Knob("whole", "farm_retries", "Retries", "How often a failed task is tried again.", 2, same_line=True)
    for name in ("pool", "group", "priority"):
        yield Knob(
            "string",
            f"farm_{name}",
            name.capitalize(),
            f"The farm's {name}. Empty: the site's.",
            "",
            same_line=name != "pool",
        )
    yield Knob("string", "farm_out", "Write to", "File or folder for the farm's job. Empty: beside the result.", "")


def _info(tool: Tool) -> Iterable[Knob]:
    yield Knob("tab", "info_tab", "Info", "How things stand.")
    yield Knob("text", "last_error", "Last problem", "What went wrong last, and the log that says more.", saved=False)
    yield Knob("text", "inputs_told", "Inputs", "How each input was handed over in the last run.", saved=False)
    yield button("update_status", "Update status", "Look again whether inputs changed since the version shown.")
    yield button("release_gpu", "Release GPU", "End the engine's process; all of its memory is free at once.", True)
    licences = f"Trained weights: {tool.trained_weights}. Generative: {'yes' if tool.generative else 'no'}."
    yield Knob("text", "about", "About", f"{tool.help} {licences}", licences)
    yield Knob("string", "result_version", "Version shown", "The version the result comes from.", "")
    yield Knob(
        "string",
        "sfumato_version",
        "Node version",
        "The layout of this node; an older one is brought up to date when a button is pressed.",
        str(LAYOUT),
    )
    for name, value in (("result_state", ""), ("result_settings", "")):
        yield Knob("string", name, name, "Kept for the status line: what the result was made from.", value, hidden=True)
    for name in ("has_result", "has_frame"):
        yield Knob(
            "switch", name, name, "Kept for the switch inside: whether there is anything to show.", False, hidden=True
        )
    for name in ("result_form", "frame_form"):
        yield Knob("whole", name, name, "Kept for the switch inside: how the colour is stored.", 0, hidden=True)
