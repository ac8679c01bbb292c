"""A small file that all users of the machine may lock and read: the lock says its writer lives, the JSON who it is.

Locks end with the process that has them, however it ends. Not for network drives.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_BYTE = 1 << 30  # the byte that is locked on Windows, where a lock keeps others from reading
FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def open_shared(path: str) -> int:
    """Open a file for all users, made if need be, whatever the umask.

    What another user made in a sticky folder cannot be opened with O_CREAT (Linux: fs.protected_regular).

    Raises:
        OSError: no permission, or it is a link.
    """
    while True:
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, os.O_RDWR | FLAGS)
        with contextlib.suppress(FileExistsError):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | FLAGS, 0o666)
            if hasattr(os, "fchmod"):
                os.fchmod(handle, 0o666)
            return handle


def lock(handle: int) -> bool:
    """Lock an open file; False while somebody else has it."""
    try:
        if sys.platform == "win32":
            os.lseek(handle, _BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def discard(path: str, handle: int) -> None:
    """Remove a file that we have locked, then let go of it: the other way round, somebody could lock what is gone."""
    windows = sys.platform == "win32"  # where an open file cannot be removed, so that it has to be the other way round
    if windows:
        os.close(handle)
    with contextlib.suppress(OSError):
        os.remove(path)
    if not windows:
        os.close(handle)


def write(handle: int, values: Mapping[str, Any]) -> None:
    """Replace what the file says."""
    text = json.dumps(values).encode()
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, text)
    os.ftruncate(handle, len(text))


def read(handle: int) -> dict[str, Any]:
    """What the locked file says; nothing for the moment in which it is being written."""
    os.lseek(handle, 0, os.SEEK_SET)
    try:
        found = json.loads(os.read(handle, 4096))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
