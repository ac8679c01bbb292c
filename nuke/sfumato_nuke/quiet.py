"""Touching the artist's script without a trace: no undo entry, no asterisk in the title, settings put back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import nuke


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """What is set inside is not in the undo history and does not make the script look changed."""
    root, was_off = nuke.root(), nuke.Undo.disabled()
    modified = root.modified()
    nuke.Undo.disable()
    try:
        yield
    finally:
        root.setModified(modified)
        if not was_off:
            nuke.Undo.enable()


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """What is set inside is one step of the undo history."""
    nuke.Undo.begin(name)
    try:
        yield
    finally:
        nuke.Undo.end()


@contextlib.contextmanager
def full_resolution() -> Iterator[None]:
    """Proxy mode off inside, as it was after it."""
    proxy = nuke.root()["proxy"]
    before = proxy.value()
    with unseen():
        try:
            if before:
                proxy.setValue(False)
            yield
        finally:
            if before:
                proxy.setValue(before)
