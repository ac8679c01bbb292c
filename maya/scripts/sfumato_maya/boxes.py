"""Boxes out of a scene: what a shot's camera sees of chosen transforms, frame by frame; the timeline does not move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import maya.api.OpenMaya as om
from maya import cmds

from sfumato_maya.attributes import scene_fps
from sfumato_maya.frustum import Edges, Lens, Matrix, Window, box, window
from sfumato_maya.markers import Hidden
from sfumato_maya.meshes import Mesh, meshes_of
from sfumato_plugins.errors import wrong
from sfumato_plugins.placing.baked import Baked, document, seen, words_of

FILM_BACK = {"preScale": 1.0, "postScale": 1.0, "filmTranslateH": 0.0, "filmTranslateV": 0.0, "filmRollValue": 0.0}


def bake(
    nodes: Sequence[str] = (), camera: str = "", first: int | None = None, last: int | None = None, prompt: str = ""
) -> dict[str, Any]:
    """The track of some transforms' boxes in the rendered picture, with their distance as depth.

    Args:
        nodes: Transforms with meshes below them; default: what is selected. Their names are the words of the prompt.
        camera: Default: the one that renders.
        first, last: Default: the playback range.

    Raises:
        JobError: no camera, nothing with polygons, nothing ever in the picture (exit 2).
    """
    given = list(nodes) or cmds.ls(selection=True, long=True)
    chosen = [path for node in given for path in cmds.ls(node, long=True)]
    if not chosen:
        raise wrong("", "nothing is selected", "select the transforms that are to have boxes")
    begin = int(cmds.playbackOptions(query=True, minTime=True)) if first is None else first
    end = int(cmds.playbackOptions(query=True, maxTime=True)) if last is None else last
    if end < begin:
        raise wrong("frames", f"{begin} to {end} is no range", "the last frame comes after the first")
    width, height = (int(cmds.getAttr(f"defaultResolution.{side}")) for side in ("width", "height"))
    pixel = float(cmds.getAttr("defaultResolution.pixelAspect"))
    shot = Shot(camera or rendering_camera(), width * pixel / height)
    subjects = [(node, meshes_of(node), Hidden(node)) for node in chosen]
    rows: list[list[tuple[Edges, float] | None]] = [[] for _ in chosen]
    for frame in range(begin, end + 1):
        view, lens = shot.at(frame)
        picture = window(lens, shot.aspect)
        for (_, meshes, hidden), row in zip(subjects, rows):
            row.append(None if hidden.at(frame) else _seen(meshes, frame, view, lens, picture))
    objects = [_baked(node, row) for node, row in zip(chosen, rows)]
    return document(objects, prompt, begin, end - begin + 1, scene_fps(), (width, height), pixel)


def rendering_camera() -> str:
    """The camera that renders; of several the first that is none of Maya's own.

    Raises:
        JobError: none does (exit 2).
    """
    found = [one for one in cmds.ls(type="camera", long=True) if cmds.getAttr(f"{one}.renderable")]
    if not found:
        raise wrong("camera", "no camera of the scene renders", "name the shot's camera")
    own = [one for one in found if not one.startswith(("|persp|", "|top|", "|front|", "|side|"))]
    return (own or found)[0]


class Shot:
    """A camera over time; what of it stands still is read once."""

    def __init__(self, camera: str, aspect: float) -> None:
        paths = cmds.ls(camera, long=True)
        shapes = [p for p in paths if cmds.nodeType(p) == "camera"]
        if paths and not shapes:
            shapes = cmds.listRelatives(paths[0], shapes=True, fullPath=True, type="camera") or []
        if len(shapes) != 1:
            raise wrong(
                "camera", f"{camera} is {'no camera' if not shapes else 'several cameras'}", "name one, by its path"
            )
        self.shape, self.aspect = shapes[0], aspect
        self.parent = (cmds.listRelatives(self.shape, parent=True, fullPath=True) or [""])[0]
        self._unit = om.MDistance(1.0, om.MDistance.uiUnit()).asCentimeters()
        self._read: dict[str, Callable[[float], float]] = {}
        for name, plain in FILM_BACK.items():
            if abs(self._value(name, 0.0) - plain) > 1e-9:
                what = f"{self.shape} has a film back with {name}, which sfumato does not follow"
                raise wrong("camera", what, f"set it to {plain:g}, or bake it into the film's offset")

    def at(self, frame: float) -> tuple[Matrix, Lens]:
        """The matrix from world to camera space, and the lens, at a frame."""
        return _inverted(cmds.getAttr(f"{self.parent}.worldMatrix[0]", time=frame)), self._lens(frame)

    def _lens(self, frame: float) -> Lens:
        def value(name: str) -> float:
            return self._value(name, frame)

        ortho = value("orthographicWidth") * self._unit if value("orthographic") else None
        return Lens(
            focal=value("focalLength"),
            film=(value("horizontalFilmAperture"), value("verticalFilmAperture")),
            offset=(value("horizontalFilmOffset"), value("verticalFilmOffset")),
            squeeze=value("lensSqueezeRatio"),
            fit=int(value("filmFit")),
            fit_offset=value("filmFitOffset"),
            scale=value("cameraScale"),
            near=value("nearClipPlane") * self._unit,
            ortho=ortho,
        )

    def _value(self, name: str, frame: float) -> float:
        if name not in self._read:
            plug = f"{self.shape}.{name}"
            if cmds.listConnections(plug, source=True, destination=False):
                self._read[name] = lambda at: float(cmds.getAttr(plug, time=at))
            else:
                still = float(cmds.getAttr(plug))
                self._read[name] = lambda at: still
        return self._read[name](frame)


def _seen(
    meshes: Sequence[Mesh], frame: float, view: Matrix, lens: Lens, picture: Window
) -> tuple[Edges, float] | None:
    """The box around all meshes of an object, and how near its nearest point is; None where nothing is to be seen."""
    found = []
    for mesh in meshes:
        world = cmds.getAttr(f"{mesh.parent}.worldMatrix[0]", time=frame)
        matrix = product(world, view)
        one = box(mesh.outline(frame), matrix, lens, picture, lambda mesh=mesh: (mesh.points(frame), mesh.edges))
        if one is not None:
            found.append(one)
    if not found:
        return None
    lefts, tops, rights, bottoms = zip(*(edges for edges, _ in found))
    return (min(lefts), min(tops), max(rights), max(bottoms)), min(depth for _, depth in found)


def _baked(node: str, row: Sequence[tuple[Edges, float] | None]) -> Baked:
    name = node.rpartition("|")[2]
    known = [one[1] for one in row if one]
    depths, last = [], known[0] if known else 0.0
    for one in row:
        last = one[1] if one else last
        depths.append(last)
    return Baked(name, words_of(name), [seen(one[0]) if one else None for one in row], depths)


def product(first: Matrix, then: Matrix) -> list[float]:
    """First one, then the other."""
    columns = [then[c::4] for c in range(4)]
    rows = [first[4 * r : 4 * r + 4] for r in range(4)]
    return [a * e + b * f + c * g + d * h for a, b, c, d in rows for e, f, g, h in columns]


def _inverted(m: Matrix) -> list[float]:
    """A camera's world matrix turned round, without its scale: a scaled camera sees what an unscaled one would."""
    axes = [_unit(m[4 * row : 4 * row + 3]) for row in range(3)]
    shift = [-sum(m[12 + k] * axis[k] for k in range(3)) for axis in axes]
    rows = [[axis[column] for axis in axes] + [0.0] for column in range(3)]
    return [number for row in (*rows, [*shift, 1.0]) for number in row]


def _unit(axis: Sequence[float]) -> list[float]:
    length = sum(part * part for part in axis) ** 0.5 or 1.0
    return [part / length for part in axis]
