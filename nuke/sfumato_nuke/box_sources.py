"""What a node's boxes are around: shapes of a Roto, tracks, corners, a format or a node's bbox; at any frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from sfumato_nuke.box_matrix import Matrix, Point, moved, times
from sfumato_nuke.box_outline import Bezier, Bounds, around, around_curves
from sfumato_plugins.errors import wrong

Node = Any
Read = Callable[[float], float]

COLUMNS, TRACK_X, TRACK_Y = 31, 2, 3  # of a Tracker4's table, track by track
SIZE = 64.0  # pixels: of the box around a track, where nobody says another


@dataclass(frozen=True)
class Source:
    """One object: its name, and its bounds at a frame under a matrix; None where it is hidden."""

    name: str
    bounds: Callable[[float, Matrix], Bounds | None]


def reader(knob: Any, index: int = 0) -> Read:
    """A knob's number over time: its animation or expression as Nuke evaluates it, read once where it stands still."""
    if knob.isAnimated(index) or knob.hasExpression(index):
        return lambda time: float(knob.getValueAt(time, index))
    value = float(knob.getValueAt(0, index))
    return lambda time: value


def sources_of(node: Node, size: Point = (SIZE, SIZE)) -> list[Source]:
    """The objects that a node itself draws or tracks; none where it is another kind of node.

    Args:
        size: Width and height in pixels of the box around each track.
    """
    kind = node.Class()
    if kind in ("Roto", "RotoPaint"):
        return [Source(shape.name, _shape(shape, layers)) for shape, layers in _shapes(node["curves"].rootLayer, ())]
    if kind == "Tracker4":
        table = node["tracks"]
        names = track_names(table.toScript())
        columns = [(COLUMNS * n + TRACK_X, COLUMNS * n + TRACK_Y) for n in range(len(names))]
        return [Source(n, _track(reader(table, x), reader(table, y), size)) for n, (x, y) in zip(names, columns)]
    if kind == "Tracker3":
        knobs = [node[f"track{n}"] for n in range(1, 5) if node[f"enable{n}"].value()]
        return [Source(knob.name(), _track(reader(knob, 0), reader(knob, 1), size)) for knob in knobs]
    return []


def rectangle(name: str, bounds: Callable[[float], Bounds]) -> Source:
    """A rectangle that moves: a format, a node's bbox, the corners that a CornerPin takes."""

    def found(time: float, matrix: Matrix) -> Bounds:
        left, bottom, right, top = bounds(time)
        return around_points([(left, bottom), (right, bottom), (right, top), (left, top)], matrix)

    return Source(name, found)


def quad(name: str, corners: Callable[[float], Sequence[Point]]) -> Source:
    """Four corners."""
    return Source(name, lambda time, matrix: around_points(corners(time), matrix))


def around_points(points: Sequence[Point], matrix: Matrix) -> Bounds:
    """The least box around points where a matrix takes them."""
    return around(moved(matrix, points))


def track_names(script: str) -> list[str]:
    """The names of a Tracker4's tracks, from its table as Nuke writes it: { 1 31 N } { columns } { rows }.

    >>> track_names('{ 1 31 1 } { { 5 1 20 enable e 1 } } { { {curve K x1 1} "nose" {curve x1 5} } }')
    ['nose']

    Raises:
        JobError: it is another table.
    """
    head = re.match(r"\s*\{\s*\d+\s+(\d+)\s+(\d+)\s*\}", script)
    rows = re.findall(r"\{\s*\{curve[^}]*\}\s*(?:\"((?:[^\"\\]|\\.)*)\"|(\S+))\s*\{curve", script)
    names = [quoted or plain for quoted, plain in rows]
    if not head or int(head[1]) != COLUMNS or int(head[2]) != len(names):
        raise wrong("", "this Tracker's table of tracks is of a kind sfumato does not know", "export it as a Transform")
    return names


def _track(x: Read, y: Read, size: Point) -> Callable[[float, Matrix], Bounds]:
    width, height = size[0] / 2, size[1] / 2

    def bounds(time: float, matrix: Matrix) -> Bounds:
        a, b = x(time), y(time)
        corners = ((a - width, b - height), (a + width, b - height), (a + width, b + height), (a - width, b + height))
        return around_points(corners, matrix)

    return bounds


def _shapes(layer: Any, above: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every shape in a layer and those inside it, with the layers around it, the innermost first."""
    inside = (layer, *above)
    for element in layer:
        if not hasattr(element, "evaluate"):  # a layer, which has elements and no curve of its own
            yield from _shapes(element, inside)
        elif len(element) and hasattr(element[0], "center"):  # a stroke's points have none
            yield element, inside


def _shape(shape: Any, layers: tuple[Any, ...]) -> Callable[[float, Matrix], Bounds | None]:
    def bounds(time: float, matrix: Matrix) -> Bounds | None:
        if not all(one.getVisible(time) for one in (shape, *layers)):
            return None
        whole = matrix
        for one in reversed((shape, *layers)):
            whole = times(whole, _plane(one.getTransform().evaluate(time).getMatrix()))
        return around_curves(_curves(shape, time), whole)

    return bounds


def _plane(matrix: Any) -> Matrix:
    """What a 4 x 4 matrix by rows does to points of the plane z = 0."""
    return tuple(float(matrix[4 * row + column]) for row in (0, 1, 3) for column in (0, 1, 3))


def _curves(shape: Any, time: float) -> list[Bezier]:
    """A closed shape's curves; its points' handles are kept as offsets from them."""
    points = []
    for point in shape:
        at, before, after = (one.getPosition(time) for one in (point.center, point.leftTangent, point.rightTangent))
        points.append(((at.x + before.x, at.y + before.y), (at.x, at.y), (at.x + after.x, at.y + after.y)))
    return [(a[1], a[2], b[0], b[1]) for a, b in zip(points, [*points[1:], points[0]])]
