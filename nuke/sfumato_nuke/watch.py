"""Runs under way: one timer on Nuke's main thread asks the engine ten times a second what there is to know.

Nothing here opens a window or raises: what happens is told in the node's texts, its colour and Nuke's progress bar.
Without a window there is no timer; `wait` asks in a loop instead.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable

import nuke

from sfumato_nuke import knobs, results, scratch
from sfumato_nuke.order import absolute, order
from sfumato_nuke.under_way import Run, tell_failure
from sfumato_plugins.errors import JobError
from sfumato_plugins.job import Job
from sfumato_plugins.launch import Engine
from sfumato_plugins.settings import Settings

Node = Any
PERIOD = 0.1  # seconds between two looks


class Watch:
    """All runs of this Nuke, and the engine they share."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.runs: list[Run] = []
        self._timer: Any = None

    def start(self, run: Run, job: Job) -> None:
        """Give a job to the engine.

        Raises:
            NoEngine: there is none, in a sentence.
        """
        if self.engine is None:
            self.engine = Engine(named_python(run.order.settings), host="nuke")
        run.id = self.engine.run({**job.to_json(), "outputs": absolute(job)})
        self.follow(run)

    def follow(self, run: Run) -> None:
        """Look after a run until it ended."""
        run.alive()
        if nuke.GUI:
            run.bar = nuke.ProgressTask(run.name)
            run.bar.setMessage("starting")
        self.runs.append(run)
        self._tick_on()

    def of(self, node: Node) -> list[Run]:
        """The runs of a node."""
        return [run for run in self.runs if run.alive() is not None and run.name == node.fullName()]

    def cancel(self, run: Run) -> None:
        """Ask a run to stop; a message tells when it did."""
        if run.queue is not None:
            run.queue.cancel()
        elif self.engine is not None:
            self.engine.cancel(run.id)

    def release(self) -> None:
        """End an idle engine now, a busy one when its jobs are done."""
        if self.engine is not None:
            self.engine.release()
            if not self.engine.busy:
                self.engine.close(0.5)

    def wait(self) -> None:
        """Without a window: follow everything to its end. Ctrl-C stops it in good order."""
        while self.runs:
            try:
                self.look()
                time.sleep(PERIOD)
            except KeyboardInterrupt:
                for run in self.runs:
                    self.cancel(run)

    def look(self) -> None:
        """One look, from the timer: never raises."""
        self._safely(self._look_at_engine)
        for run in list(self.runs):
            self._safely(self._look_at, run)
        if not self.runs and self._timer is not None:
            self._timer.stop()

    def _look_at_engine(self) -> None:
        for message in self.engine.poll() if self.engine is not None else ():
            self._safely(self._hear, message)

    def _look_at(self, run: Run) -> None:
        for message in run.queue.poll() if run.queue is not None else ():
            self._safely(self._on, run, message)
        if run in self.runs and run.bar is not None and run.bar.isCancelled():
            self.cancel(run)

    def _safely(self, do: Callable[..., None], *given: Any) -> None:
        """A timer that raises would do so ten times a second, and what came after would be lost."""
        try:
            do(*given)
        except Exception as error:
            nuke.tprint(f"sfumato: {type(error).__name__}: {error}")

    def _tick_on(self) -> None:
        if not nuke.GUI:
            return
        if self._timer is None:
            self._timer = _timer(self.look)
        self._timer.start(int(PERIOD * 1000))

    def _hear(self, message: dict[str, Any]) -> None:
        for run in list(self.runs):
            if run.id and run.id == message.get("id"):
                return self._on(run, message)
        if message["event"] == "failed":  # the engine itself: whoever waits hears of it by id
            nuke.tprint(f"sfumato: {message['sentence']} (log: {message.get('log', '')})")

    def _on(self, run: Run, message: dict[str, Any]) -> None:
        event, node = message["event"], run.alive()
        if event == "progress":
            self._progress(run, node, message)
        elif event == "frame":
            self._frame(run, node, message)
        elif event == "note":
            nuke.tprint(f"{run.name}: {message['text']}")
            self._say(run, node, message["text"])
        elif event == "accepted" and message.get("ahead"):
            self._say(run, node, f"waiting, {message['ahead']} ahead")
        elif event in ("done", "failed", "cancelled"):
            self._end(run, node, message)

    def _progress(self, run: Run, node: Node, message: dict[str, Any]) -> None:
        left = message.get("seconds_left")
        words = f"{message['share']:.0%}, {message['text']}" + (f", {spoken(left)} left" if left else "")
        if words == run.told:
            return
        if not nuke.GUI and words.partition(",")[0] != run.told.partition(",")[0]:
            nuke.tprint(f"{run.name}: {words}")
        run.told = words
        if run.bar is not None:
            run.bar.setProgress(int(message["share"] * 100))
        self._say(run, node, words)

    def _say(self, run: Run, node: Node, words: str) -> None:
        if node is not None:
            knobs.tell(node, "status", f"{run.job.names.get('version', 'this frame')}: {words}")
        if run.bar is not None:
            run.bar.setMessage(words)

    def _frame(self, run: Run, node: Node, message: dict[str, Any]) -> None:
        """The very first result is shown as it cooks; later ones when they are complete, so that comp stays whole."""
        run.frames.append(message["frame"])
        if node is None:
            return
        if run.kind != "frame" and (not node["has_result"].value() or _shows(node, run)):
            results.show(node, run.order.tool, run.job)

    def _end(self, run: Run, node: Node, message: dict[str, Any]) -> None:
        self.runs.remove(run)
        run.bar = None  # Nuke takes the bar away with the last reference to it
        scratch.remove(run.inputs)
        if node is None:
            nuke.tprint(f"{run.name}: {message.get('sentence') or 'done'}; its node is not in the open script")
            return
        if message["event"] == "done":
            return self._done(run, node, message)
        if message["event"] == "cancelled":
            knobs.tell(node, "status", f"{run.job.names.get('version', 'this frame')}: {message['sentence']}")
            return
        tell_failure(node, message["sentence"], message.get("hint", ""), message.get("log", ""))

    def _done(self, run: Run, node: Node, message: dict[str, Any]) -> None:
        tool = run.order.tool
        results.colour_node(node, False)
        knobs.tell(node, "last_error", " ")
        if run.kind == "frame":
            results.show_frame(node, tool, run.job)
            quick = " at preview quality" if run.job.params.get("quality") == "preview" else ""
            knobs.tell(node, "status", f"frame {run.job.frames[0]}{quick}")
            return
        results.show(node, tool, run.job)
        results.made(node, run.order)
        skipped = sum(map(len, message.get("skipped", {}).values()))
        more = f"; {skipped} frames skipped" if skipped else ""
        try:  # the artist may have gone on working
            knobs.tell(node, "status", results.status(node, order(node, tool)) + more)
        except JobError as error:
            knobs.tell(node, "status", f"{run.job.names.get('version', 'result')}, done; now {error.problems[0].what}")


def named_python(settings: Settings) -> str:
    """The engine's Python as the settings of the script's own show name it; "" leaves it to `find_python`."""
    return "" if os.environ.get("SFUMATO_PYTHON") else str(settings.get("python") or "")


def spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _shows(node: Node, run: Run) -> bool:
    return bool(run.job.names.get("version")) and node["result_version"].value() == run.job.names["version"]


def _timer(call: Any) -> Any:
    """A timer of whichever Qt this Nuke has; the only thing of Qt that is used."""
    try:
        from PySide6.QtCore import QTimer
    except ImportError:
        from PySide2.QtCore import QTimer
    timer = QTimer()
    timer.timeout.connect(call)
    return timer


WATCH = Watch()
