"""The fake's maya.api: objects, times, angles, distances and arrays of them."""

import math

from .maya_scene import CENTIMETRES, FPS, Node
from .maya_session import fakes, scene

UNITS = {"sec": 3, "game": 5, "film": 6, "pal": 7, "ntsc": 8, "show": 9, "palf": 10, "ntscf": 11}
UNITS.update({name: 100 + at for at, name in enumerate(sorted(set(FPS) - set(UNITS)))})
NAMES = {number: name for name, number in UNITS.items()}


@fakes("OpenMaya.MFn")
class MFn:
    kNumericAttribute, kUnitAttribute, kAnimCurve = 1, 2, 3


@fakes("OpenMaya.MObject")
class MObject:
    def __init__(self, thing=None):
        self._thing = thing

    def __eq__(self, other):
        return isinstance(other, MObject) and self._thing is other._thing

    __hash__ = None

    def isNull(self):
        return self._thing is None

    def hasFn(self, type):
        kind = getattr(self._thing, "kind", "")
        if type == MFn.kAnimCurve:
            return isinstance(self._thing, Node) and kind.startswith("animCurve")
        units = ("doubleLinear", "doubleAngle", "time")
        return kind in (units if type == MFn.kUnitAttribute else ("double", "float", "long", "bool"))


@fakes("OpenMaya.MTime")
class MTime:
    kSeconds, kFilm, kPALFrame, kNTSCFrame = 3, 6, 7, 8

    def __init__(self, value=0.0, unit=UNITS["film"]):
        self._ticks, self._unit = scene().ticks(value, NAMES[unit]), unit

    def asUnits(self, unit):
        return scene().frames(self._ticks, NAMES[unit])

    @staticmethod
    def uiUnit():
        return UNITS[scene().unit]

    @property
    def value(self):
        return self.asUnits(self._unit)

    @property
    def unit(self):
        return self._unit


@fakes("OpenMaya.MAngle")
class MAngle:
    kRadians, kDegrees = 1, 2

    def __init__(self, value=0.0, unit=1):
        self._radians = math.radians(value) if unit == 2 else value

    def asDegrees(self):
        return math.degrees(self._radians)

    def asRadians(self):
        return self._radians


@fakes("OpenMaya.MDistance")
class MDistance:
    kCentimeters, kMillimeters, kMeters = 6, 5, 8

    def __init__(self, value=0.0, unit=6):
        self._cm = value * {6: 1.0, 5: 0.1, 8: 100.0, 1: 2.54}[unit]

    def asCentimeters(self):
        return self._cm

    @staticmethod
    def uiUnit():
        return {1.0: 6, 0.1: 5, 100.0: 8, 2.54: 1}[CENTIMETRES[scene().linear]]


def array(name):
    """MTimeArray, MDoubleArray."""

    @fakes(f"OpenMaya.{name}")
    class Array:
        def __init__(self, items=()):
            self._items = list(items)

        def append(self, value):
            self._items.append(value)

        def __len__(self):
            return len(self._items)

        def __getitem__(self, index):
            return self._items[index]

    Array.__name__ = name
    return Array


MTimeArray, MDoubleArray = array("MTimeArray"), array("MDoubleArray")
