"""Animation layers: where curves land, so that what was there stays and one click takes them out again."""

from __future__ import annotations

from collections.abc import Sequence

import maya.api.OpenMaya as om
from maya import cmds

from sfumato_plugins.errors import Problem

NEW = ""  # a new layer; None: no layer


def names() -> list[str]:
    """Layers of the scene but for the base."""
    root = cmds.animLayer(query=True, root=True)
    return [layer for layer in cmds.ls(type="animLayer") if layer != root]


def problem(layer: str | None) -> Problem | None:
    """Why nothing can be put on this layer."""
    if not layer or not cmds.objExists(layer):
        return None
    if cmds.nodeType(layer) != "animLayer":
        return Problem(layer, "is there and is no animation layer", "choose another name")
    if cmds.animLayer(layer, query=True, lock=True):
        return Problem(layer, "is a locked layer", "unlock it, or take another")
    return None


def layered(plug: om.MPlug) -> bool:
    """Whether an attribute is on a layer already."""
    source = plug.source()
    return not source.isNull and om.MFnDependencyNode(source.node()).typeName.startswith("animBlendNode")


def open_layer(layer: str, attributes: Sequence[str]) -> tuple[str, list[str]]:
    """The layer of that name, made if it is not there, with these attributes on it; and those that are new to it.

    It overrides what is below. It is taken away again where it cannot take the attributes.
    """
    made = not layer or not cmds.objExists(layer)
    if made:
        layer = cmds.animLayer(layer or "sfumato", override=True)
    try:
        new = [name for name in attributes if not cmds.animLayer(layer, query=True, layeredPlug=name)]
        if new:
            cmds.animLayer(layer, edit=True, attribute=new)
    except Exception:
        close_layer(layer, [] if made else attributes, made)
        raise
    return layer, new


def close_layer(layer: str, attributes: Sequence[str], made: bool) -> None:
    """Undo `open_layer`, where what came after it failed."""
    if made:
        cmds.animLayer(layer, edit=True, removeAllAttributes=True)
        cmds.delete(layer)
    elif attributes:
        cmds.animLayer(layer, edit=True, removeAttribute=list(attributes))


def plug_on(layer: str, attribute: str) -> str:
    """Where an attribute's curve on this layer goes: the input of a blend node."""
    return str(cmds.animLayer(layer, query=True, layeredPlug=attribute))
