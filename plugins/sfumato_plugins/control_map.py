"""From a solver's controls to a rig's attributes: schema sfumato.map/1.

{"schema": "sfumato.map/1", "controls": [
  {"control": "jawOpen",    "target": "jaw_ctrl.rotateX",     "scale": 25, "limits": [0, 25]},
  {"control": "mouthLeft",  "target": "mouth_ctrl.translateX", "scale":  1, "limits": [-1, 1]},
  {"control": "mouthRight", "target": "mouth_ctrl.translateX", "scale": -1}]}

An attribute's value is the sum of scale x control + offset over the lines that name it: two lines with opposite scales
make a two-way slider. Degrees for angles, centimetres for distances. Targets carry no namespace: that is asked for when
curves are applied. `kind` (number, distance, angle) is only looked at when a file is written without Maya; Maya knows.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sfumato_plugins.control_map_lines import is_target, line_problems, pair_problems
from sfumato_plugins.curves import Curves
from sfumato_plugins.errors import JobError, Problem, nearest
from sfumato_plugins.takes import plain, read_json, refuse, write_rows

SCHEMA = "sfumato.map/1"
_DISTANCE = re.compile(r"translate[XYZ]|t[xyz]")
_ANGLE = re.compile(r"rotate[XYZ]|r[xyz]")


@dataclass(frozen=True)
class Link:
    """One line of a map.

    target: node.attribute, without a namespace; the node may be a path (face|jaw.rotateX).
    limits: What the attribute's value is held to, in its own units; None for none.
    kind: number, distance or angle; empty: by the attribute's name.
    """

    control: str
    target: str
    scale: float = 1.0
    offset: float = 0.0
    limits: tuple[float, float] | None = None
    kind: str = ""


@dataclass(frozen=True)
class Driven:
    """One attribute and its value at every frame, in degrees, centimetres or plain numbers, not clamped yet."""

    target: str
    kind: str
    values: tuple[float, ...]
    limits: tuple[float, float] | None = None
    controls: tuple[str, ...] = ()

    def held(self, low: float = -math.inf, high: float = math.inf) -> tuple[Driven, Problem | None]:
        """The values within the limits, the map's and those given; and a note where some were not."""
        mine = self.limits or (-math.inf, math.inf)
        low, high = max(low, mine[0]), min(high, mine[1])
        values = tuple(min(max(value, low), high) for value in self.values)
        count = sum(a != b for a, b in zip(values, self.values))
        if not count:
            return self, None
        furthest = max(self.values, key=lambda value: max(low - value, value - high))
        what = f"{count} of {len(values)} frames are held to {low:g} to {high:g}; the furthest is {furthest:g}"
        return replace(self, values=values), Problem(self.target, what)


@dataclass(frozen=True)
class ControlMap:
    """Which control drives which attribute."""

    links: tuple[Link, ...]

    def to_json(self) -> dict[str, Any]:
        """The map as it is written to a file; what is at its default is left out."""
        lines = []
        for link in self.links:
            line: dict[str, Any] = {"control": link.control, "target": link.target, "scale": plain(link.scale)}
            line.update({"offset": plain(link.offset)} if link.offset else {})
            line.update({"limits": [plain(v) for v in link.limits]} if link.limits else {})
            line.update({"kind": link.kind} if link.kind else {})
            lines.append(line)
        return {"schema": SCHEMA, "controls": lines}

    def save(self, path: str) -> None:
        """Write the file, a line a link; it appears whole or not at all."""
        write_rows(path, {"schema": SCHEMA}, "controls", self.to_json()["controls"], [], {})

    def drive(self, curves: Curves) -> tuple[list[Driven], list[Problem]]:
        """Every attribute's values, and what of the curves or of the map is left over."""
        known = set(curves.names)
        notes = [
            Problem(name, "has curves, and the map has no line for it", nearest(name, [k.control for k in self.links]))
            for name in curves.names
            if name not in {link.control for link in self.links}
        ]
        notes += [
            Problem(name, "is in the map, and the curves have no such control")
            for name in dict.fromkeys(link.control for link in self.links)
            if name not in known
        ]
        targets: dict[str, list[Link]] = {}
        for link in self.links:
            if link.control in known:
                targets.setdefault(link.target, []).append(link)
        return [_driven(curves, target, links) for target, links in targets.items()], notes


def _driven(curves: Curves, target: str, links: Sequence[Link]) -> Driven:
    columns = [curves.of(link.control) for link in links]
    values = tuple(sum(link.scale * value + link.offset for link, value in zip(links, row)) for row in zip(*columns))
    limits = next((link.limits for link in links if link.limits), None)
    kind = next((link.kind for link in links if link.kind), "") or kind_of(target)
    return Driven(target, kind, values, limits, tuple(link.control for link in links))


def kind_of(target: str) -> str:
    """What an attribute measures, by its name alone."""
    name = target.rpartition(".")[2]
    return "distance" if _DISTANCE.fullmatch(name) else "angle" if _ANGLE.fullmatch(name) else "number"


def plain_map(names: Sequence[str]) -> ControlMap:
    """The map for curves whose names are attributes already.

    Raises:
        JobError: some are not; they need a map (exit 2).
    """
    bare = [name for name in names if not is_target(name)]
    if bare:
        more = f" and {len(bare) - 3} more" if len(bare) > 3 else ""
        what = f"no attribute is named: {', '.join(bare[:3])}{more}"
        raise JobError(Problem("names", what, "give a control map that says which attribute each control drives"))
    return ControlMap(tuple(Link(name, name) for name in names))


def in_namespace(target: str, namespace: str) -> str:
    """A target's name in a scene: face|jaw.rotateX in `hero` is hero:face|hero:jaw.rotateX."""
    space = namespace.strip(":")
    if not space:
        return target
    path, _, attribute = target.rpartition(".")
    return "|".join(f"{space}:{node}" if node else "" for node in path.split("|")) + f".{attribute}"


def load(path: str) -> ControlMap:
    """Read a map.

    Raises:
        JobError: it cannot be read or is not JSON (exit 3), or all that is wrong with what it says (exit 2).
    """
    return read(read_json(path), os.path.basename(path))


def read(data: Any, where: str = "") -> ControlMap:
    """A map from JSON values.

    Raises:
        JobError: all that is wrong, in one list (exit 2).
    """
    lines = data.get("controls") if isinstance(data, dict) else None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA or not isinstance(lines, list):
        hint = f'it starts with {{"schema": "{SCHEMA}", "controls": [...'
        raise JobError(Problem(where, "is not a control map", hint))
    found = [Problem(key, "is not a field", "schema, controls") for key in data if key not in ("schema", "controls")]
    for number, line in enumerate(lines, 1):
        found += [Problem(f"controls, line {number}", p.what, p.hint) for p in line_problems(line)]
    if not found:
        found = pair_problems(lines)
    refuse(found, where)
    return ControlMap(tuple(_link(line) for line in lines))


def _link(line: Mapping[str, Any]) -> Link:
    limits = line.get("limits")
    return Link(
        control=line["control"],
        target=line["target"],
        scale=float(line.get("scale", 1.0)),
        offset=float(line.get("offset", 0.0)),
        limits=None if limits is None else (float(limits[0]), float(limits[1])),
        kind=line.get("kind", ""),
    )
