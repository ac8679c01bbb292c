"""From knobs to a job: frames, views, names, output, and what its result will have been made from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import nuke

from sfumato_nuke import knobs, matte
from sfumato_nuke.colour import Working, working
from sfumato_nuke.fast import upstream
from sfumato_nuke.panel import RANGES, arrows, named_files
from sfumato_nuke.state import state_of, wants_of
from sfumato_plugins.errors import wrong
from sfumato_plugins.frames import parse_frames
from sfumato_plugins.job import Job
from sfumato_plugins.parameters import ModelFolder
from sfumato_plugins.settings import Settings, load_settings
from sfumato_plugins.template import fill
from sfumato_plugins.tool import Tool
from sfumato_plugins.tools.matte import MATTE

Node = Any
DEFAULT_OUTPUT = "sfumato/{task}/{version}/{task}_{version}.####.exr"


@dataclass(frozen=True)
class Order:
    """A job that has no inputs yet, and what else is known of it.

    state: Stands for everything above the node's arrows. wants: Stands for the node's own knobs.
    """

    tool: Tool
    job: Job
    settings: Settings
    space: Working
    state: str
    wants: str


def order(node: Node, tool: Tool, to_compute: bool = True) -> Order:
    """What the knobs ask for.

    to_compute: False to look at results only: there may be no plate any more, and so no frames.

    Raises:
        JobError: they cannot be read as a job; every sentence is for the artist.
    """
    settings = load_settings(start=script_folder() or os.getcwd())
    space = working()
    connected = [item.name for n, item in enumerate(arrows(tool)) if upstream(node.input(n)) is not None]
    params = knobs.parameters(node, tool)
    if tool is MATTE:
        params = matte.widened(node, params, connected)
    params = {**params, **_folders(tool, params)}
    if "device" not in params and settings.get("device"):
        params["device"] = settings.get("device")
    own = node["range_from"].value() not in RANGES[1:]
    loose = not to_compute and own and (tool.span is not None or node.input(0) is None)
    frames, views = () if loose else frames_of(node, tool, params), views_of(node)
    names = {
        "show": knobs.text(node, "output_show") or settings.get("show"),
        "shot": knobs.text(node, "output_shot"),
        "task": knobs.text(node, "output_task") or node.fullName().replace(".", "_"),
        "version": knobs.text(node, "version"),
    }
    job = Job(
        tool=tool.name,
        frames=frames,
        inputs={},
        outputs={tool.main_output.name: output_of(node, settings, views, tool.main_output.suffix)},
        params=params,
        color={"config": space.config, **({tool.main_input.name: space.space} if tool.main_input.colour else {})},
        seed=int(knobs.one(node, "seed")),
        views=views,
        handles=int(knobs.one(node, "handles")),
        context=int(knobs.one(node, "context")),
        missing=knobs.text(node, "missing"),
        names={name: str(value) for name, value in names.items() if value},
        base=script_folder(),
    )
    job = replace(job, outputs={**job.outputs, **_also(node, tool, job)})
    return Order(tool, job, settings, space, state_of(node, tool, job.shot), wants_of(node, tool, job))


def frames_of(node: Node, tool: Tool, params: Mapping[str, Any]) -> tuple[int, ...]:
    """The frames of the Range tab."""
    chosen = node["range_from"].value()
    if chosen == RANGES[2]:
        text = knobs.frames_text(knobs.text(node, "frames"))
        if not text:
            raise wrong("frames", "no frames are named", "write them like 1001-1048 in the tab Range")
        return parse_frames(text)
    if chosen == RANGES[1]:
        return tuple(range(nuke.root().firstFrame(), nuke.root().lastFrame() + 1))
    if tool.span:
        return tool.span(files_named(node, tool), params)
    source = node.input(0)
    if source is None:
        what = f"nothing is connected to {tool.main_input.name}"
        raise wrong(f"inputs.{tool.main_input.name}", what, f"connect the {tool.main_input.label.lower()}")
    return tuple(range(source.frameRange().first(), source.frameRange().last() + 1))


def files_named(node: Node, tool: Tool) -> dict[str, str]:
    """The inputs that are no pictures, absolute, as the knobs name them."""
    given = {item.name: knobs.text(node, f"{tool.name}_{item.name}") for item in named_files(tool)}
    found = {name: os.path.join(script_folder(), text).replace("\\", "/") for name, text in given.items() if text}
    absent = [item for item in named_files(tool) if item.required and item.name not in found]
    if absent:
        raise wrong(f"inputs.{absent[0].name}", f"no {absent[0].label.lower()} is named", absent[0].help)
    return found


def views_of(node: Node) -> tuple[str, ...]:
    """The views that are computed; none where the script has only one."""
    there = list(nuke.views())
    asked = [word for word in re.split(r"[\s,]+", knobs.text(node, "views")) if word]
    unknown = [word for word in asked if word not in there]
    if unknown:
        raise wrong("views", f"the script has no view {unknown[0]}", f"it has {', '.join(there)}")
    return tuple(asked or (there if len(there) > 1 else ()))


def _folders(tool: Tool, params: Mapping[str, Any]) -> dict[str, str]:
    """Models' folders from the root on, where they are written from the script's folder; a mere name stays one."""
    names = [p.name for p in tool.parameters if isinstance(p, ModelFolder) and "/" in str(params.get(p.name, ""))]
    return {name: os.path.join(script_folder(), os.path.expanduser(params[name])) for name in names}


def output_of(node: Node, settings: Settings, views: Sequence[str], suffix: str = ".exr") -> str:
    """The template of the result's name, with a place for the view where there are several."""
    text = knobs.text(node, "output")
    if not text:
        view = ".%V" if len(views) > 1 else ""
        text = str(settings.get("output") or DEFAULT_OUTPUT.replace(".####", f"{view}.####"))
        text = os.path.splitext(text)[0] + suffix if suffix != ".exr" else text
    text = text.replace("\\", "/")
    if not os.path.isabs(text) and not script_folder():
        what = "the script has never been saved, so its results have no folder"
        raise wrong("outputs", what, "save the script, or write an absolute path into Output")
    return text


