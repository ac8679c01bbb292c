"""Markers out of a scene: where locators and joints are over time, without moving the timeline."""

from __future__ import annotations

import math
from collections.abc import Sequence

import maya.api.OpenMaya as om
from maya import cmds

from sfumato_maya.attributes import scene_fps
from sfumato_plugins.errors import wrong
from sfumato_plugins.markers import Markers, Position


def sample(frames: Sequence[float], nodes: Sequence[str] = ()) -> Markers:
    """Where each node is at each frame: centimetres, Y up, world space; None where it is hidden.

    Args:
        frames: Of the timeline, ascending; fractions are between frames.
        nodes: Transforms or joints, or shapes of such; default: what is selected.

    Raises:
        JobError: there is nothing to sample, or two nodes would have one name (exit 2).
    """
    found = _transforms(nodes)
    names = _names(found)
    columns = [_positions(node, frames) for node in found]
    return Markers(scene_fps(), tuple(frames), tuple(names), tuple(zip(*columns)))


def _transforms(nodes: Sequence[str]) -> list[str]:
    given = list(nodes) or cmds.ls(selection=True, long=True)
    found: list[str] = []
    for node in given:
        paths = cmds.ls(node, long=True)
        if len(paths) != 1:
            raise wrong(node, f"{len(paths)} nodes have this name", "give one node, by its path if need be")
        shape = not cmds.objectType(paths[0], isAType="transform")
        found += cmds.listRelatives(paths[0], parent=True, fullPath=True) or () if shape else paths
    if not found:
        raise wrong("", "no marker is selected", "select locators or joints first")
    return list(dict.fromkeys(found))


def _names(nodes: Sequence[str]) -> list[str]:
    """Names without path and namespace: `hero:chin` is `chin` in every shot.

    Raises:
        JobError: two are the same (exit 2).
    """
    names = [node.rpartition("|")[2].rpartition(":")[2] for node in nodes]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        where = ", ".join(node for node in nodes if node.rpartition("|")[2].rpartition(":")[2] == twice[0])
        raise wrong(twice[0], f"is the name of several markers: {where}", "rename one, or select fewer")
    return names


def _positions(node: str, frames: Sequence[float]) -> list[Position]:
    hidden = Hidden(node)
    turned = cmds.upAxis(query=True, axis=True) == "z"
    offset = _Offset(node)
    found: list[Position] = []
    for frame in frames:
        if hidden.at(frame):
            found.append(None)
            continue
        matrix = cmds.getAttr(f"{node}.worldMatrix[0]", time=frame)
        x, y, z = offset.moved(matrix, frame)
        point = (x, z, -y) if turned else (x, y, z)
        found.append(point if all(map(math.isfinite, point)) else None)
    return found


class Hidden:
    """Whether a node is seen at a frame: itself and all above it. What is not animated is looked at once."""

    def __init__(self, node: str) -> None:
        parts = node.split("|")
        chain = ["|".join(parts[:end]) for end in range(2, len(parts) + 1)]
        switches = [f"{one}.visibility" for one in chain]
        moving = [s for s in switches if cmds.listConnections(s, source=True, destination=False)]
        self._moving = moving
        self._always = not all(cmds.getAttr(s) for s in switches if s not in moving)

    def at(self, frame: float) -> bool:
        return self._always or not all(cmds.getAttr(switch, time=frame) for switch in self._moving)


class _Offset:
    """A locator's shape may lie beside its transform; what tracks is the shape."""

    def __init__(self, node: str) -> None:
        shapes = cmds.listRelatives(node, shapes=True, fullPath=True, type="locator") or []
        self._shape = shapes[0] if shapes else ""
        self._moving = any(
            cmds.listConnections(f"{self._shape}.localPosition{axis}", source=True, destination=False)
            for axis in "XYZ"
            if self._shape
        )
        self._still = self._local()

    def _local(self, **when: float) -> tuple[float, float, float]:
        """The shape's place in its transform, in centimetres."""
        if not self._shape:
            return 0.0, 0.0, 0.0
        unit = om.MDistance(1.0, om.MDistance.uiUnit()).asCentimeters()
        x, y, z = (cmds.getAttr(f"{self._shape}.localPosition{axis}", **when) * unit for axis in "XYZ")
        return x, y, z

    def moved(self, matrix: Sequence[float], frame: float) -> tuple[float, float, float]:
        """The point in world space; a matrix is 16 numbers, rows first, the last row the translation in centimetres."""
        local = self._local(time=frame) if self._moving else self._still
        x, y, z = (
            sum(local[row] * matrix[4 * row + axis] for row in range(3)) + matrix[12 + axis] for axis in range(3)
        )
        return x, y, z


def spread(first: float, last: float, step: float = 1.0) -> list[float]:
    """Frames from first to last, both included.

    Raises:
        JobError: there are none, or more than a million (exit 2).
    """
    if step <= 0 or last < first or (last - first) / step > 1e6:
        raise wrong("frames", f"{first:g} to {last:g} by {step:g} is no range", "the last frame comes after the first")
    return [round(first + step * at, 9) for at in range(math.floor((last - first) / step + 1e-9) + 1)]
