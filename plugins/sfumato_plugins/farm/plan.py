"""A job as stages of tasks: what can run side by side, and what comes first. The queue and every farm cut it like this.

preview           frames      1001-1012   1013-1024 ...           as many frames a task as is handy
standard, final   keyframes   1001   1009   1017 ...              each alone
                  between     1002-1008   1010-1016 ...           read what the keyframes left beside the output
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Sequence
from dataclasses import dataclass

import sfumato_plugins
from sfumato_plugins.job import Job
from sfumato_plugins.tool import Tool

CHUNK = 12  # frames a task where frames stand alone


@dataclass(frozen=True)
class Stage:
    """Tasks that can run side by side.

    tasks: The frames of each, ascending.
    after: Names of stages that come first.
    view: Of a job of several views, the one these frames are of.
    apart: Every frame stands alone, so that another cut gives the same.
    """

    name: str
    tasks: tuple[tuple[int, ...], ...]
    after: tuple[str, ...] = ()
    view: str | None = None
    apart: bool = False

    @property
    def frames(self) -> tuple[int, ...]:
        return tuple(sorted(frame for task in self.tasks for frame in task))


def stages(job: Job, chunk: int = CHUNK) -> tuple[Stage, ...]:
    """Cut a job for a farm; a stage comes after those it waits for.

    chunk: At most this many frames a task where frames stand alone; elsewhere the tool decides.
    """
    tool = sfumato_plugins.tool(job.tool)
    found: list[Stage] = []
    for one in job.each_view():
        found += _of_view(tool, one, f" {one.view}" if len(job.views) > 1 else "", chunk)
    return tuple(found)


def _of_view(tool: Tool, job: Job, suffix: str, chunk: int) -> list[Stage]:
    chunks = tool.chunks(job)
    keys = tool.keys(job)
    first = tuple(c for c in chunks if keys.issuperset(c))
    rest = tuple(c for c in chunks if not keys.issuperset(c))
    if first and rest:
        name = f"keyframes{suffix}"
        return [Stage(name, first, (), job.view), Stage(f"between{suffix}", rest, (name,), job.view)]
    apart = all(len(c) == 1 for c in chunks)
    frames = tuple(sorted(frame for c in chunks for frame in c))
    return [Stage(f"frames{suffix}", even(frames, chunk) if apart else chunks, (), job.view, apart)]


def even(frames: Sequence[int], most: int) -> tuple[tuple[int, ...], ...]:
    """Frames in runs of nearly the same length, none longer than `most`.

    >>> even((1, 2, 3, 4, 5), 4)
    ((1, 2, 3), (4, 5))
    """
    runs = -(-len(frames) // most)
    ends = [len(frames) * (i + 1) // runs + (len(frames) * (i + 1) % runs > 0) for i in range(runs)]
    return tuple(tuple(frames[a:b]) for a, b in zip([0, *ends], ends))


def waits_for(stage: Stage, task: Sequence[int], before: Sequence[Stage]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The tasks of earlier stages that one task needs: those with the nearest frames on both sides of its own."""
    found = []
    for other in (s for s in before if s.name in stage.after):
        frames = other.frames
        at, end = bisect.bisect_left(frames, task[0]), bisect.bisect_right(frames, task[-1])
        near = set(frames[max(at - 1, 0) : end + 1])
        found += [(other.name, t) for t in other.tasks if near & set(t)]
    return tuple(found)


def uncut(job: Job) -> str:
    """A sentence for a job whose frames one machine has to compute one after another; empty when it can be cut."""
    tool = sfumato_plugins.tool(job.tool)
    longest = max((len(task) for stage in stages(job, 1) for task in stage.tasks), default=0)
    if longest < 2 or longest < len(job.written):
        return ""
    hours = tool.minutes(job) * longest / 60
    about = f", about {hours:.1f} h" if hours else ""
    return f"{tool.name} cannot cut this job: its {longest} frames are one task{about}"


def command(path: str, frames: str, view: str | None = None) -> list[str]:
    """What `sfumato` is told for one task; frames with = because they may start with a minus."""
    return ["run", path, f"--frames={frames}", *([f"--view={view}"] if view else [])]


def title(job: Job, path: str) -> str:
    """What a farm calls the job: tool and shot, or tool and the job file's name."""
    stem = os.path.basename(path)
    for end in (".json", ".job", ".sfumato"):
        stem = stem[: -len(end)] if stem.endswith(end) and stem != end else stem
    words = [job.names.get("show", ""), job.names.get("shot", ""), "" if job.names.get("shot") else stem]
    return " ".join(["sfumato", job.tool, *filter(None, words)])
