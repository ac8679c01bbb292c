"""A training's folder: what it may be, and one training in it at a time."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator


def fit_to_write(out: pathlib.Path, begun: bool, resume: bool) -> None:
    """Refuse a file, a training that nobody asked to go on with, or to go on with none.

    Raises:
        JobError: any of these (exit 2).
    """
    from sfumato_plugins.errors import wrong

    if out.exists() and not out.is_dir():
        raise wrong("--out", f"{out} is a file", "name a folder")
    if resume and not begun:
        raise wrong("--resume", f"there is no training in {out} to go on with", "leave out --resume to begin one")
    if begun and not resume:
        raise wrong("--out", f"a training was begun in {out}", "--resume goes on with it; or name another folder")


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
