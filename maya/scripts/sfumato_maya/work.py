"""Jobs that Maya has running: one engine for the session, asked ten times a second on the main thread what is new."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable

import maya.api.OpenMaya as om

from sfumato_plugins.launch import Engine, NoEngine

PERIOD = 100  # milliseconds
LAST = ("done", "failed", "cancelled")
Listener = Callable[[Mapping[str, Any]], None]


class Work:
    """The engine, and who listens to which job. Only ever touched from the main thread."""

    def __init__(self) -> None:
        self._engine = Engine(host="maya")
        self._listeners: dict[str, Listener] = {}
        self._timer: Any = None

    @property
    def busy(self) -> bool:
        """Whether a job has not ended yet."""
        return bool(self._listeners)

    def run(self, job: Mapping[str, Any], listener: Listener, *, force: bool = False) -> str:
        """Start a job; the listener hears every message about it, the last one being done, failed or cancelled.

        Raises:
            NoEngine: no engine can be started; the sentence is for the artist.
        """
        id = self._engine.run(job, force=force)
        self._listeners[id] = listener
        return id

    def cancel(self, id: str) -> None:
        """Stop a job between two steps; never waits."""
        self._engine.cancel(id)

    def tick(self) -> None:
        """Hand what is new to those it is for."""
        for message in self._engine.poll():
            id = str(message.get("id") or "")
            listener = self._listeners.get(id)
            if message.get("event") in LAST:
                self._listeners.pop(id, None)
            if listener is not None:
                _hand_on(message, listener)
            elif message.get("event") == "failed":
                om.MGlobal.displayWarning(f"sfumato: {message.get('sentence')} ({message.get('log')})")
        if not self.busy:
            self._rest()

    def watch(self) -> None:
        """Tick by a timer of Maya's own event loop, as long as there is work. Needs the graphical Maya.

        Raises:
            NoEngine: this Maya has no Qt for Python.
        """
        if self._timer is None:
            self._timer = _timer(self._beat)
        self._timer.start(PERIOD)

    def wait(self) -> None:
        """Tick until there is no work left, for a Maya without an event loop."""
        while self.busy:
            self.tick()
            time.sleep(0.02)

    def release(self) -> None:
        """Give the GPU back: at once when idle, else when what runs is done. The next run starts a new engine."""
        self._engine.release()

    def close(self) -> None:
        """End the engine and whatever runs."""
        self._rest()
        self._engine.close()
        self.tick()

    def _beat(self) -> None:
        try:
            self.tick()
        except Exception as error:
            self._rest()  # the same error ten times a second helps nobody
            om.MGlobal.displayError(f"sfumato: {error}")
            raise

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.stop()


def _hand_on(message: Mapping[str, Any], listener: Listener) -> None:
    """One listener's mistake is no reason for the others to hear nothing: a job whose end is lost never ends."""
    try:
        listener(message)
    except Exception as error:
        om.MGlobal.displayError(f"sfumato: {type(error).__name__}: {error}")


def _timer(call: Callable[[], None]) -> Any:
    try:
        from PySide6 import QtCore
    except ImportError:
        try:
            from PySide2 import QtCore
        except ImportError:
            raise NoEngine("this Maya has no PySide to run a timer with", "use mayapy, or the command line") from None
    timer = QtCore.QTimer()
    timer.timeout.connect(call)
    return timer


_session: list[Work] = []


def session() -> Work:
    """The session's one engine; started when the first job is."""
    if not _session:
        _session.append(Work())
    return _session[0]


def close() -> None:
    """End the session's engine, if there is one."""
    while _session:
        _session.pop().close()
