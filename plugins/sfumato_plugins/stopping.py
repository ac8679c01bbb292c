"""Being stopped: Ctrl-C, SIGTERM, or the end of whoever started us. Work ends between two steps, the process within a
second in any case.

A hard end is safe at any moment: files appear whole or not at all, and the next run goes on from what is there.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from sfumato_plugins.report import Teller

if TYPE_CHECKING:
    import socket  # loaded where it is used: --help waits for nothing

GRACE = 0.6  # seconds the work has to stop by itself; a step of a large plate takes longer
LAST = 0.9  # seconds until the process is killed from outside: a call into C can keep every thread of ours waiting
LOOK = 0.25  # seconds between looks at the parent, where the kernel does not tell us
CANCELLED = 130
PARENT = "SFUMATO_PARENT"  # the process that started us, where it says so
_PR_SET_PDEATHSIG = 1  # prctl.h


@contextmanager
def interruptible(teller: Teller, more: float = 0.0) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask the work to stop between two steps; when it does not, they end it: at the latest after
    LAST seconds, at once when they come a second time.

    more: Seconds it is given besides, because it has to stop others first.

    Use it before threads are started. Not on the main thread it does nothing: whoever started us stops us.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if teller.stopped:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        teller.stopped = _name(number)

    before: dict[int, Any] = {n: signal.signal(n, ask) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        with _ended_late(more):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _ended_late(more: float) -> Iterator[None]:
    """Within, a signal ends the process soon.

    Python's own handlers run only between two instructions of the main thread, so not within one long call into torch.
    The wakeup socket is written by the signal's C handler, at once.
    """
    import socket

    heard, wakes = socket.socketpair()
    heard, guard = _guarded(heard, wakes, LAST + more)
    wakes.setblocking(False)
    wakeup = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_end_late, args=(heard, GRACE + more), name="sfumato-stop", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        wakes.close()
        if guard:
            with suppress(OSError):
                os.waitpid(guard, 0)


def leave(code: int) -> None:
    """End the process without tidying its memory, which takes the interpreter and torch up to a second."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _end_late(heard: socket.socket, grace: float) -> None:
    """End the process when its main thread has not left `interruptible` so many seconds after a signal."""
    with heard:
        number = _signal_from(heard)
        if number and not _closes(heard, grace):
            said = f"stopped by {_name(number)} within a step\n  what was finished is kept; run again to go on\n"
            with suppress(OSError):
                os.write(2, said.encode())
            os._exit(CANCELLED)


def _guarded(heard: socket.socket, wakes: socket.socket, last: float) -> tuple[socket.socket, int]:
    """Put a small process between the two sockets that passes signals on and needs none of our locks to end us.

    Returns the socket that signals now arrive at, and the process; 0 where processes cannot be forked.
    """
    if not hasattr(os, "fork"):
        return heard, 0
    import socket

    ours, theirs = socket.socketpair()
    us = os.getpid()
    guard = os.fork()
    if guard:
        heard.close()
        theirs.close()
        return ours, guard
    try:
        for deaf in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(deaf, signal.SIG_IGN)
        os.closerange(0, heard.fileno())  # nobody shall wait for the end of a pipe because we hold it
        wakes.close()
        ours.close()
        number = _signal_from(heard)
        if number:
            with suppress(OSError):
                theirs.send(bytes([number]))
            if not _closes(heard, last):
                os.kill(us, signal.SIGKILL)
    finally:
        os._exit(0)


def _signal_from(heard: socket.socket) -> int:
    """Wait for SIGINT or SIGTERM; 0 when nothing will come any more."""
    while True:
        received = heard.recv(1)
        if not received or received[0] in (signal.SIGINT, signal.SIGTERM):
            return received[0] if received else 0


def _closes(heard: socket.socket, seconds: float) -> bool:
    """Whether the other end is closed within some time, whatever else it says before."""
    import socket

    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        heard.settimeout(left)
        with suppress(TimeoutError, socket.timeout):
            if not heard.recv(1):
                return True
    return False


def _name(number: int) -> str:
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def follow_parent(environ: Mapping[str, str]) -> None:
    """In a farm's session end with whoever started us: a task whose session was killed must not go on writing.

    Not elsewhere: a shell may well end before what it started in the background.
    """
    if not any(name.startswith("OPENJD_") for name in environ):
        return
    parent = int(environ.get(PARENT) or os.getppid())
    # Sent when the parent's *thread* that started us ends; a session's thread waits for its task, so it outlives it.
    with suppress(OSError, AttributeError):
        if sys.platform.startswith("linux"):
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended while we were starting
        os._exit(CANCELLED)
    threading.Thread(target=_watch, args=(parent,), name="sfumato-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(CANCELLED)
