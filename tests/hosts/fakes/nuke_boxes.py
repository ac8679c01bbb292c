"""Nodes of the fake Nuke that boxes come from: Transform, CornerPin, Tracker, Roto, and those that change time.

Numbers go over time as in Nuke: constant, keys (straight between them here), or an expression that may say `frame`,
`t`, a knob of another node, at another frame (`Transform1.translate.x(frame-2)`), or `NODE.bbox.x`.
"""

import bisect
import contextlib
import math

from . import nuke_knobs as k
from . import nuke_nodes, strict
from .nuke_knobs import TABLE
from .nuke_nodes import Node


class Moving:
    """A number over time: a constant, {frame: value}, or a function."""

    def __init__(self, what=0.0):
        self.what = what

    @property
    def still(self):
        return isinstance(self.what, (int, float))

    def at(self, time):
        if callable(self.what):
            return float(self.what(time))
        if self.still:
            return float(self.what)
        frames = sorted(self.what)
        here = min(max(time, frames[0]), frames[-1])
        after = min(max(bisect.bisect_right(frames, here), 1), len(frames) - 1) if len(frames) > 1 else 0
        a, b = frames[max(after - 1, 0)], frames[after]
        return self.what[a] + ((here - a) / (b - a) * (self.what[b] - self.what[a]) if b > a else 0.0)


@strict.fakes(TABLE, "nuke.Array_Knob")
class Numbers(k.ArrayKnob):
    """Several numbers, each with its own animation or expression; one where the artist has not split them."""

    _kind, _names = "Array_Knob", ("x",)

    def __init__(self, name, label=""):
        super().__init__(name, label)
        self._parts = [Moving(0.0) for _ in self._names]
        self._texts = [None] * len(self._names)
        self._single = False

    def _move(self, *parts):
        """What an artist does in the curve editor."""
        self._parts = [part if isinstance(part, Moving) else Moving(part) for part in parts]
        self._single = len(parts) == 1 and len(self._names) > 1

    def setExpression(self, expression, index=-1, view=None):
        for at in range(len(self._names)) if index < 0 else (index,):
            self._texts[at] = expression
        self.getValueAt(self._owner._session.frame, max(index, 0))  # Nuke refuses what it cannot read
        return True

    def hasExpression(self, index=-1):
        return any(self._texts) if index < 0 else bool(self._texts[index])

    def isAnimated(self, channel=-1):
        parts = self._parts if channel < 0 else self._parts[channel : channel + 1]
        return any(not part.still for part in parts)

    def singleValue(self, view=None):
        return self._single

    def setValue(self, val, chan=0):
        for at, value in enumerate(val if isinstance(val, (list, tuple)) else [val]):
            self._parts[chan + at] = Moving(value)
        self._put(val)
        return True

    def getValueAt(self, frame, index=0, view=None):
        if self._single:
            index = 0
        if self._texts[index] is not None:
            with at_frame(self._owner._session, frame):
                return self._owner._evaluated(self._texts[index])
        return self._parts[index].at(frame)

    def value(self, index=0):
        now = self._owner._session.frame
        several = len(self._names) > 1 and not self._single
        return [self.getValueAt(now, i) for i in range(len(self._names))] if several else self.getValueAt(now)

    def getValue(self, channel=0):
        return self.getValueAt(self._owner._session.frame, channel)


@strict.fakes(TABLE, "nuke.XY_Knob")
class XYKnob(Numbers):
    _kind, _names = "XY_Knob", ("x", "y")

    def __init__(self, name, label=""):
        super().__init__(name, label)


@strict.fakes(TABLE, "nuke.WH_Knob")
class WHKnob(Numbers):
    _kind, _names = "WH_Knob", ("w", "h")

    def __init__(self, name, label=""):
        super().__init__(name, label)
        self._move(1.0)


class Table(Numbers):
    """A Tracker4's table: 31 columns a track, of which x is the third and y the fourth."""

    _kind = "Table_Knob"

    def _track(self, name, x, y):
        if not hasattr(self, "_tracks"):
            self._parts, self._texts, self._tracks = [], [], []
        self._tracks.append(name)
        self._parts += [Moving(0.0), Moving(0.0), Moving(x), Moving(y)] + [Moving(0.0)] * 27
        self._texts += [None] * 31

    def toScript(self, quote=True, context=None):
        rows = " ".join(
            f'{{ {{curve K x1001 1}} "{name}" {{curve x1001 {self._parts[31 * n + 2].at(1001)}}} {{curve x1001 0}} }} '
            for n, name in enumerate(self._tracks)
        )
        columns = "{ 5 1 20 enable e 1 } { 3 1 75 name name 1 } { 2 1 58 track_x track_x 1 }"
        return f"{{ 1 31 {len(self._tracks)} }} \n{{ {columns} }}\n{{ {rows}}}"


@contextlib.contextmanager
def at_frame(session, frame):
    before, session.frame = session.frame, frame
    try:
        yield
    finally:
        session.frame = before


@strict.fakes(TABLE, "nuke.rotopaint.CVec3")
class CVec3:
    def __init__(self, x, y):
        self._x, self._y = x, y

    @property
    def x(self):
        return self._x

    @property
    def y(self):
        return self._y


@strict.fakes(TABLE, "nuke.rotopaint.AnimControlPoint")
class AnimControlPoint:
    def __init__(self, x, y):
        self._at = Moving(x), Moving(y)

    def getPosition(self, time, view=""):
        return CVec3(*(part.at(time) for part in self._at))


