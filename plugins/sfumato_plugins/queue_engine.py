"""Runs tasks in slots until all have ended: the part of the queue that knows nothing of frames and jobs."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Callable

from sfumato_plugins.claims import started
from sfumato_plugins.queue_slot import Ended, Slot
from sfumato_plugins.queue_tasks import Task, Tasks
from sfumato_plugins.stopping import PARENT

LOOK = 0.05  # seconds between looks of the main thread; tasks start without it
LATEST = 0.95  # seconds a stop may take
FINAL = (2, 130)  # exit codes after which another try would end the same: a wrong request, a cancel


class Engine:
    """Slots with a thread each, one list of tasks.

    slots: Name -> variables of every task in it.
    logs: Folder for the tasks' logs; that of a try that went well is removed.
    retries: How often a task that failed is tried again, in a fresh session.
    timeout: Seconds a task may take.
    """

    def __init__(
        self,
        tasks: Tasks,
        slots: Mapping[str, Mapping[str, str]],
        logs: str,
        retries: int = 2,
        timeout: float | None = None,
    ) -> None:
        self.tasks = tasks
        self._logs = logs
        self._retries = retries
        self._timeout = timeout
        self._slots = dict(slots)
        self._changed = threading.Condition()
        self._stopping = False
        self._open: list[Slot] = []

    def run(self, look: Callable[[], None]) -> None:
        """Run until every task has ended. `look` is called often, on this thread; what it raises cancels all."""
        os.makedirs(self._logs, exist_ok=True)
        root = _session_root()
        threads = [
            threading.Thread(target=self._serve, args=(name, environ, root), name=f"sfumato-slot-{name}", daemon=True)
            for name, environ in self._slots.items()
        ]
        try:
            for thread in threads:
                thread.start()
            while not self.tasks.over:
                with self._changed:
                    self._changed.wait(LOOK)
                look()
        finally:
            self._stop()
            end = time.monotonic() + LATEST
            for thread in threads:  # one that is still importing is not waited for; its task would end with us
                thread.join(None if self.tasks.over else max(0.0, end - time.monotonic()))
            for task in self.tasks.having("running"):
                task.state = "cancelled"
            shutil.rmtree(root, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.rmdir(self._logs)

    def _stop(self) -> None:
        with self._changed:
            self._stopping = True
            for task in self.tasks.having("waiting"):
                task.state = "cancelled"
            slots = tuple(self._open)
            self._changed.notify_all()
        for slot in slots:
            slot.cancel()

    def _serve(self, name: str, environ: Mapping[str, str], root: str) -> None:
        """A slot's thread: one task after another."""
        running: list[Task] = []

        def heard(share: float | None, words: str) -> None:
            for task in running:
                task.share = max(task.share, share or 0.0)
                task.words = words or task.words

        slot = Slot(name, {**environ, PARENT: str(os.getpid())}, root, heard)
        with self._changed:
            self._open.append(slot)
        while (task := self._take()) is not None:
            running[:] = [task]
            log = os.path.join(self._logs, f"{task.name.replace(' ', '-')}.{len(task.tries) + 1}.log")
            try:
                ended = slot.run(task.command, log, self._timeout)
            except Exception as error:  # the session itself failed: the disk is full, a folder is gone
                slot.close()
                ended = Ended("failed", None, f"{type(error).__name__}: {error}", 0.0)
            self._book(task, ended, name, log)
        slot.close()

    def _take(self) -> Task | None:
        """The next task, waiting until one can start; None when there will be none."""
        with self._changed:
            while not self._stopping:
                task = self.tasks.next()
                if task is not None:
                    task.state, task.share = "running", 0.0
                    return task
                if not self.tasks.having("waiting", "running"):
                    self._changed.notify_all()
                    return None
                self._changed.wait(LOOK * 10)
            return None

    def _book(self, task: Task, ended: Ended, slot: str, log: str) -> None:
        with self._changed:
            good = ended.state == "done"
            if good:
                with contextlib.suppress(OSError):
                    os.remove(log)
            tried = {"slot": slot, "seconds": round(ended.seconds, 3), "exit_code": ended.exit_code}
            task.tries.append(tried if good else {**tried, "said": ended.said, "log": log})
            task.state = self._next_state(task, ended)
            self._changed.notify_all()

    def _next_state(self, task: Task, ended: Ended) -> str:
        if ended.state == "done":
            return "done"
        if self._stopping or ended.state == "cancelled":
            return "cancelled"
        task.failures += 1
        again = task.failures <= self._retries and ended.exit_code not in FINAL
        return "waiting" if again else "failed"


def _session_root() -> str:
    """A folder on local disk for the sessions; what killed queues of this user left is removed."""
    start = os.path.join(tempfile.gettempdir(), "sfumato-queue-")
    for left in glob.glob(start + "*"):
        pid = os.path.basename(left).split("-")[2]
        with contextlib.suppress(OSError, AttributeError):  # Windows has no users with numbers
            if pid.isdigit() and os.stat(left).st_uid == os.getuid() and not started(int(pid)):
                shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"sfumato-queue-{os.getpid()}-")


def codes(tasks: Sequence[Task]) -> int:
    """The exit code that stands for failed tasks: a bug or a kill first, then a wrong request, inputs, memory."""
    found = {task.tries[-1]["exit_code"] for task in tasks}
    return 1 if found - {2, 3, 4} else min(found, default=0)


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
