"""The fake's maya.api: what changes the scene. Nothing here undoes itself."""

from .maya_api_values import UNITS, MFn, MObject, MTime
from .maya_scene import CURVE_OF, LINEAR, NUMBERS, Node, furnish
from .maya_session import fakes, scene
from .maya_undo import Edits

KINDS = {"animCurveTA": 0, "animCurveTL": 1, "animCurveTT": 2, "animCurveTU": 3}


@fakes("OpenMaya.MDGModifier")
class MDGModifier:
    """doIt does what was added since the last one; after an undoIt it does everything again."""

    def __init__(self):
        self._todo, self._done = [], []

    def createNode(self, type):
        node = furnish(Node("", type))
        self._todo.append(lambda edits: self._put(edits, node, type))
        return MObject(node)

    @staticmethod
    def _put(edits, node, type):
        if not node.name:
            object.__setattr__(node, "name", scene().free_name(f"{type}1"))
        edits.swap(scene(), "nodes", (*scene().nodes, node))

    def renameNode(self, node, name):
        thing = node._thing
        self._todo.append(lambda edits: edits.swap(thing, "name", scene().free_name(name)))

    def connect(self, source, destination):
        self._todo.append(lambda edits: self._link(edits, source._attr, destination._attr))

    @staticmethod
    def _link(edits, source, target):
        if source.node not in scene().nodes or target.node not in scene().nodes:
            raise RuntimeError("(kFailure): the node is not in the scene yet")
        if target.locked or target.source:
            raise RuntimeError(f"(kFailure): {target!r} is locked or connected")
        if CURVE_OF.get(source.kind) != CURVE_OF.get(target.kind):
            raise AssertionError(f"a unitConversion node would come between {source!r} and {target!r}")
        edits.swap(target, "source", source)

    def doIt(self):
        if self._done and not self._done[-1][1]:
            for batch in self._done:
                batch[0].redo()
                batch[1] = True
        edits = Edits()
        todo, self._todo = self._todo, []
        try:
            for step in todo:
                step(edits)
        except BaseException:
            edits.undo()
            raise
        if edits.swaps:
            self._done.append([edits, True])

    def undoIt(self):
        for batch in reversed(self._done):
            if batch[1]:
                batch[0].undo()
                batch[1] = False


@fakes("OpenMayaAnim.MAnimCurveChange")
class MAnimCurveChange:
    def __init__(self):
        self._edits, self._there = Edits(), True

    def undoIt(self):
        if self._there:
            self._edits.undo()
        self._there = False

    def redoIt(self):
        if not self._there:
            self._edits.redo()
        self._there = True


@fakes("OpenMayaAnim.MFnAnimCurve")
class MFnAnimCurve:
    kAnimCurveTA, kAnimCurveTL, kAnimCurveTT, kAnimCurveTU, kAnimCurveUnknown = 0, 1, 2, 3, 8
    kTangentLinear, kTangentGlobal, kTangentStep = LINEAR, 0, 5

    def __init__(self, object=None):
        self._node = object._thing if object else None
        if object and not object.hasFn(MFn.kAnimCurve):
            raise RuntimeError("(kInvalidParameter): Object is incompatible with MFnAnimCurve")

    numKeys = property(lambda self: len(self._node.keys))
    animCurveType = property(lambda self: KINDS[self._node.kind])

    def timedAnimCurveTypeForPlug(self, plug):
        kind = plug._attr.kind
        return KINDS[CURVE_OF.get(kind, "animCurveTU")] if kind in (*NUMBERS, "time") else self.kAnimCurveUnknown

    def input(self, index):
        time = MTime(0.0, UNITS["film"])
        time._ticks = self._node.keys[index][0]
        return time

    def value(self, index):
        return self._node.keys[index][1]

    def _set(self, keys, change):
        if self._node not in scene().nodes:
            raise RuntimeError("(kFailure): the curve is not in the scene")
        (change._edits if change else Edits()).swap(self._node, "keys", keys)

    def addKeys(self, times, values, tangentIn=0, tangentOut=0, keepExistingKeys=False, change=None):
        if len(times) != len(values):
            raise RuntimeError("(kInvalidParameter): as many times as values")
        kept = {key[0]: key for key in self._node.keys} if keepExistingKeys else {}
        for time, value in zip(times._items, values._items, strict=True):
            kept[time._ticks] = (time._ticks, float(value), tangentIn, tangentOut)
        self._set(sorted(kept.values()), change)

    def remove(self, index, change=None):
        keys = list(self._node.keys)
        del keys[index]
        self._set(keys, change)