@strict.fakes(TABLE, "nuke.rotopaint.ShapeControlPoint")
class ShapeControlPoint:
    """A point, and its handles as offsets from it."""

    def __init__(self, center, left=(0.0, 0.0), right=(0.0, 0.0)):
        self._points = [AnimControlPoint(*one) for one in (center, left, right)]

    @property
    def center(self):
        return self._points[0]

    @property
    def leftTangent(self):
        return self._points[1]

    @property
    def rightTangent(self):
        return self._points[2]


@strict.fakes(TABLE, "nuke.rotopaint.CMatrix4")
class CMatrix4:
    """Sixteen numbers by rows; the translation is the last column."""

    def __init__(self, numbers):
        self._numbers = numbers

    def __getitem__(self, index):
        return self._numbers[index]

    def __len__(self):
        return 16


@strict.fakes(TABLE, "nuke.rotopaint.CTransform")
class CTransform:
    def __init__(self, x, y, degrees, scale):
        self._all = x, y, degrees, scale

    def getMatrix(self):
        x, y, degrees, scale = self._all
        c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
        return CMatrix4([c, -s, 0, x, s, c, 0, y, 0, 0, 1, 0, 0, 0, 0, 1])


@strict.fakes(TABLE, "nuke.rotopaint.AnimCTransform")
class AnimCTransform:
    def __init__(self, x=0.0, y=0.0, degrees=0.0, scale=1.0):
        self._parts = [Moving(part) for part in (x, y, degrees, scale)]

    def evaluate(self, time, view=""):
        return CTransform(*(part.at(time) for part in self._parts))


class Placed:
    """What a shape and a layer have in common."""

    def _begin(self, name, inside, transform):
        self._name, self._inside = name, list(inside)
        self._transform, self._visible = transform or AnimCTransform(), Moving(1)

    @property
    def name(self):
        return self._name

    def getVisible(self, time):
        return self._visible.at(time) > 0.5

    def getTransform(self):
        return self._transform

    def __iter__(self):
        return iter(self._inside)

    def __len__(self):
        return len(self._inside)

    def __getitem__(self, index):
        return self._inside[index]


@strict.fakes(TABLE, "nuke.rotopaint.Shape")
class Shape(Placed):
    def __init__(self, name, points, transform=None):
        self._begin(name, points, transform)

    def evaluate(self, curveNum, time, viewName=None):
        raise NotImplementedError("the fake gives a shape's points, not its curve")


@strict.fakes(TABLE, "nuke.rotopaint.Layer")
class Layer(Placed):
    def __init__(self, name, elements, transform=None):
        self._begin(name, elements, transform)


@strict.fakes(TABLE, "nuke.rotopaint.CurveKnob")
class CurveKnob(k.Knob):
    _kind = "CurveKnob"

    def __init__(self, name, label=""):
        super().__init__(name, label)
        self._root = Layer("Root", [])

    @property
    def rootLayer(self):
        return self._root


@strict.fakes(TABLE, "nuke.rotopaint.Element")
class Element(Placed):
    """What layers and shapes are; never made by itself."""


ROTO = {cls.__name__: cls for cls in (CVec3, AnimControlPoint, ShapeControlPoint, CMatrix4, CTransform, AnimCTransform,
                                      Element, Shape, Layer, CurveKnob)}  # fmt: skip


def choice(*items):
    return k.EnumerationKnob, items


PINS = {f"{side}{n}": XYKnob for n in range(1, 5) for side in ("from", "to")}
KINDS = {
    "Transform": (1, {"translate": XYKnob, "rotate": Numbers, "scale": WHKnob, "skewX": Numbers, "skewY": Numbers,
                      "skew_order": choice("XY", "YX"), "center": XYKnob, "invert_matrix": k.BooleanKnob}),
    "CornerPin2D": (1, {**PINS, **{f"enable{n}": (k.BooleanKnob, True) for n in range(1, 5)}, "invert": k.BooleanKnob}),
    "Tracker4": (1, {"tracks": Table}),
    "Roto": (1, {"curves": CurveKnob}),
    "TimeOffset": (1, {"time_offset": Numbers, "reverse_input": k.BooleanKnob}),
    "TimeWarp": (1, {"lookup": Numbers}),
    "FrameHold": (1, {"first_frame": Numbers, "increment": Numbers}),
    "Retime": (1, {"input.first": Numbers, "input.last": Numbers, "output.first": Numbers, "output.last": Numbers,
                   "reverse": k.BooleanKnob}),
    "Constant": (0, {"channels": (k.StringKnob, "rgb")}),
    "Reformat": (1, {"format": k.StringKnob}),
}  # fmt: skip
nuke_nodes.KINDS.update(KINDS)


class Reformat(Node):
    """A node of a format of its own."""

    _format = None

    def format(self):
        return self._format or super().format()


nuke_nodes.CLASSES["Reformat"] = Reformat


def bbox_edge(node, edge, frame):
    """An edge of a node's bbox: what a test says (`node._bbox`: Moving left, bottom, right, top), else its format.

    In proxy mode Nuke counts it in the proxy's pixels.
    """
    form = node.format()
    known = getattr(node, "_bbox", None) or [Moving(n) for n in (0, 0, form.width(), form.height())]
    part = 0.5 if node._session.root.proxy() else 1.0
    return part * known[("x", "y", "r", "t").index(edge)].at(frame)
