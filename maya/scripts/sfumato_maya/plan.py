"""What applying curves would do, found out before anything is touched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import maya.api.OpenMaya as om
from maya import cmds

from sfumato_maya import attributes, layers
from sfumato_plugins.control_map import ControlMap, Driven, in_namespace, plain_map
from sfumato_plugins.curves import Curves
from sfumato_plugins.errors import JobError, Problem, wrong
from sfumato_plugins.takes import on_timeline


@dataclass(frozen=True)
class Write:
    """One attribute's keys: its name, the plug by its node's path, the type of curve, values in the API's units."""

    name: str
    plug: str
    kind: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class Plan:
    """times: frames of the timeline. stops: attributes that nothing can be written to. notes: worth knowing."""

    times: tuple[float, ...]
    writes: tuple[Write, ...]
    stops: tuple[Problem, ...]
    notes: tuple[Problem, ...]


def make_plan(
    curves: Curves,
    control_map: ControlMap | None = None,
    namespace: str = "",
    *,
    layer: str | None = layers.NEW,
    start: float | None = None,
) -> Plan:
    """Look at every attribute that the curves would drive; nothing in the scene changes.

    Args:
        control_map: Which control drives what; None: the curves' names are attributes.
        namespace: Of the rig.
        layer: As for `apply`.
        start: The frame the first sample lands on; None: its own number.

    Raises:
        JobError: the curves' names are no attributes and there is no map.
    """
    driven, notes = (control_map or plain_map(curves.names)).drive(curves)
    driven = [replace(one, target=in_namespace(one.target, namespace)) for one in driven]
    stops = [problem for problem in (layers.problem(layer), _nowhere(driven, namespace)) if problem]
    writes: list[Write] = []
    seen: dict[str, str] = {}
    for one in driven if not stops else ():
        try:
            plug = attributes.find(one.target)
            known = seen.setdefault(plug.name(), one.target)
            if known != one.target:
                raise wrong(one.target, f"is the attribute {known} by another name", "leave one of them in the map")
            write, said = _look(one, plug, layer)
            writes.append(write)
            notes += said
        except JobError as error:
            stops += error.problems
    times = on_timeline(curves.frames, curves.fps, attributes.scene_fps(), start)
    return Plan(tuple(times), tuple(writes), tuple(stops), tuple(notes))


def _nowhere(driven: Sequence[Driven], namespace: str) -> Problem | None:
    """One problem instead of fifty where not one node of the rig is there."""
    nodes = [one.target.partition(".")[0] for one in driven]
    if not nodes:
        return Problem("", "the curves and the control map have no control in common")
    if any(cmds.ls(node) for node in nodes):
        return None
    elsewhere = sorted({found.rpartition(":")[0] for node in nodes for found in cmds.ls(_bare(node), recursive=True)})
    where = f"in the namespace {namespace}" if namespace else "without a namespace"
    hint = f"it is there in the namespace: {', '.join(filter(None, elsewhere))}" if any(elsewhere) else ""
    return Problem(nodes[0], f"not one of {len(set(nodes))} nodes of the rig is in the scene {where}", hint)


def _bare(node: str) -> str:
    return node.rpartition("|")[2].rpartition(":")[2]


def _look(one: Driven, plug: om.MPlug, layer: str | None) -> tuple[Write, list[Problem]]:
    """How one attribute is written, and what is worth knowing of it.

    Raises:
        JobError: it cannot be.
    """
    attributes.check_free(one.target, plug)
    kind = attributes.curve_type(one.target, plug)
    if layer is None:
        attributes.check_own_curve(one.target, plug)
    held, note = one.held(*attributes.limits(plug))
    notes = [note] if note else []
    if not plug.isKeyable:
        notes.append(Problem(one.target, "is not keyable: its curve will not show in the channel box"))
    if not all(map(math.isfinite, held.values)):
        raise wrong(one.target, "would get values that are no numbers", "look at scale and offset in the map")
    return Write(one.target, attributes.path(plug, one.target), kind, attributes.inner(kind, held.values)), notes
