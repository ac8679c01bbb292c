"""One job that a host asked for: how it is computed, and what the host hears of it meanwhile."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Callable

from sfumato_plugins.report import Teller

Request = Mapping[str, Any]
Compute = Callable[[Request, Teller], Mapping[str, Any]]

RATE = 0.1  # seconds between two progress messages


class Talker(Teller):
    """Tells the host about one job."""

    def __init__(self, id: str, say: Callable[..., None]) -> None:
        super().__init__()
        self.id = id
        self._say = say
        self._began: tuple[float, float] | None = None
        self._told = -1e9

    def say(self, text: str) -> None:
        if text:
            print(text, file=sys.stderr, flush=True)
            self._say("note", id=self.id, text=text)

    def progress(self, share: float, text: str) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = now, share
        if now - self._told < RATE and share < 1:
            return
        self._told = now
        began, from_share = self._began
        gone = share - from_share
        left = round((now - began) * (1 - share) / gone, 1) if gone > 0.01 else None
        whole = int(share * 100) / 100
        self._say("progress", id=self.id, share=whole, text=text, frame=self.frame, seconds_left=left)

    def made(self, frame: int, view: str | None, files: tuple[str, ...]) -> None:
        self._say("frame", id=self.id, frame=frame, view=view or "main", files=list(files))


def computing(host: str) -> Compute:
    """What a job's request is answered with: the runner's summary."""

    def compute(request: Request, teller: Teller) -> Mapping[str, Any]:
        from sfumato_plugins.errors import wrong
        from sfumato_plugins.frames import parse_frames
        from sfumato_plugins.job import load, read
        from sfumato_plugins.lease import Client
        from sfumato_plugins.run import run

        if sys.version_info < (3, 11):
            raise wrong("", f"{sys.executable} is Python {sys.version.split()[0]}; the engine needs 3.11 or newer")
        given = request["job"]
        job = load(given) if isinstance(given, str) else read(given, str(request.get("base") or os.getcwd()))
        frames = parse_frames(str(request["frames"]), "frames") if request.get("frames") else None
        force, mixed = bool(request.get("force")), bool(request.get("mixed"))
        client = Client(host, interactive=True)
        return run(job, frames, teller=teller, force=force, mixed=mixed, client=client)

    return compute
