"""Frame ranges and file patterns with Nuke's meaning: "1001-1048x2", plate.####.exr is four digits, %V is a view.

Not fileseq's or oiiotool's meaning, where one # stands for four digits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sfumato_plugins.errors import wrong

_RANGE = re.compile(r"(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?")
_TOKEN = re.compile(r"#+|%0?(\d*)d")
_VIEW = re.compile(r"%[Vv]")
_LIMIT = 1_000_000


def parse_frames(text: str, where: str = "frames") -> tuple[int, ...]:
    """The frames a range names, ascending, each once.

    >>> parse_frames("1001-1007x3,1005")
    (1001, 1004, 1005, 1007)
    >>> parse_frames("-2--1, 3")
    (-2, -1, 3)

    Raises:
        JobError: not a range (exit 2).
    """
    found: set[int] = set()
    for item in text.replace(" ", "").split(","):
        match = _RANGE.fullmatch(item)
        if not match:
            raise wrong(where, f"{item!r} is not a frame range", "write it like 1001-1048, 1001-1048x2 or 1,3,5-9")
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        step = 1 if match[3] is None else int(match[3])
        if step == 0:
            raise wrong(where, f"{item!r} has a step of zero", "x1 is every frame, x2 every other one")
        if last < first:
            raise wrong(where, f"{item!r} runs backwards", f"write {last}-{first}")
        if (last - first) // step >= _LIMIT:
            raise wrong(where, f"{item!r} is more than {_LIMIT} frames", "is there a digit too many?")
        found.update(range(first, last + 1, step))
    return tuple(sorted(found))


def format_frames(frames: Iterable[int]) -> str:
    """The shortest usual way to write frames; parse_frames reads it back.

    >>> format_frames([1, 2, 3, 5, 8, 10, 12])
    '1-3,5,8-12x2'
    """
    left = sorted(set(frames))
    parts: list[str] = []
    while left:
        step = left[1] - left[0] if len(left) > 1 else 1
        run = 1
        while run < len(left) and left[run] - left[run - 1] == step:
            run += 1
        if run == 1 or (run == 2 and step > 1):
            run = 1
            parts.append(str(left[0]))
        else:
            parts.append(f"{left[0]}-{left[run - 1]}" + (f"x{step}" if step > 1 else ""))
        left = left[run:]
    return ",".join(parts)


def widen(frames: Sequence[int], by: int) -> tuple[int, ...]:
    """Frames with `by` more before the first and after the last."""
    if not frames or by == 0:
        return tuple(frames)
    first, last = min(frames), max(frames)
    return (*range(first - by, first), *sorted(frames), *range(last + 1, last + by + 1))


@dataclass(frozen=True)
class Pattern:
    """A file of every frame: plate.####.exr, plate.%04d.exr, or one file without a frame number.

    The frame is the last run of # (or %04d) in the file name; folders are taken as they are, a # in them too.
    %V is the view's name, %v its first letter, anywhere in the path.

    Caveats: 1. a number wider than the padding is written in full; 2. -1 in four digits is -001, as printf writes it.
    """

    text: str

    @cached_property
    def _parts(self) -> tuple[str, int | None, str]:
        folder, name = os.path.split(self.text)
        tokens = list(_TOKEN.finditer(name))
        if not tokens:
            return self.text, None, ""
        last = tokens[-1]
        width = len(last[0]) if last[0][0] == "#" else int(last[1] or 1)
        return os.path.join(folder, name[: last.start()]), width, name[last.end() :]

    @property
    def is_sequence(self) -> bool:
        return self._parts[1] is not None

    @property
    def has_view(self) -> bool:
        return bool(_VIEW.search(self.text))

    @property
    def still_frame(self) -> int:
        """The frame a single file stands for: 1001 of plate.1001.exr, otherwise 1."""
        match = re.search(r"\.(-?\d+)\.[^.]+$", self.text)
        return int(match[1]) if match else 1

    def for_view(self, view: str | None) -> Pattern:
        return self if view is None else Pattern(self.text.replace("%V", view).replace("%v", view[:1]))

    def at(self, frame: int) -> str:
        """The file of one frame."""
        head, width, tail = self._parts
        return head if width is None else f"{head}{frame:0{width}d}{tail}"

    def on_disk(self) -> tuple[int, ...]:
        """Frames that have a file, ascending. A single file is its own frame."""
        head, width, tail = self._parts
        if width is None:
            return (self.still_frame,) if os.path.isfile(self.text) else ()
        folder, start = os.path.split(head)
        name = re.compile(re.escape(start) + r"(-?\d+)" + re.escape(tail))
        try:
            names = os.listdir(folder or ".")
        except OSError:
            return ()
        numbers = (match[1] for match in map(name.fullmatch, names) if match)
        return tuple(sorted(int(n) for n in numbers if f"{int(n):0{width}d}" == n))

    def missing(self, frames: Iterable[int]) -> tuple[int, ...]:
        """Those of the frames that have no file. A single file serves every frame."""
        if not self.is_sequence:
            return () if os.path.isfile(self.text) else tuple(frames)
        there = set(self.on_disk())
        return tuple(f for f in frames if f not in there)

    def beside(self, suffix: str) -> str:
        """A file of the whole sequence beside it: M.####.exr and ".result.json" give M.result.json."""
        head, width, _ = self._parts
        stem = os.path.splitext(head)[0] if width is None else head
        folder, name = os.path.split(stem)
        name = _VIEW.sub("", name).replace("..", ".").rstrip("._-") or "frames"
        return os.path.join(folder, name + suffix)

    def sidecar(self, frame: int) -> str:
        """The record of one frame: M.1001.exr has M.1001.json, and solve.json has solve.record.json."""
        stem, ending = os.path.splitext(self.at(frame))
        return stem + (".record.json" if ending.lower() == ".json" else ".json")
