"""Old nodes in old scripts: what to do to them before this version of sfumato uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from sfumato_nuke.design import design
from sfumato_nuke.node import add_knob
from sfumato_nuke.panel import LAYOUT
from sfumato_plugins.errors import wrong
from sfumato_plugins.tool import Tool

Node = Any
STEPS: Mapping[int, Callable[[Node], None]] = {}
"""Layout -> what makes a node of the layout before it into one of it."""


def bring_up(node: Node, tool: Tool, steps: Mapping[int, Callable[[Node], None]] = STEPS, layout: int = LAYOUT) -> None:
    """Bring a node up to this layout; knobs that are new in it are added.

    Raises:
        JobError: the node was made by a newer sfumato.
    """
    text = str(node["sfumato_version"].value()) if node.knob("sfumato_version") is not None else "1"
    made = int(text) if text.isdigit() else 1
    if made > layout:
        what = f"{node.name()} was made by a newer sfumato (layout {made}, this one knows {layout})"
        raise wrong("", what, "use the newer sfumato; its results show here all the same")
    for number in range(made + 1, layout + 1):
        if number in steps:
            steps[number](node)
    plan = design(tool)
    gone = [inner.name for inner in plan.inside if node.node(inner.name) is None]
    if gone:
        what = f"inside {node.name()} there is no {gone[0]} any more"
        raise wrong("", what, "undo what was renamed or deleted in the group, or make a new node")
    for knob in plan.knobs:
        if node.knob(knob.name) is None:
            add_knob(node, knob)
    if made < layout:
        node["sfumato_version"].setValue(str(layout))
