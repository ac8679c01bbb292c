"""What the fake Maya has to look at: meshes with points and edges, cameras with a lens, the size of the picture."""

from .maya_api_graph import MPlug
from .maya_api_values import MObject
from .maya_session import fakes, scene

INHERITED = {  # what `nodeType -inherited` says, as far as anybody asks
    "mesh": ["containerBase", "entity", "dagNode", "shape", "geometryShape", "deformableShape", "mesh"],
    "polySphere": ["abstractBaseCreate", "polyBase", "polyCreator", "polyPrimitive", "polySphere"],
    "skinCluster": ["geometryFilter", "weightGeometryFilter", "skinCluster"],
    "tweak": ["geometryFilter", "tweak"],
}
LENS = {  # name -> kind and Maya's own default
    "focalLength": ("double", 35.0), "lensSqueezeRatio": ("double", 1.0), "overscan": ("double", 1.0),
    "horizontalFilmAperture": ("double", 1.417), "verticalFilmAperture": ("double", 0.945),
    "horizontalFilmOffset": ("double", 0.0), "verticalFilmOffset": ("double", 0.0),
    "filmFit": ("enum", 1), "filmFitOffset": ("double", 0.0), "cameraScale": ("double", 1.0),
    "nearClipPlane": ("doubleLinear", 0.1), "farClipPlane": ("doubleLinear", 10000.0), "orthographic": ("bool", False),
    "orthographicWidth": ("doubleLinear", 10.0), "renderable": ("bool", True), "preScale": ("double", 1.0),
    "postScale": ("double", 1.0), "filmTranslateH": ("double", 0.0), "filmTranslateV": ("double", 0.0),
    "filmRollValue": ("doubleAngle", 0.0),
}  # fmt: skip


def camera(node):
    for name, (kind, value) in LENS.items():
        node.add(name, kind=kind, value=value, keyable=True)


def mesh(node):
    node.add("inMesh", kind="mesh")
    node.add("outMesh", kind="mesh")


def resolution(node):
    for name, value in (("width", 1920), ("height", 1080), ("pixelAspect", 1.0), ("deviceAspectRatio", 16 / 9)):
        node.add(name, kind="double", value=value)


MAKERS = {"camera": camera, "mesh": mesh, "resolution": resolution}


def shaped(node, points, edges=()):
    """Give a mesh its points: a list, or a function of the frame for one that is deformed."""
    node.extra.update(points=points, edges=tuple(edges))
    return node


@fakes("OpenMaya.MDGContext")
class MDGContext:
    def __init__(self, time=None):
        self._ticks = time._ticks if time is not None else scene().time


def as_object(self, context=None):
    """A plug's data: of outMesh the mesh as it is at the context's time."""
    if self._attr.name != "outMesh":
        raise RuntimeError("(kFailure): Unexpected Internal Failure")
    return MObject((self._attr.node, context._ticks if context else scene().time))


MPlug.asMObject = as_object


@fakes("OpenMaya.MPoint")
class MPoint:
    def __init__(self, x=0.0, y=0.0, z=0.0, w=1.0):
        self._at = float(x), float(y), float(z)

    x = property(lambda self: self._at[0])
    y = property(lambda self: self._at[1])
    z = property(lambda self: self._at[2])


@fakes("OpenMaya.MPointArray")
class MPointArray:
    def __init__(self, items=()):
        self._items = [MPoint(*item) for item in items]

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        return self._items[index]


@fakes("OpenMaya.MFnMesh")
class MFnMesh:
    """On a mesh's data, as a plug gives it; its points are then in the mesh's own space."""

    def __init__(self, object=None):
        self._node, self._ticks = object._thing

    @property
    def numEdges(self):
        return len(self._node.extra["edges"])

    def getPoints(self, space=None):
        points = self._node.extra["points"]
        return MPointArray(points(scene().frames(self._ticks)) if callable(points) else points)

    def getEdgeVertices(self, edgeId):
        return self._node.extra["edges"][edgeId]
