"""The pictures at a node's arrows as files: handed over where they are files already, rendered where they are not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import nuke

from sfumato_nuke import knobs, matte
from sfumato_nuke.colour import Working
from sfumato_nuke.fast import handed, upstream
from sfumato_nuke.inside import REGION
from sfumato_nuke.order import script_folder
from sfumato_nuke.panel import arrows, named_files
from sfumato_nuke.quiet import full_resolution
from sfumato_plugins.errors import wrong
from sfumato_plugins.tool import Images, Tool
from sfumato_plugins.tools.matte import MATTE

Node = Any
Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels of the format, as Nuke counts


class Cancelled(Exception):  # noqa: N818  (what happened, not that it is an error)
    """The artist stopped Nuke's render of the inputs."""


@dataclass
class Handover:
    """files: the pattern for each input. told: a sentence for each. render: inputs that have no files yet, and why."""

    files: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    render: dict[str, str] = field(default_factory=dict)


def look(
    node: Node,
    tool: Tool,
    frames: Sequence[int],
    views: Sequence[str],
    space: Working,
    region: Box | None = None,
    sparse: Collection[str] = (),
) -> Handover:
    """Decide for every connected arrow whether its files can be handed over. Renders nothing.

    sparse: Inputs of this job that have files for some frames only.

    Raises:
        JobError: one of those is no sequence of files: rendered, it would have all frames.
    """
    found = Handover()
    with full_resolution():
        for number, item in enumerate(arrows(tool)):
            source = upstream(node.input(number))
            if source is None:
                continue
            few = item.name in sparse
            text, why = handed(source, replace(item, sparse=item.sparse or few), frames, views, space)
            why = why or _changed_inside(node, tool, item, region)
            if why and few:
                what = f"only some frames of it are meant, but {why}, so all of them would be rendered"
                raise wrong(f"inputs.{item.name}", what, "connect a Read of the painted frames directly")
            if why:
                found.render[item.name] = why
                found.told.append(f"{item.name}: rendered, {why}")
            else:
                found.files[item.name] = text
                found.told.append(f"{item.name}: {text}")
    for item in named_files(tool):
        text = knobs.text(node, f"{tool.name}_{item.name}")
        if text:
            found.files[item.name] = os.path.join(script_folder(), text).replace("\\", "/")
            found.told.append(f"{item.name}: {found.files[item.name]}")
    return found


def _changed_inside(node: Node, tool: Tool, item: Images, region: Box | None) -> str:
    if item is tool.main_input and region is not None:
        return "only the viewer's region is wanted"
    if tool is MATTE and item.name == "trimap" and matte.moves_band(node):
        return "the unknown band is changed inside the node"
    return ""


def render(
    node: Node,
    tool: Tool,
    found: Handover,
    frames: Sequence[int],
    views: Sequence[str],
    folder: str,
    region: Box | None = None,
) -> None:
    """Render what has to be, in full resolution and format whatever the viewer does; `found.files` is completed.

    Raises:
        Cancelled: the artist stopped it.
        JobError: Nuke could not render it; its own words are in it.
    """
    several = len(views) > 1
    for name in found.render:
        item = next(i for i in arrows(tool) if i.name == name)
        path = f"{folder}/{name}{'.%V' if several else ''}.####.exr"
        with full_resolution(), _cropped(node, region), _ready(node.node(f"write_{name}"), path, node, item) as write:
            try:
                for first, last in runs(frames):
                    nuke.execute(write, first, last, 1, views=list(views) or nuke.views()[:1])
            except RuntimeError as error:
                if "cancel" in str(error).lower():
                    raise Cancelled(f"stopped while {name} was rendered") from None
                raise wrong(f"inputs.{name}", f"Nuke could not render it: {error}", "look at the nodes above") from None
        found.files[name] = path


@contextlib.contextmanager
def _ready(write: Node, path: str, node: Node, item: Images) -> Iterator[Node]:
    """The hidden Write switched on, with a file name; off and without one afterwards."""
    half = item.colour and node["plate_bits"].value() == "half"
    before = {name: write[name].value() for name in ("datatype", "channels")}
    try:
        write["file"].setValue(path)
        if not item.colour and "rgba.alpha" not in write.input(0).channels():
            write["channels"].setValue("rgb")  # a black alpha that nobody made would be taken for the mask
        write["datatype"].setValue("16 bit half" if half else "32 bit float")
        write["disable"].setValue(False)
        yield write
    finally:
        write["disable"].setValue(True)
        for name, value in before.items():
            write[name].setValue(value)
        write["file"].setValue("")


@contextlib.contextmanager
def _cropped(node: Node, region: Box | None) -> Iterator[None]:
    """The plate narrowed to a region; its format stays."""
    crop = node.node(REGION)
    before = tuple(crop["box"].value())
    if region is None:
        yield
        return
    try:
        crop["box"].setValue(region)
        crop["disable"].setValue(False)
        yield
    finally:
        crop["disable"].setValue(True)
        crop["box"].setValue(before)


def runs(frames: Sequence[int]) -> list[tuple[int, int]]:
    """Frames as runs without holes: (first, last) of each.

    >>> runs([1, 2, 3, 7])
    [(1, 3), (7, 7)]
    """
    found: list[tuple[int, int]] = []
    for frame in frames:
        if found and frame == found[-1][1] + 1:
            found[-1] = (found[-1][0], frame)
        else:
            found.append((frame, frame))
    return found
