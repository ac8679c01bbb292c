"""Positions of facial markers over time: schema sfumato.markers/1.

{"schema": "sfumato.markers/1", "fps": 24.0, "frames": [1001], "names": ["chin", "browL"],
 "positions": [[[0.1, 152.3, 8.0], null]]}

Centimetres, Y up, world space; null where a marker is not seen. Frames and names as in `curves.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from sfumato_plugins import takes
from sfumato_plugins.takes import is_number, plain

SCHEMA = "sfumato.markers/1"
FIELDS = ("schema", "fps", "frames", "names", "positions", "about")
Position = Union["tuple[float, float, float]", None]


@dataclass(frozen=True)
class Markers:
    """Where markers are.

    positions: One row for each frame; in it for each name x, y, z in centimetres, Y up, or None where unseen.
    The other fields are those of `Curves`.
    """

    fps: float
    frames: tuple[float, ...]
    names: tuple[str, ...]
    positions: tuple[tuple[Position, ...], ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: str) -> None:
        """Write the file, a frame a line; it appears whole or not at all."""
        head = {"schema": SCHEMA, "fps": plain(self.fps), "frames": [plain(f) for f in self.frames]}
        takes.write_rows(path, {**head, "names": list(self.names)}, "positions", self.positions, [], self.about)


def load(path: str) -> Markers:
    """Read a markers file.

    Raises:
        JobError: it cannot be read or is not JSON (exit 3), or all that is wrong with what it says (exit 2).
    """
    return read(takes.read_json(path), os.path.basename(path))


def read(data: Any, where: str = "") -> Markers:
    """Markers from JSON values.

    Raises:
        JobError: all that is wrong, in one list (exit 2).
    """
    found = takes.head_problems(data, SCHEMA, FIELDS)
    found = found or takes.row_problems(data, "positions", _is_position, "[x, y, z] or null")
    takes.refuse(found, where)
    return Markers(
        fps=takes.exact_fps(data["fps"]),
        frames=tuple(data["frames"]),
        names=tuple(data["names"]),
        positions=tuple(tuple(None if p is None else (p[0], p[1], p[2]) for p in row) for row in data["positions"]),
        about=data.get("about", {}),
    )


def _is_position(entry: Any) -> bool:
    return entry is None or (isinstance(entry, list) and len(entry) == 3 and all(map(is_number, entry)))
