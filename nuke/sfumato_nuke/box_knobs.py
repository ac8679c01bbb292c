"""Boxes for a tool's own node: which nodes they come from, and a button that bakes them into the node's knobs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import nuke

from sfumato_nuke import knobs
from sfumato_nuke.boxes import bake
from sfumato_nuke.order import script_folder
from sfumato_nuke.panel import BOXES_OF, takes_boxes
from sfumato_plugins.errors import wrong
from sfumato_plugins.placing.baked import save
from sfumato_plugins.tool import Tool

Node = Any


def bake_boxes(node: Node, tool: Tool) -> str:
    """What the button does: boxes of the current frame into a knob of words, or of the script's range into a track.

    Raises:
        JobError: no such node, nothing in the picture, or a script without a folder.
    """
    sources = _sources(node)
    knob = takes_boxes(tool)
    if knob == f"{tool.name}_box":
        frame = nuke.frame()
        objects = bake(sources, frame, frame)["objects"]
        node[knob].setValue("; ".join(_written(one) for one in objects))
        return f"{len(objects)} boxes of frame {frame}"
    if not script_folder():
        raise wrong("outputs", "the script has never been saved, so its track has no folder", "save the script")
    root = nuke.root()
    track = bake(sources, root.firstFrame(), root.lastFrame(), knobs.text(node, f"{tool.name}_prompt"))
    path = f"{script_folder()}/sfumato/{node.fullName().replace('.', '_')}.track.json"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    save(path, track)
    node[knob].setValue(path)
    return f"{len(track['objects'])} objects, {track['count']} frames in {path}"


def _sources(node: Node) -> list[Node]:
    """The nodes whose boxes are meant, by name or selected; of those that are selected none of ours."""
    names = knobs.text(node, BOXES_OF).replace(",", " ").split()
    found = [(name, nuke.toNode(name)) for name in names]
    if missing := [name for name, one in found if one is None]:
        raise wrong("", f"the script has no node {missing[0]}", "write the names of nodes with spaces between")
    selected: Iterable[Node] = reversed(nuke.selectedNodes())
    others = [one for _, one in found] or [one for one in selected if one.knob("sfumato_version") is None]
    if not others:
        raise wrong(
            "", "no node is named or selected", "select a Roto, a Tracker, a Transform, a CornerPin or any node"
        )
    return others


def _written(one: dict[str, Any]) -> str:
    name, phrase, edges = one["name"], one["phrases"][0], one["boxes"][0]
    words = phrase if name == phrase else f"{name}={phrase}"
    return f"{words}:{','.join(f'{edge:.6g}' for edge in edges)}"
