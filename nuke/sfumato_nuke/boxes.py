"""Boxes of what a script has already: baked frame by frame, through the transforms and retimes below it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Callable

import nuke

from sfumato_nuke.box_matrix import IDENTITY, Matrix, Point, inverse, pinned, times, transform
from sfumato_nuke.box_outline import Bounds
from sfumato_nuke.box_sources import SIZE, Read, Source, quad, reader, rectangle, sources_of
from sfumato_nuke.quiet import full_resolution, unseen
from sfumato_plugins.errors import JobError, wrong
from sfumato_plugins.placing.baked import Baked, document, save, seen, words_of

Node = Any
Way = Callable[[float], tuple[float, Matrix]]
"""From a frame below a node to the frame that is asked of its input, and where that one's points go."""

THROUGH = ("Dot", "NoOp", "Grade", "ColorCorrect", "OCIOColorSpace", "Premult", "Unpremult", "Blur")


def export() -> None:
    """What the menu entry does: the boxes of the selected nodes over the script's range, as a track file."""
    chosen = nuke.selectedNodes()
    if not chosen:
        return nuke.message("Select what is to have boxes: a Roto, a Tracker, a Transform, a CornerPin, or any node.")
    path = nuke.getFilename("Track file for sfumato trail", "*.json")
    if not path:
        return None
    prompt = nuke.getInput("What the clip shows. An object's words are its label or name", "") or ""
    root = nuke.root()
    try:
        track = bake(list(reversed(chosen)), root.firstFrame(), root.lastFrame(), prompt)
        save(path, track)
    except JobError as error:
        return nuke.message(str(error))
    names = ", ".join(f"“{one['phrases'][0]}”" for one in track["objects"])
    return nuke.message(f"{names}: {track['count']} frames in {path}")


def bake(nodes: Sequence[Node], first: int, last: int, prompt: str = "", size: Point = (SIZE, SIZE)) -> dict[str, Any]:
    """The track of some nodes' boxes, in parts of the first one's format; what is named first is in front.

    Args:
        size: Width and height in pixels of the box around a track.

    Raises:
        JobError: a node has no boxes, or none is ever in the picture.
    """
    if last < first:
        raise wrong("frames", f"{first} to {last} is no range", "the last frame comes after the first")
    form = nodes[0].format()
    width, height = form.width(), form.height()
    found: list[Baked] = []
    with full_resolution():
        for node in nodes:
            with objects_of(node, size) as objects:
                for name, bounds in objects:
                    boxes = [_parts(bounds(frame), width, height) for frame in range(first, last + 1)]
                    found.append(Baked(name, words_of(name), boxes, [float(len(found))]))
    return document(
        found, prompt, first, last - first + 1, float(nuke.root().fps()), (width, height), form.pixelAspect()
    )


def _parts(bounds: Bounds | None, width: float, height: float) -> tuple[float, float, float, float] | None:
    """Left, top, right, bottom, y down, in parts of the format."""
    if bounds is None:
        return None
    left, bottom, right, top = bounds
    return seen((left / width, 1 - top / height, right / width, 1 - bottom / height))


@contextlib.contextmanager
def objects_of(node: Node, size: Point) -> Iterator[list[tuple[str, Callable[[float], Bounds | None]]]]:
    """Names of a node's objects, and their bounds in pixels, y up, at any frame.

    Above the node we follow what moves points or time: up to a Roto or a Tracker, whose objects are then meant; else to
    the corners of the first CornerPin, or the format that goes into the last Transform; else it is a node's bbox.
    """
    nodes, here = [], node
    while not (found := sources_of(here, size)) and _way(here) is not None and here.input(0) is not None:
        nodes.append(here)
        here = here.input(0)
    if not found:
        if _way(here) is not None:
            nodes.append(here)
        last = _last_corners(nodes)
        if last is not None:
            found = [_CORNERS[nodes[last].Class()](nodes[last], _name(node))]
            nodes = nodes[: last + 1]
    ways = [way for one in nodes if (way := _way(one)) is not None]
    with _bbox(here) if not found else contextlib.nullcontext() as bounds:
        if bounds is not None:
            found = [rectangle(_name(node), bounds)]
        one = len(found) == 1 and node["label"].value().strip()
        yield [(one or source.name, _seen_through(source, ways)) for source in found]


def _last_corners(nodes: Sequence[Node]) -> int | None:
    """Of nodes from below upwards: the first CornerPin, else the topmost Transform."""
    kinds = [one.Class() for one in nodes]
    if "CornerPin2D" in kinds:
        return kinds.index("CornerPin2D")
    return max((n for n, kind in enumerate(kinds) if kind in _CORNERS), default=None)


