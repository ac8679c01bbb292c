"""Whether the picture at an input is a file on disk, untouched, so that nothing has to be rendered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import nuke

from sfumato_nuke.colour import Working, plain
from sfumato_nuke.exr import display_window
from sfumato_plugins.frames import Pattern
from sfumato_plugins.tool import Images

Node = Any
_LOOKED_AT = ("file", "first", "last", "frame_mode", "frame", "colorspace", "raw", "premultiplied", "disable")


def upstream(node: Node) -> Node:
    """The first node above that does something to the picture; None at a loose end."""
    while node is not None and node.Class() == "Dot":
        node = node.input(0)
    return node


def handed(source: Node, item: Images, frames: Sequence[int], views: Sequence[str], space: Working) -> tuple[str, str]:
    """(the pattern of the files behind an input, "") or ("", why it has to be rendered).

    A Read is handed over only if Nuke shows its files as they are: its own frames at their own numbers, no conversion
    of colour or alpha, format and windows as in the files, and one file name for each frame and view.
    """
    if source.Class() != "Read":
        return "", f"there is a {source.Class()} before it"
    why = _altered(source, item, frames, space)
    if why:
        return "", why
    text = str(source["file"].value())
    text = str(nuke.filename(source) or "") if "[" in text else text
    why = _misnamed(source, text, frames, views, item.sparse) or _reshaped(source, text, frames, views)
    return ("", why) if why else (text, "")


def _altered(source: Node, item: Images, frames: Sequence[int], space: Working) -> str:
    """What the Read does to its files, in words."""
    for name in _LOOKED_AT:
        if source[name].hasExpression() or source[name].isAnimated():
            return f"its Read has an expression or keys on {name}"
    if source["disable"].value():
        return "its Read is disabled"
    if str(source["frame"].value()).strip() not in ("", "0") or source["frame_mode"].value() == "start at":
        return "its Read shifts frames"
    first, last = int(source["first"].value()), int(source["last"].value())
    if not item.sparse and (frames[0] < first or frames[-1] > last):
        return f"frames outside the Read's range {first}-{last} are asked for"
    if source["on_error"].value() != "error":
        return f"its Read answers a missing frame with {source['on_error'].value()}"
    if source["premultiplied"].value():
        return "its Read is set to premultiplied"
    if not item.colour and source["auto_alpha"].value():
        return "its Read makes an alpha of its own"
    name = plain(source["colorspace"].value())
    if not source["raw"].value() and name not in space.names:
        return f"its Read converts from {name} to {space.space}"
    return ""


def _misnamed(source: Node, text: str, frames: Sequence[int], views: Sequence[str], sparse: bool) -> str:
    """Where the Read's file names are not those of one pattern."""
    if not text.lower().endswith(".exr"):
        return "it is not an EXR"
    if "\\v" in source["file"].toScript():
        return "its Read has a file name for each view"
    if not os.path.isabs(text):
        return "its path is relative"
    pattern = Pattern(text)
    if len(views) > 1 and not pattern.has_view:
        return "its file name has no %V, and the job has several views"
    allowed = [pattern.for_view(view) for view in nuke.views()]
    for frame in frames:
        named = source["file"].evaluate(frame)
        if named not in [one.at(frame) for one in allowed]:
            return f"its file name is not the same in every frame: {named}"
    if not pattern.is_sequence and len(frames) > 1 and sparse:
        return "it is one file for every frame"
    return ""


def _reshaped(source: Node, text: str, frames: Sequence[int], views: Sequence[str]) -> str:
    """Where Nuke shows other windows than the file has."""
    pattern = Pattern(text).for_view(views[0] if views else None)
    shown = source.format()
    for frame in {frames[0], frames[-1]}:
        path = pattern.at(frame)
        if not os.path.isfile(path):
            continue  # whoever checks the job says which frames are missing
        window = display_window(path)
        if window is None:
            return f"{os.path.basename(path)} is not an EXR"
        if (window.left, window.top) != (0, 0):
            return "its display window does not start at 0, 0"
        if (window.width, window.height) != (shown.width(), shown.height()):
            return f"its Read shows {shown.width()} x {shown.height()}, the file is {window.width} x {window.height}"
        if abs(window.pixel_aspect - shown.pixelAspect()) > 1e-4:
            return "its Read shows another pixel aspect than the file has"
    return ""
