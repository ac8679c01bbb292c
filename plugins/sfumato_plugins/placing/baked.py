"""Boxes that a host baked, frame by frame, as a track file (sfumato.track/1). Standard library only: hosts write it.

What a host has animated is never interpolated again: there is a box for every frame.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from sfumato_plugins.errors import wrong
from sfumato_plugins.text_file import write_text

SCHEMA = "sfumato.track/1"
Edges = tuple[float, float, float, float]
"""Left, top, right, bottom in parts of the display window, y down."""


@dataclass(frozen=True)
class Baked:
    """An object's boxes, one a frame, None where it is not in the picture; its distance, one a frame or one for all."""

    name: str
    phrase: str
    boxes: Sequence[Optional[Edges]]  # noqa: UP045 Python 3.9 evaluates it
    depths: Sequence[float]

    @property
    def seen(self) -> int:
        """In how many frames it is in the picture."""
        return sum(box is not None for box in self.boxes)


def seen(edges: Edges | None) -> Edges | None:
    """A box as it is, None where nothing of it is in the picture: what is out of it is not clamped to its edge."""
    if edges is None:
        return None
    left, top, right, bottom = edges
    return edges if left < right and top < bottom and left < 1 and right > 0 and top < 1 and bottom > 0 else None


def document(
    objects: Sequence[Baked],
    prompt: str,
    start: int,
    count: int,
    fps: float,
    size: tuple[int, int],
    pixel_aspect: float = 1.0,
) -> dict[str, Any]:
    """The track file's JSON.

    Raises:
        JobError: no object is ever in the picture, or two have one name (exit 2).
    """
    there = [one for one in objects if one.seen]
    if not there:
        what = f"nothing of {', '.join(one.name for one in objects) or 'it'} is in the picture in frames "
        raise wrong(
            "", f"{what}{start} to {start + count - 1}", "look at the camera or the format, or take other frames"
        )
    for at, one in enumerate(there):
        if one.name in [other.name for other in there[:at]]:
            raise wrong("", f"two objects are named {one.name}", "name them apart: their words of the prompt will do")
    return {
        "schema": SCHEMA,
        "fps": fps,
        "start": start,
        "count": count,
        "size": list(size),
        "pixel_aspect": pixel_aspect,
        "prompts": [[start, prompt]] if prompt.strip() else [],
        "objects": [_object(one, start) for one in there],
    }


def _object(one: Baked, start: int) -> dict[str, Any]:
    depths = list(one.depths)
    still = len(set(depths)) == 1
    return {
        "name": one.name,
        "phrases": [one.phrase],
        "depth": depths[0] if still else [[start + at, depth] for at, depth in enumerate(depths)],
        "strength": 1.0,
        "start": start,
        "boxes": [list(box) if box else None for box in one.boxes],
    }


def save(path: str, track: dict[str, Any]) -> None:
    """Write a track file; it appears whole or not at all.

    Raises:
        JobError: it cannot be written (exit 2).
    """
    try:
        write_text(path, json.dumps(track) + "\n")
    except OSError as error:
        raise wrong("", f"{path or 'no file'} cannot be written: {error.strerror}", "name another folder") from None


def words_of(name: str) -> str:
    """The words a scene's name stands for: namespaces, numbers at its end and underscores are no part of them.

    >>> words_of("shot:red_ball1")
    'red ball'
    """
    plain = name.rpartition("|")[2].rpartition(":")[2].rstrip("0123456789")
    return " ".join(plain.replace("_", " ").split()) or name
