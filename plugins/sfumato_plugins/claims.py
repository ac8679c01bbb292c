"""Who is working on which frames, so that two runs of one job share the work instead of doing it twice.

Nothing depends on claims for correctness (files appear whole or not at all); they save time, and they keep two jobs
with different settings from writing into each other's sequence.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from sfumato_plugins.errors import wrong

BEAT = 5.0  # seconds between signs of life
SILENCE = 30.0  # seconds after which a run on another machine is taken for dead


class Claims:
    """Claims on the pieces of one output, in a hidden folder beside it.

    settings: Stands for what decides the frames' pixels. A living claim under other settings is an error (exit 2).
    """

    def __init__(self, folder: str, settings: str) -> None:
        self.folder = folder
        self._mine = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": started(os.getpid()),
            "settings": settings,
        }
        self._held: set[str] = set()
        self._stop = threading.Event()
        self._heart: threading.Thread | None = None

    def take(self, piece: str) -> bool:
        """Claim a piece. False when another living run has it.

        Raises:
            JobError: that run writes the same files with other settings.
        """
        os.makedirs(self.folder, exist_ok=True)
        path = os.path.join(self.folder, f"{piece}.claim")
        for _ in range(3):
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
                with os.fdopen(handle, "w") as file:
                    json.dump(self._mine, file)
                self._held.add(path)
                self._beat()
                return True
            other = self._alive(path)
            if other is None:
                self._clear(path)
                continue
            if other.get("settings", self._mine["settings"]) != self._mine["settings"]:
                who = f"process {other['pid']} on {other['host']}"
                hint = "wait for it, stop it, or write to another place"
                raise wrong("outputs", f"{who} is writing the same frames with other settings", hint)
            return False
        return False

    def release(self, piece: str) -> None:
        path = os.path.join(self.folder, f"{piece}.claim")
        self._held.discard(path)
        with contextlib.suppress(OSError):
            os.remove(path)

    def others(self) -> Iterator[dict[str, Any]]:
        """Living claims of other runs."""
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.folder):
                if entry.path not in self._held and entry.name.endswith(".claim"):
                    other = self._alive(entry.path)
                    if other:
                        yield other

    def close(self) -> None:
        """Give everything back."""
        self._stop.set()
        for path in tuple(self._held):
            with contextlib.suppress(OSError):
                os.remove(path)
        self._held.clear()
        with contextlib.suppress(OSError):  # not while others or kept states are in there
            os.rmdir(self.folder)
            os.rmdir(os.path.dirname(self.folder))

    def _alive(self, path: str) -> dict[str, Any] | None:
        try:
            with open(path, encoding="utf-8") as file:
                other: dict[str, Any] = json.loads(file.read() or "{}")
            silent = time.time() - os.stat(path).st_mtime
        except (OSError, ValueError):
            return None
        if not other:  # just created, not written yet
            return {} if silent < BEAT else None
        if other["host"] == self._mine["host"] and self._mine["started"] != "unknown":
            return other if started(other["pid"]) == other["started"] else None
        return other if silent < SILENCE else None

    def _clear(self, path: str) -> None:
        """Take away a dead run's claim; of several that try, one moves it and the others find it gone."""
        with contextlib.suppress(OSError):
            aside = f"{path}.{os.getpid()}.dead"
            os.rename(path, aside)
            os.remove(aside)

    def _beat(self) -> None:
        if self._heart is None:
            self._heart = threading.Thread(target=self._pulse, name="sfumato-claims", daemon=True)
            self._heart.start()

    def _pulse(self) -> None:
        while not self._stop.wait(BEAT):
            for path in tuple(self._held):
                with contextlib.suppress(OSError):
                    os.utime(path)


def started(pid: int) -> str:
    """When a process of this machine began, to tell it from a later one with the same number; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except OSError:
        return "" if os.path.isdir("/proc/self") else "unknown"
