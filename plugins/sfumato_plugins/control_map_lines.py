"""What can be wrong with the lines of a control map."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sfumato_plugins.errors import Problem, nearest
from sfumato_plugins.takes import is_number

KINDS = ("number", "distance", "angle")
FIELDS = ("control", "target", "scale", "offset", "limits", "kind")


def is_target(name: Any) -> bool:
    """Whether a name is node.attribute. What would end a string of MEL is not: a .ma is a program that Maya runs."""
    return isinstance(name, str) and bool(re.fullmatch(r'[^\s"\\;.]+\.[^\s"\\;]+', name))


def line_problems(line: Any) -> list[Problem]:
    """What is wrong with one line by itself."""
    if not isinstance(line, dict):
        return [Problem("", f"{line!r} is no object", '{"control": "jawOpen", "target": "jaw_ctrl.rotateX"}')]
    found = [Problem("", f"{key} is not a field", nearest(key, FIELDS)) for key in line if key not in FIELDS]
    if not isinstance(line.get("control"), str) or not line["control"]:
        found.append(Problem("", "names no control"))
    if not is_target(line.get("target")):
        found.append(Problem("", f"{line.get('target')!r} is no target", "write it node.attribute"))
    for key in ("scale", "offset"):
        if not is_number(line.get(key, 1)):
            found.append(Problem("", f"{key} {line[key]!r} is not a number"))
    if line.get("scale", 1) == 0:
        found.append(Problem("", "scale 0 drives nothing", "take the line out"))
    limits = line.get("limits")
    if limits is not None and not (
        isinstance(limits, list) and len(limits) == 2 and all(map(is_number, limits)) and limits[0] < limits[1]
    ):
        found.append(Problem("", f"limits {limits!r} are not [low, high]"))
    if line.get("kind", "") not in ("", *KINDS):
        found.append(Problem("", f"kind {line['kind']!r} is not one of {', '.join(KINDS)}"))
    return found


def pair_problems(lines: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Lines that do not go together."""
    found = []
    pairs = [(line["control"], line["target"]) for line in lines]
    for control, target in dict.fromkeys(pairs):
        if pairs.count((control, target)) > 1:
            found.append(Problem(control, f"drives {target} twice", "leave one line"))
    for target in dict.fromkeys(line["target"] for line in lines):
        mine = [line for line in lines if line["target"] == target]
        if len({tuple(line["limits"]) for line in mine if line.get("limits")}) > 1:
            found.append(Problem(target, "has different limits in different lines", "write them in one of the lines"))
        if len({line["kind"] for line in mine if line.get("kind")}) > 1:
            found.append(Problem(target, "has different kinds in different lines", "write it in one of the lines"))
    return found