def _also(node: Node, tool: Tool, job: Job) -> dict[str, str]:
    """Further outputs that are switched on, beside the main one."""
    main = job.outputs[tool.main_output.name]
    stem = re.sub(r"\.(#+|%0?\d*d)?\.?\w+$", "", main).replace(".%V", "").replace(".{view}", "")
    wanted = [item for item in tool.outputs[1:] if node[f"write_{item.name}"].value()]
    return {item.name: f"{stem}.{item.name}{item.suffix}" for item in wanted}


def script_folder() -> str:
    """The folder of the saved script; empty if there is none."""
    name = nuke.root().name()
    return os.path.dirname(os.path.abspath(name)).replace("\\", "/") if os.path.isfile(name) else ""


def reserved(order: Order) -> Job:
    """The job with its version: the one that an earlier run of the same inputs and settings began, else the next."""
    job = order.job
    if "version" in job.names or not any("{version}" in text for text in job.outputs.values()):
        return job
    same = replace(job, names={**job.names, "made_from": f"{order.state} {order.wants}"})
    return replace(job, names={**job.names, "version": fill(same).names["version"]})


def absolute(job: Job) -> dict[str, str]:
    """Outputs from the root on: the engine's current folder is not the script's."""
    return {name: os.path.join(job.base, text).replace("\\", "/") for name, text in job.outputs.items()}


def preview(order: Order, frame: int) -> Job:
    """The job of one frame, as fast as it goes; beside the versions, never one of them."""
    job = order.job
    name = order.tool.main_output.name
    text = job.outputs[name]
    if "{version}" not in text:
        text = os.path.join(os.path.dirname(text), "preview", os.path.basename(text)).replace("\\", "/")
    text = text.replace("{version}", "preview")
    has_quality = any(p.name == "quality" for p in order.tool.parameters)
    params = {**job.params, "quality": "preview"} if has_quality else dict(job.params)
    names = {key: value for key, value in job.names.items() if key != "version"}
    return replace(job, frames=(frame,), handles=0, context=0, outputs={name: text}, params=params, names=names)
