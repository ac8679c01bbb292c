"""Curves onto a rig: one undo step, a layer of their own, and everything that stands in the way said beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato_maya import layers, loading, state, write_keys
from sfumato_maya.plan import Plan, make_plan
from sfumato_plugins.control_map import ControlMap
from sfumato_plugins.curves import Curves
from sfumato_plugins.curves_maya_files import curve_names
from sfumato_plugins.errors import JobError, Problem


@dataclass(frozen=True)
class Applied:
    """layer: empty where there is none. left_out and notes: what the artist should read."""

    layer: str
    attributes: tuple[str, ...]
    keys: int
    left_out: tuple[Problem, ...]
    notes: tuple[Problem, ...]

    def __str__(self) -> str:
        where = f" on the layer {self.layer}" if self.layer else ""
        left = f", {len(self.left_out)} left out" if self.left_out else ""
        return f"{len(self.attributes)} attributes, {self.keys} keys{where}{left}"


def apply(
    curves: Curves,
    control_map: ControlMap | None = None,
    namespace: str = "",
    *,
    layer: str | None = layers.NEW,
    start: float | None = None,
    partial: bool = False,
) -> Applied:
    """Key a rig with curves; one undo takes all of it back.

    Args:
        control_map: Which control drives which attribute; None: the curves' names are attributes.
        namespace: Of the rig, such as "hero".
        layer: "" makes a new layer; a name uses that layer, or makes it; None keys the attributes themselves.
        start: The frame the first sample lands on; None: its own number.
        partial: Leave out what cannot be written instead of writing nothing.

    Raises:
        JobError: something cannot be written, all of it in one list; the scene is as it was.
    """
    plan = make_plan(curves, control_map, namespace, layer=layer, start=start)
    if plan.stops and not (partial and plan.writes):
        raise JobError(plan.stops)
    loading.ensure()
    with state.quiet(), state.one_undo("sfumato apply curves"):
        used = _write(plan, layer)
    names = tuple(write.name for write in plan.writes)
    return Applied(used, names, len(names) * len(plan.times), plan.stops, plan.notes)


def _write(plan: Plan, layer: str | None) -> str:
    """The layer that was used. Nothing is left behind when it fails."""
    names, plugs = [write.name for write in plan.writes], [write.plug for write in plan.writes]
    if layer is None:
        write_keys.run(plan.times, plan.writes, plugs, curve_names(names))
        return ""
    with layers.opened(layer, plugs) as used:
        on_layer = [layers.plug_on(used, plug) for plug in plugs]
        write_keys.run(plan.times, plan.writes, on_layer, curve_names([f"{used}_{name}" for name in names]))
    return used
