"""A process spoken to in lines, without ever waiting for it: two threads carry the lines, the caller only looks."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

WINDOWS = sys.platform == "win32"
AFTER_EXIT = 0.3  # seconds its last lines have to arrive in, once it has exited
LONGEST = 1 << 24  # bytes of a line; what is longer is no message
HELD = 100_000  # lines kept for a caller that does not look; a process that says more waits


class Child:
    """Started in a session (Windows: process group) of its own, so that stopping it stops what it started too.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: int, folder: str) -> None:
        more: dict[str, Any] = {"start_new_session": True}
        if WINDOWS:
            more = {"creationflags": 0x00000200 | 0x08000000}  # CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW
        pipe = subprocess.PIPE
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            list(command), stdin=pipe, stdout=pipe, stderr=log, env=dict(environ), cwd=folder, **more
        )
        self.pid = self._process.pid
        self._in: queue.Queue[bytes] = queue.Queue(HELD)
        self._out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._silent_since = 0.0  # its end of the pipe is closed
        self._exited = 0.0
        self.killed = False
        self._reader = threading.Thread(target=self._read, name="sfumato-pipe", daemon=True)
        self._reader.start()
        threading.Thread(target=self._write, name="sfumato-pipe", daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError), self._process.stdout as pipe:
            while line := pipe.readline(LONGEST):
                self._hold(line)
        self._silent_since = time.monotonic()

    def _hold(self, line: bytes) -> None:
        while True:
            try:
                return self._in.put(line, timeout=AFTER_EXIT)
            except queue.Full:
                if self.killed or self.code is not None:  # whoever does not look by then never will
                    return

    def _write(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError), self._process.stdin as pipe:
            while True:
                line = self._out.get()
                if line is None:
                    return
                pipe.write(line)
                pipe.flush()

    def say(self, line: bytes) -> None:
        """Send a line; lost if the child is gone, which `ended` tells."""
        self._out.put(line)

    def heard(self) -> list[bytes]:
        """Lines that came since the last call; those that arrive meanwhile are for the next."""
        return [self._in.get_nowait() for _ in range(self._in.qsize())]

    @property
    def code(self) -> int | None:
        """Its exit code; minus the number of the signal that ended it; None while it lives."""
        return self._process.poll()

    @property
    def ended(self) -> bool:
        """It has exited, and all it said has arrived (or is held back by a child it left behind)."""
        if self.code is None:
            return False
        self._exited = self._exited or time.monotonic()
        return self._in.empty() and (self._silent_since > 0 or time.monotonic() - self._exited > AFTER_EXIT)

    @property
    def hung_up(self) -> float:
        """Seconds for which its end of the pipe has been closed; 0 while it can speak."""
        return time.monotonic() - self._silent_since if self._silent_since else 0.0

    def hang_up(self) -> None:
        """Close its stdin, once what was said is through: an engine ends on that."""
        self._out.put(None)

    def terminate(self) -> None:
        """Ask it to end: SIGTERM; where there are no signals its stdin is closed, which says the same."""
        if WINDOWS:
            self.hang_up()
        else:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all it started, at once."""
        if self.killed:
            return
        self.killed = True
        if WINDOWS:  # taskkill ends it too: it finds what a process started only while that process is there
            command = ["taskkill", "/F", "/T", "/PID", str(self.pid)]
            try:
                subprocess.Popen(command, creationflags=0x08000000, stdout=subprocess.DEVNULL)
            except OSError:
                self._process.kill()
        else:
            self._signal(signal.SIGKILL)
        self.hang_up()

    def _signal(self, number: int) -> None:
        if not WINDOWS and self.code is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def sweep(self) -> None:
        """End what it started and left behind when it ended."""
        if not WINDOWS and self.code is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def settle(self) -> None:
        """Wait the moment that what it said last needs to arrive; one that has hung up and lives on is ended."""
        self._reader.join(AFTER_EXIT)
        if not self.wait(AFTER_EXIT):
            self.kill()
            self.wait(AFTER_EXIT)

    def wait(self, seconds: float) -> bool:
        """Wait for it to exit; False if it has not."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
