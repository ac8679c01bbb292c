"""One training in a folder at a time."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def alone(folder: pathlib.Path) -> Iterator[None]:
    """Make a folder, and be the only training in it.

    Raises:
        JobError: it cannot be made, or another run is at work there (exit 2).
    """
    from sfumato_plugins.claims import Claims
    from sfumato_plugins.errors import wrong

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise wrong(
            "--out", f"{folder.parent} cannot be made: {error.strerror}", "name a folder where you may write"
        ) from None
    claims = Claims(os.path.join(folder, ".claims"), "training")
    if not claims.take("training"):
        raise wrong("--out", f"another run is training in {folder.parent}", "wait for it, or name another folder")
    try:
        yield
    finally:
        claims.close()
