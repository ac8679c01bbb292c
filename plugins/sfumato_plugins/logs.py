"""Where the engine's words go that are not messages: one log a start, in a folder only its user can read.

A log holds sentences, warnings and tracebacks, never pixels.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping

KEPT = 20  # logs in the folder
LIMIT = 4 << 20  # bytes of a log; then its head is dropped
TAIL = 256 << 10  # bytes that stay
JOB = "--- job "  # begins the lines that an engine writes where a job begins and where it is over


def log_folder(environ: Mapping[str, str] = os.environ) -> str:
    """The user's folder for logs, made with mode 0700; one in the temporary folder where HOME is read-only."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        state = environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    else:
        state = environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
    wanted = os.path.join(state, "sfumato", "logs")
    if _made(wanted):
        return wanted
    import tempfile

    user = str(os.getuid()) if hasattr(os, "getuid") else environ.get("USERNAME", "user")
    spare = os.path.join(tempfile.gettempdir(), f"sfumato-{user}")
    return spare if _made(spare) else tempfile.mkdtemp(prefix="sfumato-")


def _made(folder: str) -> bool:
    """The folder is there, ours, and ours alone."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if hasattr(os, "getuid"):
            found = os.lstat(folder)
            if found.st_uid != os.getuid():
                return False
            if found.st_mode & 0o077:
                os.chmod(folder, 0o700)
        return os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return False


def new_log(folder: str, name: str) -> tuple[str, int]:
    """A new log and its file descriptor, for appending; of the old ones the newest KEPT stay.

    Raises:
        OSError: the folder cannot be written.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    old = []
    for there in os.listdir(folder):
        if there.endswith(".log"):
            with contextlib.suppress(OSError):  # another host tidies too
                old.append((os.path.getmtime(os.path.join(folder, there)), os.path.join(folder, there)))
    for _, path in sorted(old)[: max(0, len(old) - KEPT + 1)]:
        with contextlib.suppress(OSError):
            os.remove(path)
    while True:
        path = os.path.join(folder, f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06d}.log")
        with contextlib.suppress(FileExistsError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            return path, os.open(path, flags, 0o600)


def first_line(handle: int, text: str) -> None:
    """Begin a log with the time; a full disk is no reason not to start."""
    with contextlib.suppress(OSError):
        os.write(handle, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n".encode("utf-8", "replace"))


def tail(path: str, size: int = 4096) -> str:
    """The end of a log, at most `size` bytes of it; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def of_this_job(said: str) -> str:
    """What was logged since the last job began; nothing if it is over, all where no job is spoken of."""
    *_, last = f"\n{said}".split(f"\n{JOB}")
    return last


def trim(path: str) -> None:
    """Drop the head of a log that grew beyond LIMIT. Its writer appends, so it goes on at the new end (not Windows)."""
    try:
        if sys.platform == "win32" or os.path.getsize(path) <= LIMIT:
            return
        kept = tail(path, TAIL)
        with open(path, "r+b") as file:
            file.truncate(0)
        with open(path, "ab") as file:
            file.write(b"(the head of this log was dropped)\n" + kept.partition("\n")[2].encode())
    except OSError:
        return
