"""A node as Nuke's own text, to paste, to ship and to compare: python -m sfumato_nuke.text writes nodes/*.nk anew."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from sfumato_nuke.design import design
from sfumato_nuke.parts import Design, Expr, Inside, Knob
from sfumato_plugins import NODES

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nodes")
NUMBERS = {
    "tab": 20,
    "divider": 26,
    "text": 26,
    "string": 1,
    "file": 2,
    "whole": 3,
    "choice": 4,
    "switch": 6,
    "number": 7,
    "button": 22,
}
"""The numbers of knob classes in `addUserKnob`."""
EMPTY: dict[str, Any] = {"string": "", "file": "", "whole": 0, "switch": False, "number": 0.0}
_PLAIN = re.compile(r"[\w./:#%+-]+")
_ESCAPED = {"\\": "\\\\", '"': '\\"', "[": "\\[", "$": "\\$", "{": "\\{", "}": "\\}", "\n": "\\n"}


def as_text(node: Design) -> str:
    """The Group as a script holds it; it starts at `Group {` and ends at `end_group`."""
    lines = ["Group {", " inputs 0", f" name {node.name}1", f" help {quoted(node.help)}"]
    lines += [f" {line}" for knob in node.knobs for line in _knob(knob)]
    lines += ["}"]
    for inner in node.inside:
        lines += list(_inside(inner))
    return "\n".join([*lines, "end_group", ""])


def _knob(knob: Knob) -> Iterator[str]:
    words = [str(NUMBERS[knob.kind]), knob.name]
    words += ["l", quoted(knob.label)] if knob.label != knob.name else []
    words += ["t", quoted(knob.help)] if knob.help else []
    if knob.same_line:
        words.append("-STARTLINE")
    elif knob.kind in ("button", "switch", "text"):
        words.append("+STARTLINE")
    words += ["+INVISIBLE"] if knob.hidden else []
    if knob.kind == "choice":
        words.append("M {" + " ".join(quoted(word) for word in knob.options) + "}")
    elif knob.kind == "number":
        words.append(f"R {knob.low:g} {knob.high:g}")
    elif knob.kind == "button":
        words.append(f"T {quoted(knob.script)}")
    elif knob.kind == "text":
        words.append(f"T {quoted(knob.value or ' ')}")
    yield "addUserKnob {" + " ".join(words) + "}"
    first = knob.options[0] if knob.kind == "choice" else EMPTY.get(knob.kind)
    if first is not None and knob.value != first:
        yield f"{knob.name} {_value(knob.value)}"


def _inside(node: Inside) -> Iterator[str]:
    for layer, channels in node.layers.items():
        yield f" add_layer {{{layer} {' '.join(f'{layer}.{channel}' for channel in channels)}}}"
    for name in reversed(node.inputs):
        yield f"push $N_{name}"
    yield f" {node.kind} {{"
    if len(node.inputs) != 1:
        yield f"  inputs {len(node.inputs)}"
    for name, value in node.knobs.items():
        yield f"  {name} {_value(value)}"
    yield f"  name {node.name}"
    yield f"  xpos {node.at[0] * 110}"
    yield f"  ypos {node.at[1] * 60}"
    yield " }"
    yield f"set N_{node.name} [stack 0]"


def _value(value: Any) -> str:
    if isinstance(value, Expr):
        return "{{" + quoted(value.text) + "}}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value:g}"
    if isinstance(value, tuple):
        return "{" + " ".join(_value(item) for item in value) + "}"
    return quoted(value)


def quoted(text: str) -> str:
    """A word as Nuke writes it: bare where it can be, else in quotes with everything Tcl would touch escaped."""
    if _PLAIN.fullmatch(text):
        return text
    return '"' + "".join(_ESCAPED.get(letter, letter) for letter in text) + '"'


def main() -> None:
    """Write every tool's node into the folder that is shipped."""
    os.makedirs(FOLDER, exist_ok=True)
    for tool in NODES:
        node = design(tool)
        with open(os.path.join(FOLDER, f"{node.name}.nk"), "w", encoding="utf-8", newline="\n") as file:
            file.write(as_text(node))


if __name__ == "__main__":
    main()
