"""What the node's buttons do. The buttons in saved scripts call `press`, so its name and arguments never change."""

from __future__ import annotations

import os
import traceback
from typing import Any, Callable

import nuke

import sfumato_plugins
from sfumato_nuke import box_knobs, farm, knobs, migrate, results, scratch, send
from sfumato_nuke.design import design
from sfumato_nuke.inputs import Cancelled
from sfumato_nuke.order import order, script_folder
from sfumato_nuke.under_way import tell_failure
from sfumato_nuke.watch import WATCH
from sfumato_plugins.engine_python import NoEngine
from sfumato_plugins.errors import JobError
from sfumato_plugins.logs import log_folder, new_log
from sfumato_plugins.settings import load_settings
from sfumato_plugins.tool import Tool

Node = Any
_swept: list[str] = []


def press(name: str, node: Node) -> None:
    """Do what a button says. Never raises; what is wrong is said in a message and kept in the node's Info tab."""
    try:
        tool = tool_of(node)
        _sweep_once()
        migrate.bring_up(node, tool)
        knobs.enable(node, design(tool).knobs)
        said = BUTTONS[name](node, tool)
        if said:
            knobs.tell(node, "status", said)
        if not nuke.GUI:
            WATCH.wait()
    except Cancelled as error:
        knobs.tell(node, "status", str(error))
    except JobError as error:
        _refuse(node, [p.what for p in error.problems], str(error))
    except NoEngine as error:
        _refuse(node, [error.message], str(error))
    except Exception as error:
        _bug(node, name, error)


def _refuse(node: Node, sentences: list[str], everything: str) -> None:
    tell_failure(node, sentences[0], "\n".join(everything.splitlines()[1:]))
    nuke.message(everything)


def _bug(node: Node, name: str, error: Exception) -> None:
    """Ours to mend: the traceback goes into a log, the artist gets its path."""
    sentence = f"a bug in sfumato, at {name}: {type(error).__name__}: {error}"
    path = ""
    try:
        path, handle = new_log(log_folder(), "nuke")
        os.write(handle, traceback.format_exc().encode())
        os.close(handle)
        tell_failure(node, sentence, "please report it with the log", path)
    except Exception:  # a node that is gone, a disk that is full: the message below is what remains
        nuke.tprint(traceback.format_exc())
    nuke.message(f"{sentence}\n\nlog: {path}")


def tool_of(node: Node) -> Tool:
    """The tool a node is of: each has a tab named after it.

    Raises:
        JobError: it is none of ours, or of a sfumato with more tools.
    """
    for tool in sfumato_plugins.NODES:
        if node.knob(f"{tool.name}_tab") is not None:
            return tool
    return sfumato_plugins.tool(node.name().partition("_")[2].rstrip("0123456789"))


def _sweep_once() -> None:
    if not _swept:
        _swept.append("swept")
        scratch.sweep(load_settings(start=script_folder() or os.getcwd()))


def _cancel(node: Node, tool: Tool) -> str:
    runs = WATCH.of(node)
    for run in runs:
        WATCH.cancel(run)
    return "stopping" if runs else ""


def _load(node: Node, tool: Tool) -> str:
    asked = order(node, tool, to_compute=False)
    said = results.load(node, tool, asked, knobs.text(node, "version_to_load"))
    return said if "not there" in said else results.status(node, asked)


def _status(node: Node, tool: Tool) -> str:
    return "" if WATCH.of(node) else results.status(node, order(node, tool, to_compute=False))


def _reveal(node: Node, tool: Tool) -> str:
    results.reveal(node)
    return ""


def _release(node: Node, tool: Tool) -> str:
    busy = WATCH.engine is not None and WATCH.engine.busy
    WATCH.release()
    return "the GPU is released when the running job is done" if busy else "the GPU is released"


def _run_here(node: Node, tool: Tool) -> str:
    send.run_here(node, tool)
    return ""


def _solve_frame(node: Node, tool: Tool) -> str:
    send.solve_frame(node, tool)
    return ""


BUTTONS: dict[str, Callable[[Node, Tool], str]] = {
    "run_here": _run_here,
    "bake_boxes": box_knobs.bake_boxes,
    "solve_frame": _solve_frame,
    "cancel": _cancel,
    "load_version": _load,
    "reveal": _reveal,
    "send_to_farm": farm.send_to_farm,
    "update_status": _status,
    "release_gpu": _release,
}
