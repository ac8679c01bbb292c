"""The fake's maya.api: plugs, nodes, attributes and how they are found."""

from .maya_api_values import MAngle, MDistance, MObject
from .maya_session import fakes, scene


@fakes("OpenMaya.MPlug")
class MPlug:
    def __init__(self, attr=None):
        self._attr = attr

    isNull = property(lambda self: self._attr is None)
    isLocked = property(lambda self: self._attr.locked)
    isKeyable = property(lambda self: self._attr.keyable)
    isChild = property(lambda self: self._attr.parent is not None)
    isDestination = property(lambda self: self._attr.source is not None)

    def name(self):
        return f"{scene().shown(self._attr.node)}.{self._attr.name}"

    def partialName(self, includeNonMandatoryIndices=False, useLongNames=False):
        return self._attr.name if useLongNames else self._attr.short

    def node(self):
        return MObject(self._attr.node)

    def attribute(self):
        return MObject(self._attr)

    def parent(self):
        return MPlug(self._attr.parent)

    def source(self):
        return MPlug(self._attr.source)

    def destinations(self):
        attrs = (attr for node in scene().nodes for attr in node.attrs.values())
        return [MPlug(attr) for attr in attrs if attr.source is self._attr]

    def asBool(self):
        return bool(scene().value(self._attr))

    def asDouble(self):
        return float(scene().value(self._attr))

    def asMAngle(self):
        return MAngle(scene().value(self._attr))

    def asMDistance(self):
        return MDistance(scene().value(self._attr))


@fakes("OpenMaya.MSelectionList")
class MSelectionList:
    def __init__(self):
        self._items = []

    def add(self, name):
        node, _, attr = name.partition(".")
        found = [n.find(attr) if attr else n for n in scene().find(node)]
        if not found or None in found:
            raise RuntimeError("(kInvalidParameter): Object does not exist")
        self._items += found
        return self

    def length(self):
        return len(self._items)

    def getPlug(self, index):
        return MPlug(self._items[index])

    def getDependNode(self, index):
        return MObject(self._items[index])


@fakes("OpenMaya.MFnDependencyNode")
class MFnDependencyNode:
    def __init__(self, node=None):
        self._node = node._thing

    typeName = property(lambda self: self._node.kind)
    isLocked = property(lambda self: self._node.locked)

    def name(self):
        return self._node.name

    def hasAttribute(self, name):
        return self._node.find(name) is not None

    def findPlug(self, attribute, wantNetworkedPlug):
        found = self._node.find(attribute)
        if found is None:
            raise RuntimeError("(kInvalidParameter): Cannot find item of required type")
        return MPlug(found)


@fakes("OpenMaya.MFnAttribute")
class MFnAttribute:
    def __init__(self, object=None):
        self._attr = object._thing

    name = property(lambda self: self._attr.name.partition("[")[0])


@fakes("OpenMaya.MFnNumericAttribute")
class MFnNumericAttribute:
    def __init__(self, object=None):
        self._attr = object._thing

    def hasMin(self):
        return self._attr.low is not None

    def hasMax(self):
        return self._attr.high is not None

    def getMin(self):
        return self._attr.low

    def getMax(self):
        return self._attr.high


@fakes("OpenMaya.MFnUnitAttribute")
class MFnUnitAttribute:
    kAngle, kDistance = 1, 2

    def __init__(self, object=None):
        self._attr = object._thing
        self._measure = MAngle if self._attr.kind == "doubleAngle" else MDistance

    def unitType(self):
        return self.kAngle if self._measure is MAngle else self.kDistance

    def hasMin(self):
        return self._attr.low is not None

    def hasMax(self):
        return self._attr.high is not None

    def getMin(self):
        return self._measure(self._attr.low)

    def getMax(self):
        return self._measure(self._attr.high)
