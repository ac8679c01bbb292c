"""A few digits for everything above a node's arrows and for its own knobs, so that the status can say what changed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import nuke

from sfumato_nuke import knobs
from sfumato_nuke.panel import arrows, named_files
from sfumato_plugins.job import Job
from sfumato_plugins.tool import Tool
from sfumato_plugins.tools.matte import MATTE

Node = Any
_COSMETIC = re.compile(
    r"x?y?pos|name|label|selected|help|icon|(note|tile|gl)_.*|hide_input|bookmark|cached|dope_sheet|postage_stamp.*|"
    r"lifetime.*|useLifetime|indicators|panel|.*Dropped|localization.*|reload|on[A-Z].*|knobChanged|updateUI|autolabel"
)
_STATS = 25  # files of a Read that are looked at


def state_of(node: Node, tool: Tool, frames: Sequence[int]) -> str:
    """A few digits that stand for everything above the arrows: knobs, connections, files of Reads."""
    digest = hashlib.blake2b(digest_size=8)
    seen: dict[str, int] = {}
    for number in range(len(arrows(tool))):
        source = node.input(number)
        digest.update(f"arrow {number}\n".encode())
        if source is not None:
            for line in _described(source, seen, frames):
                digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def _described(node: Node, seen: dict[str, int], frames: Sequence[int]) -> Iterator[str]:
    todo = [node]
    while todo:
        one = todo.pop()
        name = one.fullName()
        if name in seen:
            yield f"again {seen[name]}"
            continue
        seen[name] = len(seen)
        yield one.Class()
        for knob_name, knob in sorted(one.knobs().items()):
            if not _COSMETIC.fullmatch(knob_name) and not knob.getFlag(nuke.DO_NOT_WRITE):
                yield f"{knob_name} {knob.toScript()}"
        if one.Class() == "Read":
            yield from _files(one, frames)
        if one.Class() == "Group":
            todo += [inner for inner in one.nodes() if inner.Class() == "Output"]
        todo += [above for above in (one.input(i) for i in range(one.inputs())) if above is not None]


def _files(read: Node, frames: Sequence[int]) -> Iterator[str]:
    """Size and time of a Read's files, some of them where there are many."""
    step = -(-len(frames) // _STATS) or 1
    for frame in frames[::step]:
        try:
            status = os.stat(read["file"].evaluate(frame))
            yield f"{frame} {status.st_size} {status.st_mtime_ns}"
        except OSError:
            yield f"{frame} missing"


def wants_of(node: Node, tool: Tool, job: Job) -> str:
    """A few digits that stand for what the node's knobs ask for."""
    values = {k: v for k, v in job.to_json().items() if k not in ("inputs", "outputs", "names")}
    if named_files(tool):
        values["files"] = [knobs.text(node, f"{tool.name}_{item.name}") for item in named_files(tool)]
    if tool is MATTE:
        values["band"] = [node[name].value() for name in ("band_inward", "band_outward", "trimap_from")]
    text = json.dumps(values, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
