"""Which file serves which frame of a job: what is there, what is missing, and what is done about it."""

from __future__ import annotations

import bisect
import os
from collections.abc import Mapping
from functools import cached_property

from sfumato_plugins.errors import Problem
from sfumato_plugins.frames import Pattern, format_frames
from sfumato_plugins.job import Job
from sfumato_plugins.tool import Images, Read, Tool


class Files:
    """The input files of a job of one view, as they are on disk when this is made."""

    def __init__(self, tool: Tool, job: Job) -> None:
        self.job = job
        self._given: dict[str, Images] = {i.name: i for i in tool.inputs if i.name in job.inputs}
        self._patterns: dict[str, Pattern] = {name: p for name in self._given if (p := job.input(name))}
        self._sparse = {i.name for i in tool.inputs if i.sparse} | tool.sparse(job)

    @cached_property
    def on_disk(self) -> Mapping[str, tuple[int, ...]]:
        """Frames that have a file, for every input."""
        return {name: pattern.on_disk() for name, pattern in self._patterns.items()}

    @cached_property
    def absent(self) -> Mapping[str, tuple[int, ...]]:
        """Frames of the shot that should have a file and have none, for every input that lacks any."""
        dense = {name: p.missing(self.job.shot) for name, p in self._patterns.items() if not self._may_lack(name)}
        return {name: frames for name, frames in dense.items() if frames}

    def _may_lack(self, name: str) -> bool:
        """Whether no file of that very name is wanted for every frame."""
        return name in self._sparse or (self._given[name].folder and os.path.isdir(self._patterns[name].text))

    @cached_property
    def shot(self) -> tuple[int, ...]:
        """Frames that are read: the job's, less those skipped because an input lacks them."""
        if self.job.missing != "skip":
            return self.job.shot
        lost = {frame for frames in self.absent.values() for frame in frames}
        return tuple(f for f in self.job.shot if f not in lost)

    @cached_property
    def written(self) -> tuple[int, ...]:
        """Frames that are written."""
        there = set(self.shot)
        return tuple(f for f in self.job.written if f in there)

    def read(self, name: str, frame: int) -> Read | None:
        """The file of an input at a frame; the nearest earlier one under `missing: hold`. None where there is none."""
        pattern = self._patterns.get(name)
        if pattern is None:
            return None
        if not pattern.is_sequence:
            return Read(name, frame, pattern.text)
        there = self.on_disk[name]
        at = bisect.bisect_right(there, frame)
        if at and there[at - 1] == frame:
            return Read(name, frame, pattern.at(frame))
        if name in self._sparse:
            return None
        if self.job.missing == "hold" and there:
            return Read(name, frame, pattern.at(self._held_at(name, frame)))
        return Read(name, frame, pattern.at(frame))

    @cached_property
    def held(self) -> Mapping[str, Mapping[int, tuple[int, ...]]]:
        """Under `missing: hold`, by input: the frame that is held -> those it stands in for."""
        if self.job.missing != "hold":
            return {}
        found: dict[str, dict[int, tuple[int, ...]]] = {}
        for name, lost in self.absent.items():
            for frame in lost if self.on_disk[name] else ():
                mine = found.setdefault(name, {})
                kept = self._held_at(name, frame)
                mine[kept] = (*mine.get(kept, ()), frame)
        return found

    def held_words(self) -> list[str]:
        """`held` in a line for each input."""
        return [
            f"{name} is missing: " + ", ".join(f"{k} is held for {format_frames(v)}" for k, v in frames.items())
            for name, frames in self.held.items()
        ]

    def _held_at(self, name: str, frame: int) -> int:
        """The nearest earlier frame that is there, before the first the first."""
        there = self.on_disk[name]
        return there[max(bisect.bisect_right(there, frame) - 1, 0)]

    def all_of(self, frame: int, skip: frozenset[str] = frozenset()) -> tuple[Read, ...]:
        """Every input's file at a frame."""
        found = (self.read(name, frame) for name in self._given if name not in skip)
        return tuple(read for read in found if read)

    def problems(self) -> list[Problem]:
        """Missing files, one problem for each input, worded for whoever has to deliver them."""
        found = []
        for name, pattern in self._patterns.items():
            there = self.on_disk[name]
            lost = self.absent.get(name, ())
            if name in self._sparse and not there:
                found.append(nothing_there(f"inputs.{name}", pattern.text))
            elif lost and (self.job.missing == "error" or not there):
                found.append(self._lost(name, pattern, lost, there))
        if not found and not self.written:
            found.append(Problem("frames", "every frame would be skipped", "render the inputs first", 3))
        return found

    def _lost(self, name: str, pattern: Pattern, lost: tuple[int, ...], there: tuple[int, ...]) -> Problem:
        if not pattern.is_sequence or not there:
            return nothing_there(f"inputs.{name}", pattern.at(lost[0]))
        wanted = [f for f in self.job.shot if f in set(there)]
        what = f"no frame {format_frames(lost)}"
        hint = (
            f"looked for  {pattern.at(lost[0])}\nfound       {format_frames(there)}\nso          render what is missing"
        )
        hint += f", or run with --frames {format_frames(wanted)}" if wanted else ", or correct the frame range"
        return Problem(f"inputs.{name}", what, f"{hint}, or with --missing hold or --missing skip", 3)


def nothing_there(where: str, looked: str) -> Problem:
    """Not one file is found: there is none, or this user may not look into the folder."""
    folder = os.path.dirname(os.path.abspath(looked))
    try:
        os.listdir(folder)
    except PermissionError:
        hint = "let its owner give this user, or the farm's, the right to read it"
        return Problem(where, f"the folder {folder} is not readable by this user", hint, 3)
    except OSError:
        pass  # no such folder, or its disk is gone: then the file is not there either, which is said next
    return Problem(where, "not one file is there", f"looked for  {looked}", 3)
