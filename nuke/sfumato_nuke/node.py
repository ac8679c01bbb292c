"""Building a tool's node in Nuke, by calls."""

from __future__ import annotations

from typing import Any

import nuke

from sfumato_nuke.design import design
from sfumato_nuke.knobs import enable
from sfumato_nuke.parts import Expr, Inside, Knob
from sfumato_nuke.quiet import step
from sfumato_plugins.tool import Tool

Node = Any  # nuke.Node, which no type checker has outside Nuke


def create(tool: Tool) -> Node:
    """A new node below the selected one, connected to it; what the menu entry calls."""
    chosen = nuke.selectedNodes()
    with step(f"new {tool.label} node"):
        node = build(tool)
        if chosen:
            node.setInput(0, chosen[0])
            node.setXYpos(chosen[0].xpos(), chosen[0].ypos() + 80)
    for other in chosen:
        other.setSelected(False)
    if nuke.GUI:
        node.setSelected(True)
        node.showControlPanel()
    return node


def build(tool: Tool) -> Node:
    """The tool's Group in the current group of the script."""
    plan = design(tool)
    group = nuke.nodes.Group()
    group.setName(f"{plan.name}1")
    group["help"].setValue(plan.help)
    for knob in plan.knobs:
        add_knob(group, knob)
    with group:
        made: dict[str, Node] = {}
        for inner in plan.inside:
            made[inner.name] = _inside(inner, made)
    enable(group, plan.knobs)
    return group


def _inside(inner: Inside, made: dict[str, Node]) -> Node:
    for layer, channels in inner.layers.items():
        nuke.Layer(layer, [f"{layer}.{channel}" for channel in channels])
    node = getattr(nuke.nodes, inner.kind)()
    node.setName(inner.name)
    for name, value in inner.knobs.items():
        if isinstance(value, Expr):
            node[name].setExpression(value.text)
        else:
            node[name].setValue(value)
    for number, source in enumerate(inner.inputs):
        node.setInput(number, made[source])
    node.setXYpos(inner.at[0] * 110, inner.at[1] * 60)
    return node


def add_knob(group: Node, knob: Knob) -> None:
    """Add one declared knob to a node."""
    made = _new(knob)
    made.setTooltip(knob.help)
    if knob.kind in ("button", "switch", "text") and not knob.same_line:
        made.setFlag(nuke.STARTLINE)
    if knob.same_line:
        made.clearFlag(nuke.STARTLINE)
    if knob.hidden:
        made.setFlag(nuke.INVISIBLE)
    if not knob.saved:
        made.setFlag(nuke.DO_NOT_WRITE)
    group.addKnob(made)


def _new(knob: Knob) -> Any:
    if knob.kind == "tab":
        return nuke.Tab_Knob(knob.name, knob.label)
    if knob.kind == "divider":
        return nuke.Text_Knob(knob.name, knob.label, "")
    if knob.kind == "text":
        return nuke.Text_Knob(knob.name, knob.label, knob.value or " ")
    if knob.kind == "button":
        return nuke.PyScript_Knob(knob.name, knob.label, knob.script)
    if knob.kind == "choice":
        made = nuke.Enumeration_Knob(knob.name, knob.label, list(knob.options))
    elif knob.kind == "number":
        made = nuke.Double_Knob(knob.name, knob.label)
        made.setRange(knob.low, knob.high)
    else:
        classes = {
            "string": nuke.String_Knob,
            "file": nuke.File_Knob,
            "whole": nuke.Int_Knob,
            "switch": nuke.Boolean_Knob,
        }
        made = classes[knob.kind](knob.name, knob.label)
    made.setValue(knob.value)
    return made
