"""The undoable command that writes keys: cmds.sfumatoApplyCurves(FILE), registered by the plug-in.

FILE is a curves file whose names are attributes; `start=1001` moves it there. The panel and `apply` hand their request
over in memory, under a ticket instead of a file's name. All keys of one call are one MAnimCurveChange, all nodes one
MDGModifier, so that undo and redo are exact and quick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import maya.api.OpenMaya as om
import maya.api.OpenMayaAnim as oma
from maya import cmds

if TYPE_CHECKING:  # the plug-in loads this file at Maya's start: the rest is imported when it is used
    from sfumato_maya.plan import Write

NAME = "sfumatoApplyCurves"
TICKET = "sfumato-ticket:"
_waiting: dict[str, Request] = {}


class Request(NamedTuple):
    """times in frames of the timeline; plugs: where each of `writes` goes; names: of curves that have to be made."""

    times: tuple[float, ...]
    writes: tuple[Write, ...]
    plugs: tuple[str, ...]
    names: tuple[str, ...]


def run(times: Sequence[float], writes: Sequence[Write], plugs: Sequence[str], names: Mapping[str, str]) -> None:
    """Call the command with a request that is in memory."""
    ticket = f"{TICKET}{len(_waiting)}"
    _waiting[ticket] = Request(tuple(times), tuple(writes), tuple(plugs), tuple(names.values()))
    try:
        cmds.sfumatoApplyCurves(ticket)
    finally:
        _waiting.pop(ticket, None)


def syntax() -> om.MSyntax:
    """One text, and -start/-s FRAME."""
    made = om.MSyntax()
    made.addArg(om.MSyntax.kString)
    made.addFlag("-s", "-start", om.MSyntax.kDouble)
    return made


def create() -> om.MPxCommand:
    """What Maya calls for every use of the command."""
    return ApplyCurves()


class ApplyCurves(om.MPxCommand):
    """Writes keys once; Maya keeps it in the undo queue and calls undoIt and redoIt."""

    def __init__(self) -> None:
        super().__init__()
        self._nodes = om.MDGModifier()
        self._keys = oma.MAnimCurveChange()

    def doIt(self, args: om.MArgList) -> None:
        given = om.MArgDatabase(self.syntax(), args)
        start = given.flagArgumentDouble("-s", 0) if given.isFlagSet("-s") else None
        request = _request(given.commandArgumentString(0), start)
        try:
            self._write(request)
        except Exception:
            self.undoIt()
            raise
        self.setResult(len(request.writes) * len(request.times))

    def undoIt(self) -> None:
        self._keys.undoIt()
        self._nodes.undoIt()

    def redoIt(self) -> None:
        self._nodes.doIt()
        self._keys.redoIt()

    def isUndoable(self) -> bool:
        return True

    def _write(self, request: Request) -> None:
        from sfumato_maya.attributes import find

        plugs = [find(plug) for plug in request.plugs]
        curves = self._curves(plugs, request)
        unit = om.MTime.uiUnit()
        times = om.MTimeArray([om.MTime(time, unit) for time in request.times])
        linear = oma.MFnAnimCurve.kTangentLinear
        for node, write in zip(curves, request.writes):
            curve = oma.MFnAnimCurve(node)
            self._clear(curve, request.times[0], request.times[-1])
            curve.addKeys(times, om.MDoubleArray(write.values), linear, linear, True, self._keys)

    def _curves(self, plugs: Sequence[om.MPlug], request: Request) -> list[om.MObject]:
        """The curve that drives each plug; new ones where there is none."""
        found: list[om.MObject] = []
        made: list[tuple[om.MObject, om.MPlug]] = []
        for plug, write, name in zip(plugs, request.writes, request.names):
            source = plug.source()
            if not source.isNull:
                found.append(source.node())
                continue
            node = self._nodes.createNode(_TYPES[write.kind])
            self._nodes.renameNode(node, name)
            found.append(node)
            made.append((node, plug))
        self._nodes.doIt()  # nodes first: a plug of a node that is not there yet cannot be connected
        for node, plug in made:
            self._nodes.connect(om.MFnDependencyNode(node).findPlug("output", False), plug)
        self._nodes.doIt()
        return found

    def _clear(self, curve: oma.MFnAnimCurve, first: float, last: float) -> None:
        """Take out keys that lie where the new ones go; those before and after stay."""
        unit, slack = om.MTime.uiUnit(), 1e-4
        for at in reversed(range(curve.numKeys)):
            if first - slack <= curve.input(at).asUnits(unit) <= last + slack:
                curve.remove(at, self._keys)


_TYPES = {
    oma.MFnAnimCurve.kAnimCurveTA: "animCurveTA",
    oma.MFnAnimCurve.kAnimCurveTL: "animCurveTL",
    oma.MFnAnimCurve.kAnimCurveTU: "animCurveTU",
}


def _request(text: str, start: float | None) -> Request:
    """What a ticket stands for, or what a file asks for.

    Raises:
        RuntimeError: the file or an attribute in it is wrong; Maya shows the text.
    """
    if text.startswith(TICKET):
        return _waiting[text]
    from sfumato_maya.plan import make_plan
    from sfumato_plugins import curves as curve_files
    from sfumato_plugins.curves_maya_files import curve_names
    from sfumato_plugins.errors import JobError

    try:
        plan = make_plan(curve_files.load(text), layer=None, start=start)
        if plan.stops:
            raise JobError(plan.stops)
    except JobError as error:
        raise RuntimeError(str(error)) from None
    names = curve_names([write.name for write in plan.writes])
    return Request(plan.times, plan.writes, tuple(write.plug for write in plan.writes), tuple(names.values()))
