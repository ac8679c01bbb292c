"""The fake scene: nodes with namespaces and paths, typed attributes, connections, and real evaluation over time.

Values are kept as Maya keeps them: radians, centimetres, and time in ticks of 1/141,120,000 s.
"""

import bisect
import fnmatch
import math
from fractions import Fraction

TICKS = 141_120_000
FPS = {
    "game": 15, "film": 24, "pal": 25, "ntsc": 30, "show": 48, "palf": 50, "ntscf": 60, "120fps": 120, "sec": 1,
    "23.976fps": Fraction(24000, 1001), "29.97fps": Fraction(30000, 1001), "59.94fps": Fraction(60000, 1001),
}  # fmt: skip
CENTIMETRES = {"mm": 0.1, "cm": 1.0, "m": 100.0, "in": 2.54}
CURVE_OF = {"doubleLinear": "animCurveTL", "doubleAngle": "animCurveTA", "time": "animCurveTT"}
NUMBERS = ("double", "float", "long", "bool", "enum", "doubleLinear", "doubleAngle")
TRIPLES = {"translate": ("t", "doubleLinear"), "rotate": ("r", "doubleAngle"), "scale": ("s", "double")}
LIMITED = {"Trans": "doubleLinear", "Rot": "doubleAngle", "Scale": "double"}


class Attr:
    """One attribute of one node; an element of a multi is one of its own, named weight[3]."""

    def __init__(self, node, name, short="", kind="double", value=0.0, parent=None, keyable=False, **limits):
        self.node, self.name, self.short, self.kind = node, name, short or name, kind
        self.value, self.parent, self.keyable = value, parent, keyable
        self.low, self.high = limits.get("low"), limits.get("high")
        self.locked, self.source, self.alias = False, None, ""

    def __repr__(self):
        return f"{self.node.name}.{self.alias or self.name}"


class Node:
    """One node; `keys` where it is a curve, `extra` where it is a layer or a blend."""

    def __init__(self, name, kind, parent=None):
        self.name, self.kind, self.parent = name, kind, parent
        self.attrs, self.keys, self.extra = {}, [], {}
        self.locked = False

    def __repr__(self):
        return self.path

    @property
    def path(self):
        if not self.is_dag:
            return self.name
        return (self.parent.path if self.parent else "") + "|" + self.name

    @property
    def is_dag(self):
        return self.kind in ("transform", "joint", "locator", "mesh", "camera")

    def add(self, name, **fields):
        self.attrs[name] = Attr(self, name, **fields)
        return self.attrs[name]

    def find(self, name):
        """By long or short name, alias, or element; the path through a compound is allowed."""
        last = name.rpartition(".")[2]
        for attr in self.attrs.values():
            element = attr.name.partition("[")
            short = attr.short + element[1] + element[2] if element[1] else attr.short
            if last in (attr.name, short, attr.alias):
                return attr
        return None


def transform(node):
    """The attributes of a transform, a joint too."""
    node.add("visibility", short="v", kind="bool", value=True, keyable=True)
    for name, (short, kind) in TRIPLES.items():
        compound = node.add(name, short=short, kind="double3")
        for axis in "XYZ":
            value = 1.0 if name == "scale" else 0.0
            fields = {"kind": kind, "value": value, "parent": compound, "keyable": True}
            node.add(name + axis, short=short + axis.lower(), **fields)
    for word, kind in LIMITED.items():
        for end in ("min", "max"):
            node.add(f"{end}{word}Limit", kind="double3")
            for axis in "XYZ":
                node.add(f"{end}{word}{axis}Limit", kind=kind, value=0.0)
                node.add(f"{end}{word}{axis}LimitEnable", kind="bool", value=False)
    node.add("worldMatrix[0]", short="wm", kind="matrix")


def locator(node):
    for axis in "XYZ":
        node.add(f"localPosition{axis}", short=f"lp{axis.lower()}", kind="doubleLinear")


def curve(node):
    kind = {"A": "doubleAngle", "L": "doubleLinear", "T": "time"}.get(node.kind[-1], "double")
    node.add("input", short="i", kind="time")
    node.add("output", short="o", kind=kind)


MAKERS = {"transform": transform, "joint": transform, "locator": locator}


def furnish(node):
    """Give a node what its type has."""
    from .maya_camera import MAKERS as SEEN

    maker = {**MAKERS, **SEEN}.get(node.kind, curve if node.kind.startswith("animCurve") else None)
    if maker:
        maker(node)
    return node


