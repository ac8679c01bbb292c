"""Maya as the artist left it: one undo step, and what a tool switches off comes back, whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Callable

from maya import cmds


@contextlib.contextmanager
def one_undo(name: str) -> Iterator[None]:
    """All that is done inside is one entry of the undo queue; it is closed also when something fails."""
    cmds.undoInfo(openChunk=True, chunkName=name)
    try:
        yield
    finally:
        cmds.undoInfo(closeChunk=True)


@contextlib.contextmanager
def unrecorded() -> Iterator[None]:
    """What is done inside leaves no trace in the undo queue, and the queue stays."""
    recording = cmds.undoInfo(query=True, state=True)
    cmds.undoInfo(stateWithoutFlush=False)
    try:
        yield
    finally:
        cmds.undoInfo(stateWithoutFlush=recording)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Auto key, evaluation manager, cycle check and viewport rest; they, the time and the selection come back."""
    with contextlib.ExitStack() as back:
        back.enter_context(_unchanged_view())
        for switch, off, on in _switches():
            back.callback(_unrecorded, switch, on)
            _unrecorded(switch, off)
        if not cmds.about(batch=True):
            back.callback(cmds.refresh, suspend=False)
            cmds.refresh(suspend=True)
        yield


def _switches() -> list[tuple[Callable[..., Any], dict[str, Any], dict[str, Any]]]:
    """Commands, the flags that switch each off, and those that bring back what is set now."""
    manager = cmds.evaluationManager(query=True, mode=True)[0]
    return [
        (cmds.autoKeyframe, {"state": False}, {"state": cmds.autoKeyframe(query=True, state=True)}),
        (cmds.evaluationManager, {"mode": "off"}, {"mode": manager}),
        (cmds.cycleCheck, {"evaluation": False}, {"evaluation": cmds.cycleCheck(query=True, evaluation=True)}),
    ]


def _unrecorded(command: Callable[..., Any], flags: dict[str, Any]) -> None:
    with unrecorded():
        command(**flags)


@contextlib.contextmanager
def _unchanged_view() -> Iterator[None]:
    """Time and selection come back."""
    time, selection = cmds.currentTime(query=True), cmds.ls(selection=True, long=True)
    try:
        yield
    finally:
        with unrecorded():
            if cmds.currentTime(query=True) != time:
                cmds.currentTime(time, edit=True)
            if cmds.ls(selection=True, long=True) != selection:
                cmds.select(selection, replace=True) if selection else cmds.select(clear=True)
