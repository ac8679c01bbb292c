"""How much an edited shot flickers beside its plate: what frame-by-frame editing costs, as a number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from sfumato_plugins.editing.inputs import EditInputs
from sfumato_plugins.editing.written import Written, read_written
from sfumato_plugins.files import Files
from sfumato_plugins.job import Job
from sfumato_plugins.place import Place

MOST = 120  # middle frames that are looked at, evenly over a long shot: every one takes three plates and three edits
ABOVE = 1.25
"""Times the plate's own flicker that are worth a warning: a tracked patch stays below, a frame-by-frame edit seldom."""


def flicker_of(job: Job, files: Files, place: Place) -> dict[str, Any]:
    """Flicker of the edited shot and of its plate where the edit is, display-referred RMS x 1e3; empty without three
    frames in a row. Says so where the edit's is more than `ABOVE` times the plate's.
    """
    import torch

    from sfumato.diffusion.metrics import flicker

    squares: dict[str, list[float]] = {"plate": [], "edit": []}
    for frames in _threes(job, files, place):
        where = torch.stack([frame.added != 0 for frame in frames]).any(0).any(0, keepdim=True)
        if bool(where.any()):
            for name, (before, here, after) in zip(squares, zip(*(frame.shown() for frame in frames))):
                squares[name].append(flicker(before, here, after, where) ** 2)
    if not squares["edit"]:
        return {}
    plate, edit = (math.sqrt(math.fsum(values) / len(values)) for values in squares.values())
    ratio = edit / plate if plate > 0 else math.inf
    place.note(f"{job.tool}: flicker {1e3 * edit:.2f}e-3, the plate's own there {1e3 * plate:.2f}e-3")
    if ratio > ABOVE:
        many = f"{ratio:.1f} times as much as its plate" if math.isfinite(ratio) else "and its plate does not"
        place.note(f"warning: the edit flickers {many}; for a shot edit one frame and track it as a patch")
    return {"flicker": 1e3 * edit, "plate_flicker": 1e3 * plate, "ratio": ratio if math.isfinite(ratio) else None}


def _threes(job: Job, files: Files, place: Place) -> Iterator[Sequence[Written]]:
    """Three frames in a row round each middle one, none read twice in a row of them."""
    inputs, there = EditInputs(job, files, place), set(files.written)
    middle = [frame for frame in files.written if {frame - 1, frame + 1} <= there]
    held: dict[int, Written] = {}
    for frame in middle[:: -(-len(middle) // MOST) or 1]:
        wanted = (frame - 1, frame, frame + 1)
        held = {f: held.get(f) or read_written(job, inputs, f) for f in wanted}
        if len({tuple(one.plate.shape) for one in held.values()}) == 1:
            yield tuple(held.values())