def _seen_through(source: Source, ways: Sequence[Way]) -> Callable[[float], Bounds | None]:
    def bounds(frame: float) -> Bounds | None:
        time, matrix = float(frame), IDENTITY
        for way in ways:
            time, step = way(time)
            matrix = times(matrix, step)
        return source.bounds(time, matrix)

    return bounds


def _name(node: Node) -> str:
    return str(node["label"].value()).strip() or str(node.name())


def _way(node: Node) -> Way | None:
    """What a node does to points and to time; None for one that we cannot follow."""
    kind = node.Class()
    if kind in THROUGH or (kind in _WAYS and node["disable"].value()):
        return lambda time: (time, IDENTITY)
    return _WAYS[kind](node) if kind in _WAYS else None


def _transform(node: Node) -> Way:
    aspect = float(node.format().pixelAspect())
    translate, centre, rotate = _pair(node["translate"]), _pair(node["center"]), reader(node["rotate"])
    scale, skew = _pair(node["scale"]), (reader(node["skewX"]), reader(node["skewY"]))
    order = str(node["skew_order"].value())
    back = node.knob("invert_matrix") is not None and bool(node["invert_matrix"].value())

    def way(time: float) -> tuple[float, Matrix]:
        tangents = skew[0](time), skew[1](time)
        made = transform(translate(time), rotate(time), scale(time), tangents, order, centre(time), aspect)
        return time, inverse(made) if back else made

    return way


def _corner_pin(node: Node) -> Way:
    source, target = _corners(node, "from"), _corners(node, "to")
    back = bool(node["invert"].value())

    def way(time: float) -> tuple[float, Matrix]:
        try:
            return time, pinned(target(time), source(time)) if back else pinned(source(time), target(time))
        except ValueError as error:
            raise wrong("", f"{node.name()} at frame {time:g}: {error}", "look at its corners") from None

    return way


def _corners(node: Node, side: str) -> Callable[[float], list[Point]]:
    """Four corners; one that is switched off stays where it comes from."""
    on = [side == "from" or bool(node[f"enable{n}"].value()) for n in range(1, 5)]
    pairs = [_pair(node[f"{side if there else 'from'}{n}"]) for n, there in enumerate(on, 1)]
    return lambda time: [pair(time) for pair in pairs]


def _pair(knob: Any) -> Callable[[float], Point]:
    """A knob of two numbers; of one, where both are the same."""
    x = reader(knob, 0)
    y = x if knob.singleValue() else reader(knob, 1)
    return lambda time: (x(time), y(time))


def _time(read: Callable[[float], float]) -> Way:
    return lambda time: (read(time), IDENTITY)


def _retime(node: Node) -> Way:
    names = ("input.first", "input.last", "output.first", "output.last")
    a, b, c, d = (reader(node[name]) for name in names)
    back = bool(node["reverse"].value())

    def read(time: float) -> float:
        part = (time - c(time)) / ((d(time) - c(time)) or 1.0)
        return a(time) + (1 - part if back else part) * (b(time) - a(time))

    return _time(read)


def _offset(node: Node) -> Way:
    by: Read = reader(node["time_offset"])
    return _time(lambda time: time - by(time))


def _format_of(node: Node, name: str) -> Source:
    above = node.input(0)
    form = (above or node).format()
    return rectangle(name, lambda time: (0.0, 0.0, float(form.width()), float(form.height())))


_WAYS: dict[str, Callable[[Node], Way]] = {
    "Transform": _transform,
    "TransformMasked": _transform,
    "CornerPin2D": _corner_pin,
    "TimeOffset": _offset,
    "TimeWarp": lambda node: _time(reader(node["lookup"])),
    "FrameHold": lambda node: _time(reader(node["first_frame"])),
    "Retime": _retime,
}
_CORNERS: dict[str, Callable[[Node, str], Source]] = {  # what is boxed where nothing above has objects of its own
    "Transform": _format_of,
    "TransformMasked": _format_of,
    "CornerPin2D": lambda node, name: quad(name, _corners(node, "from")),
}


@contextlib.contextmanager
def _bbox(node: Node) -> Iterator[Callable[[float], Bounds]]:
    """A node's own bbox at any frame, by expressions of a node that is there only meanwhile: time does not move."""
    with unseen():
        asking = nuke.nodes.NoOp()
        try:
            for edge in ("x", "y", "r", "t"):
                knob = nuke.Double_Knob(f"bbox_{edge}")
                asking.addKnob(knob)
                asking[f"bbox_{edge}"].setExpression(f"{node.name()}.bbox.{edge}")
            read = [reader(asking[f"bbox_{edge}"]) for edge in ("x", "y", "r", "t")]
            yield lambda time: (read[0](time), read[1](time), read[2](time), read[3](time))
        finally:
            nuke.delete(asking)
