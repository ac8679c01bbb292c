"""One view of a job on its way: which frames are stale and why, computing them, booking each as it is done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from sfumato_plugins.claims import Claims
from sfumato_plugins.errors import wrong
from sfumato_plugins.files import Files
from sfumato_plugins.fingerprint import Origin, fingerprint, origin
from sfumato_plugins.frames import Pattern, format_frames
from sfumato_plugins.job import Job
from sfumato_plugins.ledger import FINGERPRINT, Ledger
from sfumato_plugins.place import Place
from sfumato_plugins.report import Progress
from sfumato_plugins.store import FolderStore
from sfumato_plugins.template import for_layer
from sfumato_plugins.tool import Needs, Tool

FORCED = "forced"
POLL = 0.5  # seconds between looks at a frame another run is computing


def main_output(tool: Tool, job: Job) -> Pattern:
    """The file that stands for a frame. Of a job of several views %V stays in it."""
    pattern = job.output(tool.main_output.name)
    assert pattern is not None, "check says so first"
    return for_layer(pattern, "rgba")


def made_once(tool: Tool, job: Job) -> list[str]:
    """Files that are made when every frame is there, such as a page."""
    found = (one.output(item.name) for one in job.each_view() for item in tool.outputs[1:])
    return list(dict.fromkeys(p.text for p in found if p and not p.is_sequence))


class Shot:
    """The frames of a job of one view: what is complete, what is not, and making it so.

    whole: The job of all views, beside which the books lie.
    """

    def __init__(self, tool: Tool, job: Job, whole: Job, job_hash: str, run: str, config_hash: str) -> None:
        self.tool = tool
        self.job = job
        self.files = Files(tool, job)
        self._hash = job_hash
        self._config_hash = config_hash
        self._needs = tool.needs(job)
        self._origins: dict[int, Origin] = {}
        self.output = main_output(tool, job)
        books = main_output(tool, whole)
        self.ledger = Ledger(self.output, books.beside(".journal.jsonl"), job.view, run)
        folder, name = os.path.split(books.beside(""))
        self.hidden = os.path.join(folder, f".{name}.sfumato")
        self.store = FolderStore(os.path.join(self.hidden, "states"), lambda f: fingerprint(self.origin(f))[:12])
        self.device = ""
        self.computed: list[int] = []
        self.kept: list[int] = []

    @property
    def settings(self) -> str:
        """Stands for what decides the pixels of every frame, besides the inputs."""
        some = origin(self.tool, self.job, Needs((), {}), self._config_hash)
        return fingerprint({k: v for k, v in some.items() if k not in ("files", "also")})

    def origin(self, frame: int) -> Origin:
        """What a frame is made from; its inputs are read for that once."""
        if frame not in self._origins:
            self._origins[frame] = origin(self.tool, self.job, self._needs(frame), self._config_hash)
        return self._origins[frame]

    def stale(self, frames: Iterable[int], pause: Callable[[], None] = lambda: None) -> dict[int, str]:
        """Frames that have to be computed, with the reason. `pause` may stop between two: reading inputs takes time."""
        found = {}
        for frame in frames:
            pause()
            if why := self.ledger.state(frame, self.origin(frame)):
                found[frame] = why
        return found

    def stamp(self, frame: int) -> Mapping[str, Any]:
        """Provenance for a frame's file: the same every time the frame is made."""
        from sfumato import __version__

        return {
            "sfumato:tool": self.tool.name,
            "sfumato:version": __version__,
            "sfumato:job": self._hash,
            "sfumato:seed": str(self.job.seed),
            "sfumato:generative": "yes" if self.tool.generative else "no",
            "sfumato:trained_weights": self._weights,
            "sfumato:device": self.device,
            FINGERPRINT: fingerprint(self.origin(frame)),
        }

    @cached_property
    def _weights(self) -> str:
        return self.tool.weights(self.job) if self.tool.weights else self.tool.trained_weights

    def one_device(self, kept: Iterable[int], mixed: bool) -> None:
        """Refuse to finish on another kind of device what was begun on one: such shots flicker.

        Raises:
            JobError: a kept frame was made on another kind, and the job is not told to mix (exit 2).
        """
        others: dict[str, list[int]] = {}
        for frame in kept:
            record = self.ledger.record(frame) or {}
            kind = str(record.get("provenance", {}).get("sfumato:device", self.device))
            if kind != self.device:
                others.setdefault(kind, []).append(frame)
        if others and not mixed:
            kind, frames = next(iter(others.items()))
            what = f"frames {format_frames(frames)} were solved on {kind}, and this is {self.device}"
            hint = f"run with --device {kind}, or with --mixed if a step between them is acceptable, or --force all"
            raise wrong("params.device", what, hint)

    def solve(self, todo: Mapping[int, str], place: Place, progress: Progress, ready: Callable[[], None]) -> None:
        """Compute the stale frames, sharing them with other runs of the same settings.

        Raises:
            JobError: another run writes the same frames with other settings (exit 2).
        """
        claims = Claims(os.path.join(self.hidden, "claims"), self.settings)
        waiting: list[int] = []
        try:
            for chunk in self.tool.chunks(self.job):
                wanted = [frame for frame in chunk if frame in todo]
                mine = [frame for frame in wanted if claims.take(self._claim(frame))]
                waiting += [frame for frame in wanted if frame not in mine]
                self._compute(mine, todo, place, progress, claims)
            while waiting:
                ready()
                mine = [frame for frame in waiting if claims.take(self._claim(frame))]
                waiting = [frame for frame in waiting if frame not in mine]
                self._compute(mine, todo, place, progress, claims)
                time.sleep(POLL if waiting else 0)
        finally:
            claims.close()

    def keep(self, frames: Iterable[int], why: str) -> None:
        for frame in frames:
            self.ledger.write(frame, "kept", why)
            self.kept.append(frame)

    def records(self) -> list[dict[str, Any]] | None:
        """The records of every frame of the job, or None while one is missing or stale."""
        frames = self.files.written
        found = [self.ledger.record(frame) for frame in frames]
        if not all(found):
            return None
        unsure = [frame for frame in frames if frame not in {*self.computed, *self.kept}]
        return None if self.stale(unsure) else [record for record in found if record]

    def clean(self) -> None:
        """Remove states and the hidden folder, unless another run is still at work there."""
        if not any(True for _ in Claims(os.path.join(self.hidden, "claims"), "").others()):
            FolderStore(self.hidden, lambda f: "").remove()

    def _claim(self, frame: int) -> str:
        return f"{self.job.view or 'main'}.{frame}"

    def _compute(
        self, frames: list[int], why: Mapping[int, str], place: Place, progress: Progress, claims: Claims
    ) -> None:
        """Compute claimed frames, but those that a run beside this one has made since we looked."""
        for frame in [f for f in frames if why[f] != FORCED and not self.stale([f])]:
            frames.remove(frame)
            claims.release(self._claim(frame))
            self.keep([frame], "made by a run beside this one")
            progress.done(frame)
        if not frames:
            return
        for frame in frames:
            progress.say(f"{self.tool.name} {frame}: {why[frame]}")
        for made in self.tool.run(self.job, frames, progress.step, place):
            self.ledger.close(made, self.origin(made.frame), self.stamp(made.frame), why[made.frame])
            self.computed.append(made.frame)
            claims.release(self._claim(made.frame))
            progress.made(made.frame, self.job.view, made.files)
