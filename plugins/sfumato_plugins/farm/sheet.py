"""All that a farm is told about a job, worked out once for every kind of farm."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import sfumato_plugins
from sfumato_plugins.farm.options import Options
from sfumato_plugins.farm.plan import Stage, command, stages, title
from sfumato_plugins.frames import format_frames
from sfumato_plugins.job import Job
from sfumato_plugins.parameters import ModelFolder
from sfumato_plugins.paths import VARIABLE, rules, translate

LONGEST = 10  # a task is stopped after this many times the minutes it is expected to take
LEAST = 30  # minutes; no task is stopped sooner


@dataclass(frozen=True)
class Sheet:
    """A job and how it goes to a farm.

    path: The job file on this machine, absolute; `farm_path` is the same on the farm's machines.
    """

    job: Job
    path: str
    stages: tuple[Stage, ...]
    options: Options

    @property
    def title(self) -> str:
        return self.options.name or title(self.job, self.path)

    @property
    def farm_path(self) -> str:
        return self.on_farm(self.path)

    def on_farm(self, path: str) -> str:
        """A path of this machine as the farm's machines call it."""
        return translate(path, rules(self.options.paths, self.options.os))

    @property
    def environment(self) -> dict[str, str]:
        """Variables of every task."""
        rows = " | ".join(str(row) for row in self.options.paths)
        return {**self.options.environment, **({VARIABLE: rows} if rows else {})}

    @property
    def gpus(self) -> int:
        """GPUs a task needs: none on the CPU, or where the job takes what there is and no memory is asked for."""
        device = sfumato_plugins.tool(self.job.tool).values(self.job).get("device", "auto")
        return int(device != "cpu" and (device == "cuda" or self.options.gpu_memory > 0))

    def words(self, frames: Sequence[int] | str, view: str | None) -> list[str]:
        """The command of one task, as words."""
        text = frames if isinstance(frames, str) else format_frames(frames)
        return [self.options.command, *command(self.farm_path, text, view)]

    def minutes(self, frames: int) -> float:
        """Minutes a task of so many frames is expected to take; 0 where nobody knows."""
        return self.options.minutes or frames * sfumato_plugins.tool(self.job.tool).minutes(self.job)

    def limit(self, frames: int) -> int:
        """Minutes after which a task of so many frames is stopped; what it has finished is kept."""
        return max(LEAST, math.ceil(LONGEST * self.minutes(frames))) if self.minutes(frames) else 24 * 60

    def inputs(self) -> list[str]:
        """Every input file the job reads, as named on this machine."""
        from sfumato_plugins.files import Files

        tool = sfumato_plugins.tool(self.job.tool)
        found: dict[str, None] = {}
        for one in self.job.each_view():
            files = Files(tool, one)
            found.update({read.path: None for frame in files.shot for read in files.all_of(frame)})
        found.update(dict.fromkeys(self._model_files()))
        return sorted(path for path in found if os.path.isfile(path))

    def _model_files(self) -> list[str]:
        """What lies in the folders of the job's models; of one that comes along with sfumato, nothing."""
        from sfumato_plugins.editing.model import EMBEDDED_NAMES, folder_of

        tool = sfumato_plugins.tool(self.job.tool)
        named = [tool.values(self.job)[p.name] for p in tool.parameters if isinstance(p, ModelFolder)]
        folders = [folder_of(self.job, name) for name in named if name not in EMBEDDED_NAMES]
        return [os.path.join(root, name) for folder in folders for root, _, names in os.walk(folder) for name in names]

    def output_folders(self) -> list[str]:
        """Folders the job writes to, on this machine; down to the first part of a name that is chosen later."""
        found = set()
        for one in self.job.each_view():
            for name in one.outputs:
                pattern = one.output(name)
                if pattern:
                    known = pattern.text.partition("{")[0] if "{" in pattern.text else pattern.text
                    found.add(os.path.dirname(known))
        return sorted(found)


def sheet(job: Job, path: str, options: Options) -> Sheet:
    return Sheet(job, path, stages(job, options.chunk), options)
