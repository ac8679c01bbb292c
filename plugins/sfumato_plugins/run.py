"""The runner: a job in, complete frames and their books out. Killed at any moment, it goes on where it was."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import sfumato_plugins
from sfumato_plugins.check import problems
from sfumato_plugins.colour import config_of, pinned
from sfumato_plugins.errors import JobError, wrong
from sfumato_plugins.failure import naming
from sfumato_plugins.frames import format_frames
from sfumato_plugins.gpu import between_frames, choose_device, refuse_early
from sfumato_plugins.job import Job
from sfumato_plugins.lease import Client
from sfumato_plugins.ledger import remove, write_json
from sfumato_plugins.place import Place
from sfumato_plugins.private import published
from sfumato_plugins.report import Progress, Teller
from sfumato_plugins.shot import FORCED, Shot, made_once, main_output
from sfumato_plugins.template import fill
from sfumato_plugins.tool import Tool

if TYPE_CHECKING:
    from sfumato.color import Config

BATCH = Client()


def run(
    job: Job,
    frames: Sequence[int] | None = None,
    *,
    view: str | None = None,
    teller: Teller | None = None,
    force: bool = False,
    mixed: bool = False,
    client: Client = BATCH,
) -> dict[str, Any]:
    """Compute what is not complete yet.

    Args:
        frames: Only these of the job's frames; the cut into segments stays the whole job's. Default: all.
        view: Only this of the job's views. Default: all.
        teller: Who hears of progress; it may raise `sfumato.errors.Cancelled`. Default: nobody.
        force: Compute even what is complete.
        mixed: Let one job's frames come from several kinds of device.
        client: For whom, which those who wait for the same GPU are told. Default: a run that nobody watches.

    Returns:
        computed, kept, skipped: frames by view name ("main" for the only one); held: by view and input, the frame that
            is held -> those it stands in for; complete; result: path or None; pages: their paths;
            frames: their records; seconds of this run; peak_memory of this process in bytes.

    Raises:
        JobError: the request is wrong (exit 2) or inputs are missing (exit 3).
        sfumato.errors.SfumatoError: as its exit code says.
    """
    found = problems(job)
    if found:
        raise JobError(found)
    tool = sfumato_plugins.tool(job.tool)
    versioned = any("{version}" in text for text in job.outputs.values())
    config = config_of(job)
    asked = pinned(job)
    job = fill(asked)
    label = uuid.uuid4().hex[:12]
    shots = [Shot(tool, one, job, asked.hash, label, config.hash) for one in job.each_view()]
    wanted = _wanted(job, frames)
    if view and view not in job.views:
        raise wrong("views", f"the job has no view {view!r}", f"it has {', '.join(job.views) or 'only one'}")
    each = [wanted if view in (None, shot.job.view) else set() for shot in shots]
    return _Run(tool, job, asked, shots, versioned, config, teller or Teller(), client).go(each, force, mixed)


def _wanted(job: Job, frames: Sequence[int] | None) -> set[int]:
    if frames is None:
        return set(job.written)
    outside = sorted(set(frames) - set(job.written))
    if outside:
        what = f"the job has no frame {format_frames(outside)}"
        raise wrong("frames", what, f"it has {format_frames(job.written)}")
    return set(frames)


class _Run:
    def __init__(
        self,
        tool: Tool,
        job: Job,
        asked: Job,
        shots: list[Shot],
        versioned: bool,
        config: Config,
        teller: Teller,
        client: Client,
    ) -> None:
        self.tool, self.job, self.asked, self.shots, self.teller = tool, job, asked, shots, teller
        self.versioned = versioned
        self.config = config
        self.client = client
        self.began = time.monotonic()
        self.result = main_output(tool, job).beside(".result.json")
        self.once = made_once(tool, job)

    def go(self, wanted: Sequence[set[int]], force: bool, mixed: bool) -> dict[str, Any]:
        if any(not os.path.isfile(s.output.at(f)) for s, frames in zip(self.shots, wanted) for f in frames):
            refuse_early(self.tool.values(self.job).get("device", self.tool.device))
        todo = [self._todo(shot, frames, force) if frames else {} for shot, frames in zip(self.shots, wanted)]
        for shot, frames, stale in zip(self.shots, wanted, todo):
            for line in shot.files.held_words() if frames else ():
                self.teller.say(f"note: {shot.job.view}, {line}" if shot.job.view else f"note: {line}")
            shot.keep([f for f in shot.files.written if f in frames and f not in stale], "complete, nothing changed")
        place = None
        if any(todo):
            self._unpublished(todo)
            remove([self.result])
            place = self._compute(todo, mixed)
        return self._close(place)

    def _todo(self, shot: Shot, wanted: set[int], force: bool) -> dict[int, str]:
        frames = [f for f in shot.files.written if f in wanted]
        self.teller.say(f"{self.tool.name}: looking at {len(frames)} frames" if len(frames) > 1 else "")
        if force:
            shot.store.remove()
            return dict.fromkeys(frames, FORCED)
        return shot.stale(frames, self.teller.pause)

    def _unpublished(self, todo: Sequence[Mapping[int, str]]) -> None:
        if not self.versioned or not os.path.isfile(self.result):
            return
        frame, why = next((f, w) for stale in todo for f, w in stale.items())
        version = self.job.names.get("version", "")
        what = f"{version} is published and is never written again (frame {frame}: {why})"
        raise wrong("names.version", what, "leave the version out to get the next one, or name a new one")

    def _compute(self, todo: Sequence[Mapping[int, str]], mixed: bool) -> Place:
        from sfumato.device import describe

        say, pause = self.teller.say, self.teller.pause
        device = choose_device(self.tool.values(self.job).get("device", self.tool.device), self.client, say, pause)
        say(f"{self.tool.name}: {describe(device)}")
        say(f"{self.tool.name}: {self.config.source}")
        between = partial(between_frames, say, pause)
        progress = Progress(self.teller, sum(len(stale) for stale in todo), between)
        place = None
        for shot, stale in zip(self.shots, todo):
            shot.device = device.type
            shot.one_device(shot.kept, mixed)
            place = Place(device, self.config, shot.store, shot.stamp, progress.once)
            if stale:
                os.makedirs(os.path.dirname(shot.output.text) or ".", exist_ok=True)
                with naming(os.path.dirname(shot.output.text)):
                    shot.solve(stale, place, progress, self.teller.pause)
        assert place is not None
        return place

    def _close(self, place: Place | None) -> dict[str, Any]:
        """Write the result if every frame of the job is complete, and sum up what was done."""
        records = [shot.records() for shot in self.shots]
        complete = all(record is not None for record in records)
        if complete:
            result = self._result([record for found in records for record in found or []])
            fresh = place is not None or not os.path.isfile(self.result)
            if fresh:
                result |= self._sequences(place)
                write_json(self.result, result)
            self._finish(result, place, fresh)
            for shot in self.shots:
                shot.clean()
        return {
            "computed": {shot.job.view or "main": sorted(shot.computed) for shot in self.shots},
            "kept": {shot.job.view or "main": sorted(shot.kept) for shot in self.shots},
            "skipped": self._skipped(),
            "held": {s.job.view or "main": s.files.held for s in self.shots},
            "complete": complete,
            "result": self.result if complete else None,
            "pages": [p for p in self.once if p.endswith(".html")] if complete else [],
            "frames": [_told(record) for found in records for record in found or []],
            "seconds": time.monotonic() - self.began,
            "peak_memory": self._peak(place),
        }

    def _place(self, shot: Shot, place: Place | None) -> Place:
        """Where a view's frames were computed, or where they only lie."""
        say = place.note if place else self.teller.say
        return Place(place.device if place else None, self.config, shot.store, shot.stamp, say)

    def _sequences(self, place: Place | None) -> dict[str, Any]:
        """What takes all frames of a view to say, where there are several."""
        if self.tool.sequence is None:
            return {}
        several = [shot for shot in self.shots if len(shot.files.written) > 1]
        found = {s.job.view or "main": self.tool.sequence(s.job, self._place(s, place)) for s in several}
        return {"sequence": found} if any(found.values()) else {}

    def _finish(self, result: Mapping[str, Any], place: Place | None, fresh: bool) -> None:
        if self.tool.finish is None:
            return
        if not fresh and all(map(os.path.isfile, self.once)):
            return
        for shot in self.shots:
            self.tool.finish(shot.job, result, Progress(self.teller, 1).step, self._place(shot, place))

    def _skipped(self) -> dict[str, list[int]]:
        return {s.job.view or "main": [f for f in s.job.written if f not in s.files.written] for s in self.shots}

    def _result(self, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        from sfumato import __version__

        return {
            "schema": "sfumato.result/1",
            "tool": self.tool.name,
            "version": __version__,
            "job": published(self.tool, self.job),
            "job_hash": self.asked.hash,
            "seed": self.job.seed,
            "generative": "yes" if self.tool.generative else "no",
            "trained_weights": _weights(records) or self.tool.trained_weights,
            "color": dict(self.job.color),
            "skipped": self._skipped(),
            "held": {s.job.view or "main": s.files.held for s in self.shots},
            "frames": [_told(record) for record in records],
        }

    def _peak(self, place: Place | None) -> int | None:
        if place is None or place.device is None:
            return None
        from sfumato.device import peak_memory

        return peak_memory(place.device)


def _weights(records: Sequence[Mapping[str, Any]]) -> str:
    """What the frames' own provenance says of trained weights; two models in one job are both named."""
    return "; ".join(dict.fromkeys(str(r.get("provenance", {}).get("sfumato:trained_weights", "")) for r in records))


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    """A frame's record without what only the next run needs."""
    return {k: v for k, v in record.items() if k not in ("schema", "made_from")}
