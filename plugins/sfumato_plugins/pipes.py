"""The pipes to the host, kept away from everybody else in the engine.

stdin and stdout are duplicated; file descriptor 0 then reads nothing and 1 is the log, so neither a library's print nor
a child's echo can reach the host, and no child can hold the pipes open.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import BinaryIO


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our own copies of stdin and stdout, which no child inherits; whoever uses 0 and 1 gets nothing and the log."""
    inward, outward = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    sys.stdout = sys.stderr = _Log(os.fdopen(2, "wb", closefd=False), "utf-8", "backslashreplace", line_buffering=True)
    return inward, outward


class _Log(io.TextIOWrapper):
    """Where prints go. HOME may be full, and a library's warning that cannot be written is no reason to stop."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()
