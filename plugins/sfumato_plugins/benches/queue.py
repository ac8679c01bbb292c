"""`sfumato bench queue`: what two slots gain over one, what the queue itself costs a task, how soon a stop is obeyed.

Tasks sleep, so that nothing is measured but the queue. Overhead is the queue's wall clock with one slot, less that of
the same commands started one after another without it: opening sessions, writing their scripts and logs, choosing the
next task. What a task needs to start (Python and torch, for a matte) is the task's own and is not counted; the row
`sfumato --version` says what the smaller part of that is here.
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, Callable

from sfumato_plugins.benches.table import as_table
from sfumato_plugins.queue_engine import Engine
from sfumato_plugins.queue_tasks import Task, Tasks

Row = dict[str, Any]
SLEEP = ["/bin/sleep", "0.5"]
NOTHING = ["/bin/true"]
SPEEDUP, OVERHEAD, CANCEL = 1.8, 100.0, 1000.0


class _Enough(Exception):  # noqa: N818
    pass


def run(say: Callable[[str], None] = lambda line: None, *, tasks: int = 16) -> dict[str, Any]:
    """Measure.

    Args:
        say: Gets one line for each case, for people.
        tasks: Sleeping tasks in each case; three times as many that do nothing.

    Returns:
        The bench document. A row: case, method (slots), tasks, seconds, overhead_ms a task.
    """
    import sfumato

    rows: list[Row] = []

    def add(case: str, method: str, tasks: int, seconds: float, bare: float | None = None) -> Row:
        row: Row = {"case": case, "method": method, "tasks": tasks, "seconds": round(seconds, 3)}
        if bare is not None:
            row["overhead_ms"] = round(1000 * (seconds - bare) / tasks, 1)
        rows.append(row)
        say(f"{case:24} {method:10} {seconds:8.3f} s for {tasks} tasks  {row.get('overhead_ms', '')}")
        return row

    add("first task ever", "1 slot", 1, _queued(NOTHING, 1, 1))  # imports Open Job Description; once a queue
    bare = _bare(SLEEP, tasks)
    add("sleep 0.5 s", "no queue", tasks, bare)
    one = add("sleep 0.5 s", "1 slot", tasks, _queued(SLEEP, tasks, 1), bare)
    two = add("sleep 0.5 s", "2 slots", tasks, _queued(SLEEP, tasks, 2))
    many = 3 * tasks
    none = _bare(NOTHING, many)
    add("nothing", "no queue", many, none)
    idle = add("nothing", "1 slot", many, _queued(NOTHING, many, 1), none)
    add("sfumato --version", "no queue", 3, _bare([sys.executable, "-m", "sfumato_plugins.cli", "--version"], 3))
    stopped = add("stop", "2 slots", 2, _stopped())
    speedup = one["seconds"] / two["seconds"]
    overhead = max(one["overhead_ms"], idle["overhead_ms"])
    return {
        "bench": "queue",
        "version": sfumato.__version__,
        "device": f"{platform.machine()}, {os.cpu_count()} cores",
        "rows": rows,
        "means": {"1 slot": {"overhead_ms": overhead}, "2 slots": {"speedup": round(speedup, 3)}},
        "targets": [
            {"name": "2 slots over 1", "value": round(speedup, 3), "bound": SPEEDUP, "met": speedup >= SPEEDUP},
            {"name": "overhead, ms a task", "value": overhead, "bound": OVERHEAD, "met": overhead < OVERHEAD},
            {
                "name": "stop, ms",
                "value": round(1000 * stopped["seconds"], 1),
                "bound": CANCEL,
                "met": 1000 * stopped["seconds"] < CANCEL,
            },
        ],
    }


def as_text(document: dict[str, Any]) -> str:
    """The document for people."""
    parts = [
        as_table(document["rows"], ("case", "method", "tasks", "seconds", "overhead_ms")),
        as_table(document["targets"], ("name", "value", "bound", "met")),
        f"sfumato {document['version']}, {document['device']}",
    ]
    return "\n\n".join(parts)


def _bare(command: Sequence[str], times: int) -> float:
    began = time.monotonic()
    for _ in range(times):
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def _queued(command: Sequence[str], times: int, slots: int) -> float:
    with tempfile.TemporaryDirectory(prefix="sfumato-bench-") as folder:
        tasks = Tasks(Task(str(i), list(command)) for i in range(times))
        engine = Engine(tasks, {str(i): {} for i in range(slots)}, os.path.join(folder, "logs"))
        began = time.monotonic()
        engine.run(lambda: None)
        seconds = time.monotonic() - began
    assert len(tasks.having("done")) == times
    return seconds


def _stopped() -> float:
    """Seconds from a stop until two tasks that do not hear SIGTERM are gone and their sessions tidied."""
    deaf = ["/bin/sh", "-c", "trap '' TERM; touch \"$0\"; while true; do sleep 0.05; done"]
    with tempfile.TemporaryDirectory(prefix="sfumato-bench-") as folder:
        marks = [os.path.join(folder, str(i)) for i in range(2)]
        asked = 0.0

        def look() -> None:
            nonlocal asked
            if all(map(os.path.exists, marks)):
                asked = time.monotonic()
                raise _Enough

        engine = Engine(Tasks(Task(m[-1], [*deaf, m]) for m in marks), {"a": {}, "b": {}}, os.path.join(folder, "logs"))
        with contextlib.suppress(_Enough):
            engine.run(look)
        return time.monotonic() - asked
