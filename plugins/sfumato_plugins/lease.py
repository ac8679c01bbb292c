"""Who has a GPU: one locked file for each, on this machine's own disk, shared by all its users.

    /tmp/sfumato-leases/GPU-8f3a....lock           locked by the holder while its process lives; says who it is
    /tmp/sfumato-leases/GPU-8f3a....wanted-<id>    locked by whoever waits; says who that is

Only the end of a process gives all of a GPU's memory back, so the lease is the process: killed, it is free at once.
An engine without work ends when somebody waits; a farm's run lets an artist in between two frames.

SFUMATO_LEASES names another folder; never one on a network drive, whose locks cannot be trusted.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sfumato_plugins.shared_lock import FLAGS, discard, lock, open_shared, read, write


class NoLocks(OSError):  # noqa: N818  (what there is not)
    """The folder of leases cannot be used."""


@contextlib.contextmanager
def locking() -> Iterator[None]:
    """Around what touches the leases' files, so that their errors are not taken for those of who is told or asked."""
    try:
        yield
    except OSError as error:
        raise NoLocks(str(error)) from error


@dataclass(frozen=True)
class Client:
    """Who computes. interactive: an artist waits for it; others make way between two frames."""

    host: str = ""
    interactive: bool = False

    def __str__(self) -> str:
        return self.host or "sfumato"


class Lease:
    """One GPU is ours until `give_back`, or until this process ends however it ends."""

    def __init__(self, gpu: str, folder: str, handle: int, client: Client) -> None:
        self.gpu = gpu
        self.client = client
        self.folder = folder
        self._handle = handle
        self._who = calling_card(client)
        self.tell(busy=True)

    def tell(self, **more: Any) -> None:
        """Tell those who wait: busy, tool, bytes."""
        self._who.update(more)
        with contextlib.suppress(OSError):  # a full disk: the lock itself holds
            write(self._handle, self._who)

    def wanted_by(self) -> list[dict[str, Any]]:
        """Living clients that wait for this GPU: host, user, pid, interactive, since."""
        return waiting(self.gpu, self.folder)

    def give_back(self) -> None:
        """Free the lock. Memory this process still holds on the GPU is not freed by that."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def folder_for_leases(environ: Mapping[str, str] = os.environ) -> str:
    """The folder of all leases, made so that every user can write: the sticky bit set, whatever the umask.

    Raises:
        OSError: it cannot be made, or somebody has put a link there.
    """
    folder = environ.get("SFUMATO_LEASES") or "/tmp/sfumato-leases"
    if sys.platform == "win32" and not environ.get("SFUMATO_LEASES"):
        folder = os.path.join(environ.get("PROGRAMDATA", "C:\\ProgramData"), "sfumato", "leases")
    if not os.path.lexists(folder):
        with contextlib.suppress(FileExistsError):
            os.makedirs(folder)
            os.chmod(folder, 0o1777)
    if os.path.islink(folder) or not os.path.isdir(folder):
        raise OSError(f"{folder} is not a folder")
    return folder


def take(gpu: str, client: Client, folder: str) -> Lease | None:
    """The GPU's lease, or None while somebody has it.

    Raises:
        OSError: the folder cannot be used.
    """
    handle = open_shared(lock_file(gpu, folder))
    if lock(handle):
        return Lease(gpu, folder, handle, client)
    os.close(handle)
    return None


def holder(gpu: str, folder: str) -> dict[str, Any]:
    """Who has a GPU: host, user, pid, interactive, since, busy, tool. Empty if nobody has."""
    try:
        handle = open_shared(lock_file(gpu, folder))
    except OSError:
        return {}
    try:
        return {} if lock(handle) else read(handle)
    finally:
        os.close(handle)


def waiting(gpu: str, folder: str) -> list[dict[str, Any]]:
    """Who waits for a GPU; nobody where the folder was taken away. What a dead waiter left behind is cleared away."""
    found: list[dict[str, Any]] = []
    start = os.path.basename(lock_file(gpu, folder))[: -len("lock")] + "wanted-"
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return found
    for name in names:
        if name.startswith(start):
            with contextlib.suppress(OSError):
                path = os.path.join(folder, name)
                handle = os.open(path, os.O_RDWR | FLAGS)
                if lock(handle):
                    discard(path, handle)
                else:
                    found.append(read(handle))
                    os.close(handle)
    return found


def calling_card(client: Client) -> dict[str, Any]:
    """What a client leaves in a lock file."""
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name
        user = "?"
    since = time.strftime("%Y-%m-%dT%H:%M:%S")
    return {"host": str(client), "user": user, "pid": os.getpid(), "interactive": client.interactive, "since": since}


def lock_file(gpu: str, folder: str) -> str:
    """The file that is locked by whoever has the GPU."""
    return os.path.join(folder, re.sub(r"[^\w-]", "_", gpu) + ".lock")
