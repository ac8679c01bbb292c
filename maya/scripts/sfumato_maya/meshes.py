"""The points of what hangs below a transform, at any frame, without moving the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import maya.api.OpenMaya as om
from maya import cmds

from sfumato_maya.attributes import find
from sfumato_maya.hull import corners
from sfumato_plugins.errors import wrong

Point = tuple[float, float, float]
FEW = 24  # points for which a hull gains nothing
MOVING = ("geometryFilter", "AlembicNode", "cacheBase", "historySwitch", "gpuCache")  # what may change a mesh over time


class Mesh:
    """One mesh shape: its points in its own space and its edges; read once where nothing moves them."""

    def __init__(self, shape: str) -> None:
        self.shape = shape
        self.parent = (cmds.listRelatives(shape, parent=True, fullPath=True) or [""])[0]
        self._plug = find(f"{shape}.outMesh")
        self._still = None if _moves(shape) else self._points(om.MTime(0.0, om.MTime.uiUnit()))

    def points(self, frame: float) -> Sequence[Point]:
        """At a frame of the timeline, centimetres."""
        return self._points(om.MTime(frame, om.MTime.uiUnit())) if self._still is None else self._still

    def outline(self, frame: float) -> Sequence[Point]:
        """Those of its points that can be at the edge of its picture; all of them where they move."""
        return self.points(frame) if self._still is None else self._outermost

    @cached_property
    def _outermost(self) -> Sequence[Point]:
        points = self._still or []
        return [points[number] for number in corners(points)] if len(points) > FEW else points

    def _points(self, time: om.MTime) -> list[Point]:
        mesh = om.MFnMesh(self._plug.asMObject(om.MDGContext(time)))
        return [(point.x, point.y, point.z) for point in mesh.getPoints()]

    @cached_property
    def edges(self) -> list[tuple[int, int]]:
        """Pairs of points; the same at every frame."""
        mesh = om.MFnMesh(self._plug.asMObject(om.MDGContext(om.MTime(0.0, om.MTime.uiUnit()))))
        found = []
        for number in range(mesh.numEdges):
            first, last = mesh.getEdgeVertices(number)
            found.append((first, last))
        return found


def meshes_of(node: str) -> list[Mesh]:
    """The meshes of a transform and of all below it; of a shape itself.

    Raises:
        JobError: there is none (exit 2).
    """
    if cmds.nodeType(node) == "mesh":
        return [Mesh(node)]
    shapes = cmds.listRelatives(node, allDescendents=True, fullPath=True, type="mesh", noIntermediate=True) or []
    if not shapes:
        raise wrong(node, "has no mesh below it", "select what has polygons; a proxy cube will do")
    return [Mesh(shape) for shape in shapes]


def _moves(shape: str) -> bool:
    """Whether a mesh's own points may change: a deformer, a cache or a key anywhere in its history."""
    for node in cmds.listHistory(shape) or []:
        kinds = cmds.nodeType(node, inherited=True) or []
        if cmds.nodeType(node) != "tweak" and any(kind in MOVING for kind in kinds):
            return True
        if cmds.listConnections(node, source=True, destination=False, type="animCurve") and node != shape:
            return True
    return False
