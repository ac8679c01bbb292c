"""The local queue: a job cut into tasks, run several at once on this machine, resumed where it was.

What is done is decided by the frames' own records, never by the journal: a frame is kept if it is complete and made
from exactly this. The journal says how it went.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sfumato_plugins
from sfumato_plugins.errors import JobError, wrong
from sfumato_plugins.farm.plan import CHUNK, Stage, command, stages, waits_for
from sfumato_plugins.frames import format_frames
from sfumato_plugins.job import Job, load
from sfumato_plugins.paths import mapped
from sfumato_plugins.queue_engine import Engine, codes
from sfumato_plugins.queue_journal import Journal
from sfumato_plugins.queue_slots import slots_of
from sfumato_plugins.queue_tasks import Task, Tasks
from sfumato_plugins.report import Teller
from sfumato_plugins.settings import load_settings
from sfumato_plugins.stopping import CANCELLED

if TYPE_CHECKING:
    from sfumato_plugins.shot import Shot


def run_queue(
    path: str,
    *,
    slots: int | None = None,
    retries: int = 2,
    chunk: int = CHUNK,
    timeout: float | None = None,
    teller: Teller | None = None,
) -> dict[str, Any]:
    """Compute what of a job file is not complete yet, in several processes.

    Args:
        slots: Tasks at once. Default: the GPUs this process may use, or one on the CPU.
        retries: How often a failed task is tried again.
        chunk: Frames a task where frames stand alone.
        timeout: Minutes a task may take. Default: as long as it likes.
        teller: Who hears of progress; a stop it is told of ends every task within a second.

    Returns:
        exit_code; state: done, failed or cancelled; complete, result; frames: computed, kept; failed: task, frames,
        said, log, exit_code of each; blocked: names; journal; tasks; slots; seconds.

    Raises:
        JobError: the job is wrong, or another queue is running it (exit 2 or 3).
    """
    for name, value, least in (("--slots", slots, 1), ("--retries", retries, 0), ("--chunk", chunk, 1)):
        if value is not None and value < least:
            raise wrong(name, f"{value} is less than {least}")
    if timeout is not None and timeout <= 0:
        raise wrong("--timeout", f"{timeout:g} min leave no time")
    return _Queue(path, chunk, teller or Teller()).run(slots, retries, timeout)


class _Queue:
    def __init__(self, path: str, chunk: int, teller: Teller) -> None:
        from sfumato_plugins.check import problems
        from sfumato_plugins.colour import config_of, pinned
        from sfumato_plugins.shot import Shot, made_once, main_output
        from sfumato_plugins.template import fill

        self.path = os.path.abspath(path)
        self.chunk = chunk
        self.teller = teller
        self.began = time.monotonic()
        job = mapped(load(path), load_settings(start=os.path.dirname(self.path)).get("farm", {}))
        found = problems(job)
        if found:
            raise JobError(found)
        self.teller.pause()
        asked = pinned(job)
        self.job: Job = fill(asked)  # a version is reserved here, so that every task finds the same
        self.tool = sfumato_plugins.tool(job.tool)
        config = config_of(job).hash
        self.shots: list[Shot] = [
            Shot(self.tool, one, self.job, asked.hash, "queue", config) for one in self.job.each_view()
        ]
        self.once = made_once(self.tool, self.job)
        output = main_output(self.tool, self.job)
        self.journal = Journal(output.beside(".queue.json"), self.path)
        self.logs = output.beside(".queue-logs")
        self.result = output.beside(".result.json")

    def run(self, slots: int | None, retries: int, timeout: float | None) -> dict[str, Any]:
        from sfumato_plugins.claims import Claims

        places = slots_of(slots, str(self.tool.values(self.job).get("device", "auto")))
        os.makedirs(os.path.dirname(self.journal.path), exist_ok=True)
        # Claims are there once for each output, whatever its view; tasks leave what they share while this one lives.
        claims = Claims(os.path.join(self.shots[0].hidden, "claims"), self.shots[0].settings)
        if not claims.take("queue"):
            raise wrong("", f"another queue is running this job: see {self.journal.path}", "wait for it, or stop it")
        try:
            self.tasks = Tasks(self._tasks())
            self._say_plan(list(places))
            stopped = self._compute(Engine(self.tasks, places, self.logs, retries, timeout and timeout * 60))
            if not stopped and not self.tasks.having("failed", "blocked") and not self._closed():
                stopped = self._compute(Engine(self._closing(), {"closing": {}}, self.logs, retries))
        finally:
            claims.close()
        found = self._found(list(places), stopped)
        self.journal.write(self.tasks.all, found)
        if found["complete"]:
            shutil.rmtree(self.logs, ignore_errors=True)
            for shot in self.shots:
                shot.clean()
        return found

    def _tasks(self) -> list[Task]:
        """A task for every one of the plan, with the frames it still has to compute."""
        plan = stages(self.job, self.chunk)
        before = self.journal.tries_before()
        views: dict[str | None, Shot] = {shot.job.view: shot for shot in self.shots}
        stale = {view: self._stale(shot) for view, shot in views.items()}
        found = []
        for i, stage in enumerate(plan):
            view = stage.view or self.shots[0].job.view
            for frames in stage.tasks:
                todo = tuple(f for f in frames if f in stale[view])
                needs = frozenset(_name_of(name, task) for name, task in waits_for(stage, frames, plan[:i]))
                task = Task(_name(stage, frames), self._command(todo, stage.view), todo, needs, view)
                task.state = "waiting" if todo else "kept"
                task.tries = before.get(task.name, [])
                found.append(task)
        return found

    def _stale(self, shot: Shot) -> set[int]:
        """Frames to compute. Only those that have a file are looked into: reading their inputs takes time."""
        there = [frame for frame in shot.files.written if os.path.isfile(shot.output.at(frame))]
        if there:
            self.teller.say(f"queue: looking at {len(there)} frames that are there")
        stale = shot.stale(there, self.teller.pause)
        for frame, why in stale.items():
            self.teller.say(f"{self.tool.name} {frame}: {why}")
        return set(shot.files.written) - set(there) | set(stale)

    def _command(self, frames: Sequence[int], view: str | None) -> list[str]:
        # Not fewer threads for several tasks at once: with another number of threads sums round differently, and a
        # frame's bytes may not depend on how the job was run.
        return [sys.executable, "-m", "sfumato_plugins.cli", *command(self.path, format_frames(frames), view)]

    def _closing(self) -> Tasks:
        """One task that computes nothing and writes what belongs to the whole job."""
        words = [sys.executable, "-m", "sfumato_plugins.cli", "run", self.path]
        self.tasks.all.append(Task("closing", words))
        return Tasks(self.tasks.all[-1:])

    def _closed(self) -> bool:
        """Whether the result and whatever is made once are there."""
        return all(map(os.path.isfile, [self.result, *self.once]))

    def _compute(self, engine: Engine) -> bool:
        """Run an engine to its end; True when somebody stopped it."""
        from sfumato.errors import Cancelled

        try:
            engine.run(self._look)
        except Cancelled:
            return True
        return False

    def _look(self) -> None:
        self.teller.pause()
        running = self.tasks.having("running")
        todo = sum(len(task.frames) for task in self.tasks.all)
        done = sum(len(task.frames) for task in self.tasks.having("done"))
        words = f"{done} of {todo} frames, {len(running)} task{'s' * (len(running) != 1)} running"
        failed = len(self.tasks.having("failed"))
        words += f", {failed} failed" if failed else ""
        words += f": {running[-1].words}" if running and running[-1].words else ""
        self.teller.progress(self.tasks.share(), words)
        if self.journal.due():
            self.journal.write(self.tasks.all, {"state": "running"})

    def _say_plan(self, places: Sequence[str]) -> None:
        waiting = self.tasks.having("waiting")
        frames = sum(len(task.frames) for task in waiting)
        where = places[0] if len(places) == 1 else f"{len(places)} slots ({', '.join(places)})"
        kept = len(self.tasks.having("kept"))
        more = f"; {kept} tasks are complete" if kept else ""
        tasks = f"{len(waiting)} task{'s' * (len(waiting) != 1)}"
        self.teller.say(f"queue: {frames} frames in {tasks} on {where}{more}")

    def _found(self, places: Sequence[str], stopped: bool) -> dict[str, Any]:
        failed = self.tasks.having("failed")
        complete = not stopped and not failed and self._closed()
        written = sum(len(shot.files.written) for shot in self.shots)
        return {
            "state": "cancelled" if stopped else "done" if complete else "failed",
            "exit_code": CANCELLED if stopped else codes(failed) if failed else 0 if complete else 1,
            "complete": complete,
            "result": self.result if complete else None,
            "pages": [path for path in self.once if path.endswith(".html")] if complete else [],
            "frames": {
                "computed": sum(len(task.frames) for task in self.tasks.having("done")),
                "kept": written - sum(len(task.frames) for task in self.tasks.all),
            },
            "failed": [{"task": t.name, "frames": format_frames(t.frames), **t.tries[-1]} for t in failed],
            "blocked": [task.name for task in self.tasks.having("blocked")],
            "journal": self.journal.path,
            "slots": list(places),
            "seconds": time.monotonic() - self.began,
        }


def _name(stage: Stage, frames: Sequence[int]) -> str:
    return _name_of(stage.name, frames)


def _name_of(stage: str, frames: Sequence[int]) -> str:
    return f"{stage} {format_frames(frames)}"
