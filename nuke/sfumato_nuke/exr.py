"""The few words of an EXR's header that decide whether Nuke shows the file as it is. Standard library only."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

_MAGIC = b"\x76\x2f\x31\x01"
_LIMIT = 1 << 20  # bytes of a header


@dataclass(frozen=True)
class Window:
    """The display window of a file's first part, and the aspect of its pixels."""

    left: int
    top: int
    width: int
    height: int
    pixel_aspect: float


def display_window(path: str) -> Window | None:
    """The display window; None if the file is not there or is no EXR ("OpenEXR File Layout", openexr.com)."""
    try:
        with open(path, "rb") as file:
            if file.read(4) != _MAGIC:
                return None
            file.read(4)  # version and flags
            return _window(file)
    except (OSError, struct.error, ValueError):
        return None


def _window(file: BinaryIO) -> Window | None:
    box: tuple[int, ...] = ()
    aspect = 1.0
    while file.tell() < _LIMIT:
        name = _word(file)
        if not name:
            break
        _word(file)  # its type
        (size,) = struct.unpack("<i", file.read(4))
        value = file.read(size)
        if name == b"displayWindow":
            box = struct.unpack("<4i", value)
        elif name == b"pixelAspectRatio":
            (aspect,) = struct.unpack("<f", value)
    return Window(box[0], box[1], box[2] - box[0] + 1, box[3] - box[1] + 1, aspect) if box else None


def _word(file: BinaryIO) -> bytes:
    letters = bytearray()
    while True:
        letter = file.read(1)
        if not letter or len(letters) > 255:
            raise ValueError("cut off")
        if letter == b"\0":
            return bytes(letters)
        letters += letter
