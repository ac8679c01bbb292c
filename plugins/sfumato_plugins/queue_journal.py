"""The queue's journal, and its end in words. A journal takes the place of the last one in one step."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from sfumato_plugins.frames import format_frames
from sfumato_plugins.queue_engine import now
from sfumato_plugins.queue_tasks import Task

SCHEMA = "sfumato.queue/1"
RATE = 0.5  # seconds between two journals while tasks run


class Journal:
    """schema, job, started, updated, state, and of every task: name, view, frames, state, tries."""

    def __init__(self, path: str, job: str) -> None:
        self.path = path
        self._head = {"schema": SCHEMA, "job": job, "started": now()}
        self._written = 0.0

    def due(self) -> bool:
        return time.monotonic() - self._written > RATE

    def write(self, tasks: Iterable[Task], more: Mapping[str, Any]) -> None:
        from sfumato_plugins.ledger import write_json

        self._written = time.monotonic()
        told = [
            {"name": t.name, "view": t.view, "frames": format_frames(t.frames), "state": t.state, "tries": t.tries}
            for t in tasks
        ]
        write_json(self.path, {**self._head, "updated": now(), **more, "tasks": told})

    def tries_before(self) -> dict[str, list[dict[str, Any]]]:
        """What an earlier queue's journal says of each task, so that it is not forgotten."""
        try:
            with open(self.path, encoding="utf-8") as file:
                return {str(task["name"]): list(task["tries"]) for task in json.load(file)["tasks"]}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def summary(done: dict[str, Any]) -> list[str]:
    """What a queue did, in lines for people: failed tasks with their own words and where their log is."""
    lines = []
    for task in done["failed"]:
        lines.append(f"failed  {task['task']}: {task.get('said', '')}")
        lines.append(f"        log  {task.get('log', '')}")
    if done["blocked"]:
        lines.append(f"not run {', '.join(done['blocked'])}: they need what failed")
    frames = done["frames"]
    lines.append(f"{frames['computed']} computed, {frames['kept']} kept in {done['seconds']:.1f} s; {_end(done)}")
    return lines + [f"page {page}" for page in done["pages"]]


def _end(done: dict[str, Any]) -> str:
    if done["complete"]:
        return f"complete: {done['result']}"
    if done["state"] == "cancelled":
        return "stopped; finished frames are kept, run again to go on"
    return f"not complete; run again to go on, journal {done['journal']}"
