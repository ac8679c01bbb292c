"""Results in the script: the Read inside the Group, which version it shows, and whether that is up to date."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import nuke

from sfumato_nuke import knobs, matte
from sfumato_nuke.order import Order
from sfumato_nuke.quiet import step, unseen
from sfumato_plugins.engine_python import clean_environment
from sfumato_plugins.errors import wrong
from sfumato_plugins.frames import Pattern, format_frames
from sfumato_plugins.job import Job
from sfumato_plugins.template import fill, for_layer
from sfumato_plugins.tool import Tool
from sfumato_plugins.tools.matte import MATTE

Node = Any
ERROR_COLOUR = 0xC0392BFF


def pattern_of(tool: Tool, job: Job) -> Pattern:
    """The main file of a job whose version is known, absolute; %V stays in it."""
    text = fill(job).outputs[tool.main_output.name]
    path = os.path.normpath(os.path.join(job.base, text)).replace("\\", "/")
    return for_layer(Pattern(path), "rgba")


def show(node: Node, tool: Tool, job: Job) -> None:
    """Let the Read inside show a version. Going to another one is a step of the undo history, more frames are not."""
    pattern = pattern_of(tool, job)
    version = job.names.get("version", "")
    there = pattern.for_view(job.views[0] if job.views else None).on_disk() or job.written
    with unseen() if shown(node) == pattern.text else step(f"{node.name()}: show {version or 'the result'}"):
        if tool.main_output.picture:
            _point(node.node("result"), pattern.text, there)
        else:
            node["result_file"].setValue(pattern.text)
        node["result_version"].setValue(version)
        node["result_form"].setValue(_form(tool, job))
        node["has_result"].setValue(True)
        if re.fullmatch(r"(v\d+)?", str(node["label"].value())):  # an artist's own words stay
            node["label"].setValue(version)
    if nuke.GUI and tool.main_output.picture:
        node.node("result")["reload"].execute()


def shown(node: Node) -> str:
    """The files of the result: those of the Read inside, or where a result is no picture what its knob says."""
    read = node.node("result")
    return str((node["result_file"] if read is None else read["file"]).value())


def show_frame(node: Node, tool: Tool, job: Job) -> None:
    """Let the node show one solved frame."""
    with unseen():
        _point(node.node("this_frame"), pattern_of(tool, job).text, job.frames)
        node["frame_form"].setValue(_form(tool, job))
        node["has_frame"].setValue(True)
        node["show"].setValue("this frame")
    if nuke.GUI:
        node.node("this_frame")["reload"].execute()


def _form(tool: Tool, job: Job) -> int:
    return matte.form(job.params, job.outputs[tool.main_output.name]) if tool is MATTE else 0


def _point(read: Node, path: str, frames: Sequence[int]) -> None:
    read["file"].setValue(path)
    for name, value in (("first", frames[0]), ("origfirst", frames[0]), ("last", frames[-1]), ("origlast", frames[-1])):
        read[name].setValue(value)
    read["raw"].setValue(True)
    read["localizationPolicy"].setValue("off")


def remember(tool: Tool, job: Job, order: Order) -> None:
    """Leave beside a version what Nuke must know to load it: what it was made from, how it holds colour."""
    path = pattern_of(tool, job).beside(".nuke.json")
    part = f"{path}.{os.getpid()}.part"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(part, "w", encoding="utf-8") as file:
        json.dump({"state": order.state, "wants": order.wants, "job": job.to_json()}, file, indent=1)
    os.replace(part, path)


def recalled(tool: Tool, job: Job) -> dict[str, Any]:
    """What `remember` left; nothing where a version was not made from Nuke."""
    with (
        contextlib.suppress(OSError, ValueError),
        open(pattern_of(tool, job).beside(".nuke.json"), encoding="utf-8") as file,
    ):
        found = json.load(file)
        return found if isinstance(found, dict) else {}
    return {}


def load(node: Node, tool: Tool, order: Order, wanted: str) -> str:
    """Show a version that is there, the newest if none is named; gives its name.

    Raises:
        JobError: there is no such version, or it holds no frame.
    """
    there = versions(tool, order.job)
    if "{version}" not in order.job.outputs[tool.main_output.name]:
        job, name = order.job, ""
    elif not there or (wanted and wanted not in there):
        words = f"{wanted} is not there" if wanted else "there is no version yet"
        raise wrong("", words, f"there are {', '.join(there)}" if there else "press Run here, or Send to farm")
    else:
        name = wanted or there[-1]
        job = replace(order.job, names={**order.job.names, "version": name})
    note = recalled(tool, job)
    params = note.get("job", {}).get("params", job.params)
    job = replace(job, params=params)
    pattern = pattern_of(tool, job)
    frames = pattern.for_view(job.views[0] if job.views else None).on_disk()
    if not frames:
        raise wrong("", f"{name or 'the result'} has no finished frame yet", f"looked for  {pattern.text}")
    show(node, tool, job)
    _keep(node, str(note.get("state", "")), str(note.get("wants", "")))
    missing = sorted(set(job.written) - set(frames))
    return f"{name}, frames {format_frames(missing)} are not there yet" if missing else name


def versions(tool: Tool, job: Job) -> list[str]:
    """The versions whose folders (or files) are there, oldest first."""
    text = job.outputs[tool.main_output.name]
    known = {"task": job.tool, **job.names, "version": "{version}"}
    for field, value in known.items():
        text = text.replace(f"{{{field}}}", value) if field != "version" else text
    start, _, rest = os.path.normpath(os.path.join(job.base, text)).replace("\\", "/").partition("{version}")
    folder, prefix = os.path.split(start)
    tail = "" if "/" in rest and rest.index("/") == 0 else None
    name = re.compile(re.escape(prefix) + r"(v\d+)" + (r"" if tail == "" else r".*"))
    try:
        found = {match[1] for match in map(name.fullmatch, os.listdir(folder or ".")) if match}
    except OSError:
        return []
    return sorted(found, key=lambda version: int(version[1:]))


def made(node: Node, order: Order) -> None:
    """The version shown was made from how things stand in `order`."""
    _keep(node, order.state, order.wants)


def _keep(node: Node, state: str, wants: str) -> None:
    with unseen():
        node["result_state"].setValue(state)
        node["result_settings"].setValue(wants)


def status(node: Node, order: Order) -> str:
    """v003, up to date; or what changed since."""
    if not node["has_result"].value():
        return "no result yet"
    name = node["result_version"].value() or "result"
    if not os.path.isfile(Pattern(shown(node)).beside(".result.json")):
        return f"{name}, not complete"
    if not node["result_state"].value():
        return f"{name}, loaded"
    if node["result_state"].value() != order.state:
        return f"{name}, inputs changed since"
    return (
        f"{name}, up to date" if node["result_settings"].value() == order.wants else f"{name}, settings changed since"
    )


def colour_node(node: Node, failed: bool) -> None:
    """Red while the last run failed. Otherwise the artist's own colour stays."""
    knob = node["tile_color"]
    with unseen():
        if failed:
            knob.setValue(ERROR_COLOUR)
        elif int(knob.value()) == ERROR_COLOUR:
            knob.setValue(0)


def reveal(node: Node) -> None:
    """Open the folder of the result in the desktop's file browser; without a window, say where it is.

    Raises:
        JobError: there is no result.
    """
    folder = os.path.dirname(shown(node))
    if not os.path.isdir(folder):
        raise wrong("", "there is no result to reveal", "press Run here, or Load version")
    if not nuke.GUI:
        nuke.tprint(folder)
    elif sys.platform == "win32":
        os.startfile(folder)
    else:
        opener = "open" if sys.platform == "darwin" else "xdg-open"
        subprocess.Popen([opener, folder], env=clean_environment(os.environ), start_new_session=True)
    knobs.tell(node, "last_error", " ")
