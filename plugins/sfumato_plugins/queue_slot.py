"""One slot of the queue: an Open Job Description session that runs one command after another, and hears what it says.

A session that saw a failure or a cancel takes no more tasks, so the slot then opens a fresh one.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, TextIO

from sfumato_plugins.report import spoken

PATIENCE = 0.85  # seconds from SIGTERM to SIGKILL; a task of ours needs less


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    state: done, failed, timeout or cancelled.
    exit_code: Negative is the signal that killed it; None where it never started.
    said: Why it failed, in its own words.
    """

    state: str
    exit_code: int | None
    said: str
    seconds: float


class Slot:
    """A place for one task at a time.

    environ: Variables of every task here, over those of this process.
    heard: Called with a task's share (0 to 1 or None) and words, from another thread.
    """

    def __init__(self, name: str, environ: Mapping[str, str], root: str, heard: Callable[[float | None, str], None]):
        self.name = name
        self._environ = dict(environ)
        self._root = root
        self._heard = heard
        self._session: Any = None
        self._over = threading.Event()
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, command: Sequence[str], log: str, timeout: float | None = None) -> Ended:
        """Run one command to its end; its output goes to the file `log`."""
        began = time.monotonic()
        if self._session is None:
            self._session = self._open()
        if self._stopped:
            return Ended("cancelled", None, "", 0.0)
        with open(log, "w", encoding="utf-8", errors="backslashreplace") as file:
            last = _hear(self._session_id, file)
            try:
                self._over.clear()
                self._start(command, timeout)
                self._over.wait()
            finally:
                _hear(self._session_id, None)
        status = self._session.action_status
        state = _STATES.get(status.state.value, "failed")
        if state != "done":
            self.close()
        said = "" if state == "done" else _words(state, status, last.lines, timeout)
        return Ended(state, status.exit_code, said, time.monotonic() - began)

    def cancel(self) -> None:
        """Stop what runs, and whatever is started later; SIGTERM, then SIGKILL to its whole group."""
        from datetime import timedelta

        with self._lock:
            self._stopped = True
            if self._session is not None and not self._over.is_set():
                with contextlib.suppress(RuntimeError):  # it ended by itself
                    self._session.cancel_action(time_limit=timedelta(seconds=PATIENCE))

    def close(self) -> None:
        """End the session; its folder goes."""
        if self._session is not None:
            self._session.cleanup()
            self._session = None

    def _open(self) -> Any:
        from pathlib import Path

        from openjd.sessions import Session

        self._session_id = uuid.uuid4().hex
        return Session(
            session_id=self._session_id,
            job_parameter_values={},
            callback=self._told,
            os_env_vars=self._environ,
            session_root_directory=Path(self._root),
        )

    def _start(self, command: Sequence[str], timeout: float | None) -> None:
        from openjd.model import ParameterValue, ParameterValueType, parse_model
        from openjd.model.v2023_09 import StepScript

        # As parameters the words are taken as they are: a path may hold what would be an expression.
        words = {f"Word{i}": ParameterValue(type=ParameterValueType.STRING, value=w) for i, w in enumerate(command)}
        names = [f"{{{{Task.Param.{name}}}}}" for name in words]
        action = {
            "command": names[0],
            **({"args": names[1:]} if names[1:] else {}),
            **({"timeout": max(1, round(timeout))} if timeout else {}),
            "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": 1},
        }
        script = parse_model(model=StepScript, obj={"actions": {"onRun": action}})
        self._session.run_task(step_script=script, task_parameter_values=words, log_task_banner=False)
        with self._lock:
            stopped = self._stopped
        if stopped:
            self.cancel()

    def _told(self, session: str, status: Any) -> None:
        """The session's callback: progress, or the end."""
        if status.state.value in _STATES:
            self._over.set()
        else:
            share = None if status.progress is None else status.progress / 100
            self._heard(share, status.status_message or "")


_SIGNALS = {int(number): number.name for number in signal.Signals}
_STATES = {"success": "done", "failed": "failed", "timeout": "timeout", "canceled": "cancelled"}


def _words(state: str, status: Any, last: Sequence[str], timeout: float | None) -> str:
    """Why a task failed: what it said to the session, else how it ended and its last line."""
    if state == "timeout":
        return f"stopped after {spoken(timeout or 0)}, the time it was given"
    if status.fail_message:
        return str(status.fail_message)
    code = status.exit_code
    if code is not None and code < 0:
        return f"killed by {_SIGNALS.get(-code, f'signal {-code}')}"
    how = "did not start" if code is None else f"ended with exit code {code}"
    return f"{how}: {last[-1]}" if last else how


class _Lines:
    """Where one session's log goes, and its last lines."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.lines: list[str] = []


_open_logs: dict[str, _Lines] = {}
_listening = threading.Lock()


def _hear(session: str, file: TextIO | None) -> _Lines:
    """Send a session's log to a file, until told None."""
    with _listening:
        log = logging.getLogger("openjd.sessions")
        if not any(isinstance(handler, _ByID) for handler in log.handlers):
            log.addHandler(_ByID())
            log.propagate = False
        if file is None:
            return _open_logs.pop(session)
        _open_logs[session] = _Lines(file)
        return _open_logs[session]


class _ByID(logging.Handler):
    """Writes what commands print, and what the session says about them, each to its own file."""

    def emit(self, record: logging.LogRecord) -> None:
        from openjd.sessions import LogContent

        lines = _open_logs.get(getattr(record, "session_id", ""))
        content = getattr(record, "openjd_log_content", None)
        text = record.getMessage()
        if lines is None or not text or content is None or LogContent.BANNER in content:
            return
        lines.file.write(text + "\n")
        lines.file.flush()
        if LogContent.COMMAND_OUTPUT in content:
            lines.lines = [*lines.lines[-4:], text]
