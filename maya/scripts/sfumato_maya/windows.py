"""Our windows: each is there once, and all of them close with the plug-in."""

from __future__ import annotations

from maya import cmds

_made: set[str] = set()


def make(name: str, title: str, size: tuple[int, int]) -> bool:
    """Make a window where it is not there yet, for controls to be drawn into; whether it was made."""
    if is_open(name):
        return False
    cmds.window(name, title=title, widthHeight=size)
    _made.add(name)
    return True


def is_open(name: str) -> bool:
    """Whether a window is there."""
    return bool(cmds.window(name, exists=True))


def close(name: str) -> None:
    """Close a window, if it is there."""
    if is_open(name):
        cmds.deleteUI(name)


def close_all() -> None:
    """Close every window that was made; what runs goes on."""
    for name in sorted(_made):
        close(name)
    _made.clear()