class Scene:
    """All nodes, and how attributes get their values."""

    def __init__(self):
        self.nodes = ()  # a tuple, replaced as a whole: so that every change is a swap
        self.namespaces = ("UI", "shared")
        self.selection = ()
        self.time, self.unit, self.linear, self.angle, self.up = 0, "film", "cm", "deg", "y"

    # names

    def find(self, pattern, recursive=False):
        """Nodes of that name or path; * stands for anything within a name."""
        absolute, parts = pattern.startswith("|"), pattern.strip("|").split("|")
        return [node for node in self.nodes if self._is(node, parts, absolute, recursive)]

    def _is(self, node, parts, absolute, recursive):
        steps = node.path.strip("|").split("|") if node.is_dag else [node.name]
        if len(steps) < len(parts) or (absolute and len(steps) != len(parts)):
            return False
        for step, part in zip(steps[-len(parts) :], parts, strict=True):
            name = step.rpartition(":")[2] if recursive and ":" not in part else step
            if not fnmatch.fnmatchcase(name, part) or (
                "*" in part and not recursive and ":" in name and ":" not in part
            ):
                return False
        return True

    def attr(self, name):
        """The attribute of node.attr; None where there is none; the first of several nodes is not guessed."""
        node, _, attr = name.partition(".")
        found = self.find(node)
        return found[0].find(attr) if len(found) == 1 else None

    def shown(self, node):
        """The shortest name that is unique, as Maya prints it."""
        if not node.is_dag or len(self.find(node.name)) == 1:
            return node.name
        return node.path

    def free_name(self, name):
        taken, base, count = {node.name for node in self.nodes}, name, 0
        while name in taken:
            count += 1
            name = f"{base}{count}"
        return name

    # time

    def ticks(self, frame, unit=None):
        return round(Fraction(frame) * TICKS / FPS[unit or self.unit])

    def frames(self, ticks, unit=None):
        return float(Fraction(ticks) * FPS[unit or self.unit] / TICKS)

    # evaluation

    def value(self, attr, ticks=None):
        """The value in radians, centimetres or plain, at a time (default: the current one)."""
        ticks = self.time if ticks is None else ticks
        if attr.kind == "matrix":
            return self.matrix(attr.node, ticks)
        return self.output(attr.source, ticks) if attr.source else attr.value

    def output(self, attr, ticks):
        node = attr.node
        if node.kind.startswith("animCurveT"):
            return interpolated(node.keys, ticks)
        if node.kind.startswith("animBlendNode"):
            return self.blended(node, attr.name[len("output") :], ticks)
        return self.value(attr, ticks)

    def blended(self, node, axis, ticks):
        layer = node.extra["layer"]
        below = self.value(node.attrs[f"inputA{axis}"], ticks)
        weight = 0.0 if layer.extra["mute"] else layer.extra["weight"]
        above = self.value(node.attrs[f"inputB{axis}"], ticks)
        return below * (1 - weight) + above * weight if layer.extra["override"] else below + above * weight

    def matrix(self, node, ticks):
        """16 numbers, rows first, translation last: scale, rotation about X, Y, Z, translation, then the parent's."""
        local = [[1.0 if i == j else 0.0 for j in range(4)] for i in range(4)]
        if "translateX" in node.attrs:
            t, r, s = ([self.value(node.attrs[n + a], ticks) for a in "XYZ"] for n in TRIPLES)
            local = product(rotation(r, s), None)
            local[3][:3] = t
        if node.parent:
            local = product(local, unflat(self.matrix(node.parent, ticks)))
        return [number for row in local for number in row]


def unflat(numbers):
    return [numbers[4 * i : 4 * i + 4] for i in range(4)]


def product(a, b):
    if b is None:
        return [list(row) for row in a]
    return [[sum(a[i][k] * b[k][j] for k in range(4)) for j in range(4)] for i in range(4)]


def rotation(r, s):
    """Scale then rotate about X, Y, Z, for row vectors."""
    (cx, sx), (cy, sy), (cz, sz) = ((math.cos(v), math.sin(v)) for v in r)
    x = [[1, 0, 0, 0], [0, cx, sx, 0], [0, -sx, cx, 0], [0, 0, 0, 1]]
    y = [[cy, 0, -sy, 0], [0, 1, 0, 0], [sy, 0, cy, 0], [0, 0, 0, 1]]
    z = [[cz, sz, 0, 0], [-sz, cz, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    scale = [[s[i] if i == j else 0.0 for j in range(3)] + [0.0] for i in range(3)] + [[0.0, 0.0, 0.0, 1.0]]
    return product(product(product(scale, x), y), z)


def interpolated(keys, ticks):
    """Linear between keys, constant outside; a curve with other tangents is not guessed at."""
    if not keys:
        return 0.0
    at = bisect.bisect_right(keys, (ticks, math.inf, 0, 0))
    if at == 0 or at == len(keys):
        return keys[min(at, len(keys) - 1)][1] if at == 0 else keys[-1][1]
    before, after = keys[at - 1], keys[at]
    if before[3] != LINEAR or after[2] != LINEAR:
        raise NotImplementedError("the fake evaluates linear tangents only")
    share = (ticks - before[0]) / (after[0] - before[0])
    return before[1] + share * (after[1] - before[1])


LINEAR = 2
