"""Reading a node's knobs as a job's values, greying out those that wait for others, and telling how things stand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sfumato_nuke.draw import knob_name, of_parameter
from sfumato_nuke.parts import Knob
from sfumato_nuke.quiet import unseen
from sfumato_plugins.errors import wrong
from sfumato_plugins.parameters import Several, Whole
from sfumato_plugins.tool import Tool

Node = Any


def parameters(node: Node, tool: Tool) -> dict[str, Any]:
    """The tool's parameters as the knobs have them; only what differs from the defaults.

    Raises:
        JobError: one is animated: a job has one value for all its frames.
    """
    found = {}
    for parameter in tool.parameters:
        if isinstance(parameter, Several):
            words = [knob.name.rpartition("_")[2] for knob in of_parameter(tool, parameter) if one(node, knob.name)]
            value: Any = words
            same = words == [word for word in parameter.options if word in parameter.default]
        else:
            value = one(node, knob_name(tool, parameter))
            value = parameter.read(value) if isinstance(value, str) else value
            value = int(value) if isinstance(parameter, Whole) else value
            same = value == parameter.default
        if not same:
            found[parameter.name] = value
    return found


def one(node: Node, name: str) -> Any:
    """A knob's value.

    Raises:
        JobError: it is animated.
    """
    knob = node[name]
    if knob.isAnimated():
        raise wrong("", f"{name} is animated; a job has one value for all its frames", "remove the animation")
    return knob.value()


def text(node: Node, name: str) -> str:
    return str(one(node, name) or "").strip()


def frames_text(given: str) -> str:
    """Frames as our parser reads them: Nuke's artists put spaces between ranges."""
    return re.sub(r"[\s,]+", ",", given.strip())


def enable(node: Node, declared: Iterable[Knob]) -> None:
    """Grey out the knobs that wait for another one. Done when the node is made and whenever a button is pressed:
    a knobChanged callback would run on every farm blade that loads the script.
    """
    for knob in declared:
        if knob.when is not None and node.knob(knob.name) is not None:
            node[knob.name].setEnabled(node[knob.when[0]].value() in knob.when[1])


def tell(node: Node, name: str, words: str) -> None:
    """Put words into one of the node's texts; no undo entry, no changed script."""
    knob = node.knob(name)
    if knob is not None and knob.value() != words:
        with unseen():
            knob.setValue(words or " ")
