"""Animation layers: where curves land, so that what was there stays and one click takes them out again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

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


@contextlib.contextmanager
def opened(layer: str, attributes: Sequence[str]) -> Iterator[str]:
    """The layer of that name, made if it is not there, with these attributes on it. It overrides what is below.

    If what is done inside fails, the layer is as it was, or gone again.
    """
    base = cmds.animLayer(query=True, root=True)
    made = not layer or not cmds.objExists(layer)
    joined: list[str] = []
    if made:
        layer = cmds.animLayer(layer or "sfumato", override=True)
    try:
        for name in attributes:  # one at a time: what a command that fails half-way has done is nowhere recorded
            if not cmds.animLayer(layer, query=True, layeredPlug=name):
                cmds.animLayer(layer, edit=True, attribute=name)
                joined.append(name)
        yield layer
    except Exception:
        for name in reversed(joined):
            cmds.animLayer(layer, edit=True, removeAttribute=name)
        if made:
            cmds.delete(layer)
        if not base:  # the first layer brings the base one with it
            cmds.delete(cmds.animLayer(query=True, root=True))
        raise


def plug_on(layer: str, attribute: str) -> str:
    """Where an attribute's curve on this layer goes: the input of a blend node."""
    return str(cmds.animLayer(layer, query=True, layeredPlug=attribute))
