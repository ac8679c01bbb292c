"""Why an engine ended, in a sentence for the artist: from its exit code and the last lines of its log."""

from __future__ import annotations

import re
import signal
from typing import NamedTuple

from sfumato_plugins.logs import of_this_job, tail

AGAIN = "run again: finished frames are kept"
WHICH = "is it the Python that sfumato was installed in? Name it with SFUMATO_PYTHON"
_WORDS = {
    "SIGSEGV": "segmentation fault",
    "SIGBUS": "bus error",
    "SIGABRT": "abort",
    "SIGILL": "illegal instruction",
    "SIGFPE": "arithmetic error",
}
_WINDOWS = {  # NTSTATUS, ntstatus.h
    0xC0000005: "access violation",
    0xC000001D: "illegal instruction",
    0xC00000FD: "stack overflow",
    0xC0000135: "a DLL is missing",
    0xC0000409: "stack buffer overrun",
}


class Death(NamedTuple):
    """kind: one of `wire.KINDS`."""

    kind: str
    sentence: str
    hint: str = ""


def cause(code: int, greeted: bool, python: str, log: str) -> Death:
    """Judge an engine that ended without being asked.

    Args:
        code: Its exit code; minus the number of a signal.
        greeted: It had said hello.
        python: The Python it was started with.
        log: The path of its log.
    """
    said = tail(log)
    if not greeted:
        return _never_began(code, python, said)
    if _out_of_memory(of_this_job(said)):
        hint = f"close other programs, crop the plate, or use the quality preview; {AGAIN}"
        return Death("memory", "the engine ran out of memory and ended", hint)
    if code == -getattr(signal, "SIGKILL", 9):
        hint = f"the system does that when memory runs out; a farm does it when the time is over. {AGAIN}"
        return Death("engine", "the engine was killed from outside (SIGKILL)", hint)
    if code < 0 or code in _WINDOWS:
        hint = f"{AGAIN}; if it happens again, send the log to whoever looks after sfumato"
        return Death("engine", f"the engine crashed ({_ended(code)})", hint)
    hint = f"the last lines of the log say why; {AGAIN}"
    return Death("engine", f"the engine ended by itself in the middle of a job (exit code {code})", hint)


def nonsense(line: bytes, greeted: bool, python: str) -> Death:
    """Judge an engine that said something that is no message."""
    said = line[:80].decode("ascii", "replace").strip()
    if greeted:
        return Death("engine", f"the engine said something that is no message: {said}", AGAIN)
    return Death("engine", f"{python} is not sfumato's Python; it said: {said}", WHICH)


def _never_began(code: int, python: str, said: str) -> Death:
    missing = re.findall(r"No module named '?([\w.]+)'?", said)
    if missing and missing[-1].startswith("sfumato"):
        hint = f"{python} -m pip install sfumato, or name another Python with SFUMATO_PYTHON"
        return Death("engine", f"sfumato is not installed in {python}", hint)
    if missing:
        hint = f"{python} -m pip install --force-reinstall sfumato"
        return Death("engine", f"{python} has no module called {missing[-1]}", hint)
    return Death("engine", f"{python} did not become an engine ({_ended(code)})", WHICH)


def _out_of_memory(said: str) -> bool:
    return bool(re.search(r"^MemoryError|bad_alloc|[Cc]annot allocate memory|[Oo]ut of memory", said, re.MULTILINE))


def _ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return _WINDOWS.get(code, f"exit code {code}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
    return f"{name}, {_WORDS[name]}" if name in _WORDS else name
