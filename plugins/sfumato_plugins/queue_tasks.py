"""The queue's tasks and who waits for whom; which one comes next, which can never come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

ENDED = ("done", "kept", "failed", "blocked", "cancelled")


@dataclass
class Task:
    """One command of the queue.

    frames: What it is still to compute.
    needs: Names of tasks that have to be done first.
    state: waiting, running, and then one of ENDED. `kept`: its frames were complete before. `blocked`: a task it needs
        failed.
    tries: slot, seconds, exit_code, said, log of each time it was run.
    """

    name: str
    command: Sequence[str]
    frames: tuple[int, ...] = ()
    needs: frozenset[str] = frozenset()
    view: str | None = None
    state: str = "waiting"
    share: float = 0.0
    words: str = ""
    failures: int = 0
    tries: list[dict[str, Any]] = field(default_factory=list)

    @property
    def weight(self) -> int:
        return max(len(self.frames), 1)


class Tasks:
    """All tasks, in the order they should start."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.all = list(tasks)
        self._by_name = {task.name: task for task in self.all}

    def next(self) -> Task | None:
        """A task that can start now. Tasks that need a failed one are marked blocked on the way."""
        for task in self.all:
            if task.state == "waiting":
                states = {self._by_name[name].state for name in task.needs}
                if states & {"failed", "blocked"}:
                    task.state = "blocked"
                elif states <= {"done", "kept"}:
                    return task
        return None

    @property
    def over(self) -> bool:
        return all(task.state in ENDED for task in self.all)

    def having(self, *states: str) -> list[Task]:
        return [task for task in self.all if task.state in states]

    def share(self) -> float:
        """How much of what there was to do is done, 0 to 1."""
        todo = [task for task in self.all if task.state != "kept"]
        done = sum(task.weight * (1.0 if task.state == "done" else task.share) for task in todo)
        return done / max(sum(task.weight for task in todo), 1)
