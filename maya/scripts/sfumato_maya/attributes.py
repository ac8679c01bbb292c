"""What an attribute of the scene is: whether it can be keyed, what it measures, what it is held to."""

from __future__ import annotations

import math
import re
from typing import Any

import maya.api.OpenMaya as om
import maya.api.OpenMayaAnim as oma
from maya import cmds

from sfumato_plugins.errors import nearest, wrong

ANIMATION = re.compile(r"animCurveT[ALUT]|animBlendNode\w+")
LIMITS = {"translate": "Trans", "rotate": "Rot", "scale": "Scale"}


def scene_fps() -> float:
    """Frames a second of the timeline."""
    return float(om.MTime(1.0, om.MTime.kSeconds).asUnits(om.MTime.uiUnit()))


def find(name: str) -> om.MPlug:
    """The plug of node.attribute.

    Raises:
        JobError: no such node or attribute, or several such nodes.
    """
    node, _, attribute = name.partition(".")
    nodes = cmds.ls(node, long=True)
    if not nodes:
        raise wrong(name, f"there is no {node} in the scene")
    if len(nodes) > 1:
        raise wrong(name, f"{len(nodes)} nodes are called {node}", f"write a path: {nodes[0]}")
    found = om.MSelectionList()
    try:
        found.add(f"{nodes[0]}.{attribute}")
        return found.getPlug(0)
    except (RuntimeError, TypeError):
        raise wrong(name, f"{node} has no attribute {attribute}", nearest(attribute, keyable(nodes[0]))) from None


def path(plug: om.MPlug, name: str) -> str:
    """An attribute by its node's path and its own long name, never an alias: what commands take without a doubt."""
    node = cmds.ls(name.partition(".")[0], long=True)[0]
    return f"{node}.{plug.partialName(includeNonMandatoryIndices=True, useLongNames=True)}"


def keyable(node: str) -> list[str]:
    """Attributes a person would key, the aliases of a blend shape's weights among them; its weights have holes."""
    found = list(cmds.listAttr(node, keyable=True, scalar=True) or ())
    if cmds.nodeType(node) == "blendShape":
        found += cmds.listAttr(f"{node}.weight", multi=True) or ()
    return list(dict.fromkeys(found))


def check_free(name: str, plug: om.MPlug) -> None:
    """Locked, or driven by something that is no animation.

    Raises:
        JobError: it is.
    """
    node = om.MFnDependencyNode(plug.node())
    family = [plug, plug.parent()] if plug.isChild else [plug]
    if any(one.isLocked for one in family):
        raise wrong(name, "is locked", "unlock it, or leave it out of the control map")
    if node.isLocked:
        raise wrong(name, f"{node.name()} is a locked node")
    for one in family:
        source = one.source()
        if not source.isNull and not ANIMATION.fullmatch(om.MFnDependencyNode(source.node()).typeName):
            raise wrong(name, f"is connected: {source.name()} drives it", "break the connection, or drive that instead")


def check_own_curve(name: str, plug: om.MPlug) -> None:
    """Where the attribute's own curve is written, it must be nobody else's too, and not a layer's.

    Raises:
        JobError: it is.
    """
    source = plug.source()
    if source.isNull:
        return
    if om.MFnDependencyNode(source.node()).typeName.startswith("animBlendNode"):
        raise wrong(name, "is on an animation layer", "choose a layer")
    others = [other.name() for other in source.destinations() if other.name() != plug.name()]
    if others:
        raise wrong(name, f"shares its curve with {others[0]}", "choose a layer, or give it a curve of its own")


def curve_type(name: str, plug: om.MPlug) -> int:
    """kAnimCurveTA, TL or TU: the one that needs no unit conversion.

    Raises:
        JobError: nothing a number can drive.
    """
    kind: int = oma.MFnAnimCurve().timedAnimCurveTypeForPlug(plug)
    if kind not in (oma.MFnAnimCurve.kAnimCurveTA, oma.MFnAnimCurve.kAnimCurveTL, oma.MFnAnimCurve.kAnimCurveTU):
        raise wrong(name, "is nothing that a number can drive")
    return kind


def inner(kind: int, values: tuple[float, ...]) -> tuple[float, ...]:
    """Values in degrees, centimetres or plain as the API wants them: radians, centimetres, plain."""
    return tuple(map(math.radians, values)) if kind == oma.MFnAnimCurve.kAnimCurveTA else values


def limits(plug: om.MPlug) -> tuple[float, float]:
    """The tighter of the attribute's own limits and the transform's, in degrees, centimetres or plain numbers."""
    low, high = _own(plug.attribute())
    name = om.MFnAttribute(plug.attribute()).name
    axis = re.fullmatch(r"(translate|rotate|scale)([XYZ])", name)
    node = om.MFnDependencyNode(plug.node())
    if axis and node.hasAttribute("minTransLimit"):
        word = f"{LIMITS[axis[1]]}{axis[2]}Limit"
        if node.findPlug(f"min{word}Enable", False).asBool():
            low = max(low, _measured(node.findPlug(f"min{word}", False), axis[1]))
        if node.findPlug(f"max{word}Enable", False).asBool():
            high = min(high, _measured(node.findPlug(f"max{word}", False), axis[1]))
    return low, high


def _measured(plug: om.MPlug, what: str) -> float:
    if what == "rotate":
        return float(plug.asMAngle().asDegrees())
    return float(plug.asMDistance().asCentimeters() if what == "translate" else plug.asDouble())


def _own(attribute: om.MObject) -> tuple[float, float]:
    low, high = -math.inf, math.inf
    if attribute.hasFn(om.MFn.kUnitAttribute):
        unit = om.MFnUnitAttribute(attribute)
        angle = unit.unitType() == om.MFnUnitAttribute.kAngle
        low = _plain(unit.getMin(), angle) if unit.hasMin() else low
        high = _plain(unit.getMax(), angle) if unit.hasMax() else high
    elif attribute.hasFn(om.MFn.kNumericAttribute):
        number = om.MFnNumericAttribute(attribute)
        low = float(number.getMin()) if number.hasMin() else low
        high = float(number.getMax()) if number.hasMax() else high
    return low, high


def _plain(value: Any, angle: bool) -> float:
    """Degrees or centimetres of what getMin gives: an MAngle, an MDistance, or a number in internal units."""
    if isinstance(value, om.MAngle):
        return float(value.asDegrees())
    if isinstance(value, om.MDistance):
        return float(value.asCentimeters())
    return math.degrees(value) if angle else float(value)
