"""Animation curves between stages and on their way to a host: schema sfumato.curves/1.

{"schema": "sfumato.curves/1", "fps": 30.0, "frames": [1001, 1002], "names": ["jawOpen", "mouthLeft"],
 "values": [[0.0, 0.1], [0.2, 0.1]], "locked": [[1001, "jawOpen"]], "about": {"take": "ab_010_t03"}}

A row of `values` for every frame, a number in it for every name. Frames ascend and may be fractions. Numbers that drive
an angle are degrees, those that drive a distance are centimetres, whatever the units of the scene they come into.
`locked` names what an artist has approved: later stages leave it as it is. `about` is anything, and is passed on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sfumato_plugins import takes
from sfumato_plugins.errors import Problem
from sfumato_plugins.takes import is_number, plain

SCHEMA = "sfumato.curves/1"
FIELDS = ("schema", "fps", "frames", "names", "values", "locked", "about")


@dataclass(frozen=True)
class Curves:
    """Values of named controls over time.

    fps: Frames a second, above 0.
    frames: Ascending, each once; fractions are samples between frames.
    names: Of the controls, without a namespace.
    values: One row for each frame, one finite number in it for each name.
    locked: (frame, name) pairs that later stages must not change.
    about: JSON values that are passed on: take, timecode.
    """

    fps: float
    frames: tuple[float, ...]
    names: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    locked: tuple[tuple[float, str], ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def of(self, name: str) -> tuple[float, ...]:
        """One control's value at every frame.

        Raises:
            KeyError: there is no such control.
        """
        if name not in self.names:
            raise KeyError(name)
        at = self.names.index(name)
        return tuple(row[at] for row in self.values)

    def save(self, path: str) -> None:
        """Write the file, a row of values a line so that a person can edit it; it appears whole or not at all."""
        locked = [[plain(frame), name] for frame, name in self.locked]
        head = {"schema": SCHEMA, "fps": plain(self.fps), "frames": [plain(f) for f in self.frames]}
        takes.write_rows(path, {**head, "names": list(self.names)}, "values", self.values, locked, self.about)


def load(path: str) -> Curves:
    """Read a curves file.

    Raises:
        JobError: it cannot be read or is not JSON (exit 3), or all that is wrong with what it says (exit 2).
    """
    return read(takes.read_json(path), os.path.basename(path))


def read(data: Any, where: str = "") -> Curves:
    """Curves from JSON values; `where` is named in what is wrong.

    Raises:
        JobError: all that is wrong, in one list (exit 2).
    """
    found = takes.head_problems(data, SCHEMA, FIELDS)
    if not found:
        found = takes.row_problems(data, "values", is_number, "a finite number") + _locked_problems(data)
    takes.refuse(found, where)
    return Curves(
        fps=takes.exact_fps(data["fps"]),
        frames=tuple(data["frames"]),
        names=tuple(data["names"]),
        values=tuple(tuple(float(v) for v in row) for row in data["values"]),
        locked=tuple((frame, name) for frame, name in data.get("locked", ())),
        about=data.get("about", {}),
    )


def _locked_problems(data: Mapping[str, Any]) -> list[Problem]:
    locked = data.get("locked", [])
    if not isinstance(locked, list):
        return [Problem("locked", 'should be a list of [frame, "name"]')]
    frames, names = set(data["frames"]), set(data["names"])
    bad = [
        repr(pair)
        for pair in locked
        if not isinstance(pair, list)
        or len(pair) != 2
        or not is_number(pair[0])
        or not isinstance(pair[1], str)
        or pair[0] not in frames
        or pair[1] not in names
    ]
    return [takes.several("locked", 'not a [frame, "name"] of this file', bad)] if bad else []
