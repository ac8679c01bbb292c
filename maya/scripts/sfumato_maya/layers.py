"""Animation layers: where curves land, so that what was there stays and one click takes them out again."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence

from maya import cmds

from sfumato_maya.attributes import find
from sfumato_plugins.errors import JobError, Problem

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
    if not cmds.animLayer(layer, query=True, override=True):
        hint = "set its mode to Override, or take another"
        return Problem(layer, "is an additive layer: the curves would be added to what is below", hint)
    return None


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
        covered = _animated_siblings(layer, attributes)
        for name in attributes:  # one at a time: what a command that fails half-way has done is nowhere recorded
            if not plug_on(layer, name):
                cmds.animLayer(layer, edit=True, attribute=name)
                joined.append(name)
        _refuse_covered(layer, covered)
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
    return str(cmds.animLayer(layer, query=True, layeredPlug=attribute) or "")


def _animated_siblings(layer: str, names: Sequence[str]) -> list[str]:
    """Animated rotations beside those that are keyed: Maya may take all three onto a layer when one joins it."""
    turned = [name for name in names if re.search(r"\.rotate[XYZ]$", name)]
    beside = {name[:-1] + axis for name in turned for axis in "XYZ"} - set(names)
    return [name for name in sorted(beside) if find(name).isDestination and not plug_on(layer, name)]


def _refuse_covered(layer: str, siblings: Sequence[str]) -> None:
    """What is not keyed must not be covered.

    Raises:
        JobError: animation that nobody asked to change would be overridden.
    """
    hint = "let the curves or the map drive it too, or apply without a layer"
    covered = [Problem(name, "is animated, and joins the layer with its sisters", hint) for name in siblings]
    covered = [problem for problem in covered if plug_on(layer, problem.where)]
    if covered:
        raise JobError(covered)
