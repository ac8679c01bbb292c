"""A text file that appears whole or not at all. Standard library only: hosts write with it."""

from __future__ import annotations

import contextlib
import os


def write_text(path: str, text: str) -> None:
    """Write a text file, UTF-8, beside its place and then renamed to it.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    part = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}.part")
    try:
        with open(part, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):  # it was never made, or the disk is gone
            os.remove(part)
        raise
