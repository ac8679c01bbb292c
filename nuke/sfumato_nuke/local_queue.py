"""The queue of this machine, started as a process of its own: it goes on when Nuke is closed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from sfumato_plugins import logs
from sfumato_plugins.engine_python import clean_environment, command
from sfumato_plugins.frames import Pattern
from sfumato_plugins.job import Job

LOOK = 0.5  # seconds between two looks at the result's folder
EXITS = {1: "internal", 2: "request", 3: "input", 4: "memory"}


class Queue:
    """`sfumato queue run` on a job file; `poll` speaks as the engine does.

    Raises:
        NoEngine: no Python runs it.
        OSError: no log can be written, or the process cannot be started.
    """

    def __init__(self, path: str, job: Job, pattern: Pattern, options: Mapping[str, int], python: str = "") -> None:
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        line = command("queue", "run", path, *words, python=python)
        self.log, handle = logs.new_log(logs.log_folder(), "queue")
        try:
            more: dict[str, Any] = {"start_new_session": True}
            if sys.platform == "win32":
                more = {"creationflags": 0x00000200 | 0x08000000}  # CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW
            self._process = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, env=clean_environment(os.environ), **more
            )
        finally:
            os.close(handle)
        self._patterns = [pattern.for_view(view) for view in job.views] or [pattern]
        self._job = job
        self._began = time.monotonic()
        self._looked = 0.0
        self._there = -1
        self._cancelled = 0.0

    def cancel(self) -> None:
        """Ask it to stop; after ten seconds it is ended."""
        if not self._cancelled:
            self._cancelled = time.monotonic()
            with contextlib.suppress(OSError):
                self._process.terminate()

    def poll(self) -> list[dict[str, Any]]:
        """What happened since the last call."""
        code = self._process.poll()
        if code is not None:
            return [*self._progress(), self._last(code)]
        if self._cancelled and time.monotonic() - self._cancelled > 10:
            self._kill()
        if time.monotonic() - self._looked < LOOK:
            return []
        return self._progress()

    def _progress(self) -> list[dict[str, Any]]:
        self._looked = time.monotonic()
        frames = [set(one.on_disk()).intersection(self._job.written) for one in self._patterns]
        there, all_of_them = sum(map(len, frames)), len(self._job.written) * len(self._patterns)
        if there == self._there:
            return []
        new = there - max(self._there, 0)
        gone = time.monotonic() - self._began
        left = gone * (all_of_them - there) / there if there and new else None
        first, self._there = self._there < 0, there
        share = {"event": "progress", "share": there / all_of_them, "text": f"queue, {there} of {all_of_them} frames"}
        found: list[dict[str, Any]] = [{**share, "frame": None, "seconds_left": None if first else left}]
        if frames[0]:
            found.append({"event": "frame", "frame": max(frames[0]), "view": "main", "files": []})
        return found

    def _last(self, code: int) -> dict[str, Any]:
        if code == 0:
            return {"event": "done", "complete": True, "seconds": time.monotonic() - self._began}
        if self._cancelled or code == 130:
            return {"event": "cancelled", "sentence": "the queue was stopped; finished frames are kept"}
        sentence, hint = last_words(logs.tail(self.log)) or (f"the queue ended with code {code}", "")
        told = {"kind": EXITS.get(code, "internal"), "log": self.log}
        hint = hint or "send it again: finished frames are kept"
        return {"event": "failed", "sentence": sentence, "hint": hint, **told}

    def _kill(self) -> None:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)


def last_words(log: str) -> tuple[str, str] | None:
    """The last sentence of a log and what is indented below it; None where there is none.

    >>> last_words("working\\nno frame 1007\\n  render it\\n")
    ('no frame 1007', 'render it')
    """
    lines = [line for line in log.splitlines() if line.strip()]
    for at in reversed(range(len(lines))):
        if not lines[at].startswith(" "):
            return lines[at], "\n".join(line.strip() for line in lines[at + 1 :])
    return None
