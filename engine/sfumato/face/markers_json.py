"""sfumato.markers/1: markers as JSON, the file between stages. Centimetres, Y up, null where a marker is not seen."""

from __future__ import annotations

import json
import math
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError
from sfumato.face.json_rows import all_numbers, plain, read_document, rows_of, write_document
from sfumato.face.rates import exact_fps
from sfumato.face.recorded import Recorded

if TYPE_CHECKING:
    from sfumato.face.markers import Markers

SCHEMA = "sfumato.markers/1"
FIELDS = ("schema", "fps", "frames", "names", "positions", "about")


def read(path: Path) -> Recorded:
    """Read it; frames that are skipped become frames in which nothing is seen.

    Raises:
        InputError: not JSON, not this schema, rows that do not fit, or frames that no regular rate has.
    """
    data = read_document(path, SCHEMA, FIELDS)
    frames, names = [float(f) for f in data["frames"]], data["names"]
    rows = rows_of(path, data, "positions")
    grid = np.full((len(frames), len(names), 3), np.nan)
    for i, row in enumerate(rows):
        seen = [k for k, entry in enumerate(row) if entry is not None]
        grid[i, seen] = _positions(path, frames[i], [names[k] for k in seen], [row[k] for k in seen])
    about = data.get("about", {}) if isinstance(data.get("about"), dict) else {}
    step = min((b - a for a, b in pairwise(frames)), default=1.0)
    places = [round((frame - frames[0]) / step) for frame in frames]
    step = float(about.get("step", (frames[-1] - frames[0]) / places[-1] if places[-1:] > [0] else step))
    if any(abs(frames[0] + place * step - frame) > 1e-3 * step for place, frame in zip(places, frames, strict=True)):
        raise InputError(
            f"{path.name}: its frames are not evenly spaced", "resample the take at one rate and save again"
        )
    spread = np.full((places[-1] + 1 if places else 0, len(names), 3), np.nan)
    spread[places] = grid
    timecode, fps = str(about.get("timecode", "")), exact_fps(round(data["fps"] / step, 6))
    return Recorded(names, spread, "cm", fps, "y", frames[0] if frames else 0.0, step, timecode)


def write(markers: Markers, path: Path) -> None:
    """Write it, a frame a line."""
    rows = ([None if math.isnan(p[0]) else p for p in row] for row in markers.positions.tolist())
    about = {
        key: value for key, value in (("timecode", markers.timecode), ("step", markers.step)) if value not in ("", 1.0)
    }
    head = {"schema": SCHEMA, "fps": plain(markers.timeline_fps), "frames": [plain(f) for f in markers.frames]}
    write_document(path, {**head, "names": list(markers.names)}, "positions", rows, about)


def _positions(path: Path, frame: float, names: list[str], entries: list[Any]) -> NDArray[np.float64]:
    """(N, 3) of one frame."""
    if set(map(type, entries)) <= {list} and set(map(len, entries)) <= {3} and all_numbers([*chain(*entries)]):
        return np.array(entries, dtype=np.float64).reshape(len(entries), 3)
    name, entry = next((n, e) for n, e in zip(names, entries, strict=True) if not _is_position(e))
    raise InputError(
        f"{path.name}: {name} at frame {frame:g} is {json.dumps(entry)[:40]}", "a position is [x, y, z] or null"
    )


def _is_position(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 3 and all_numbers(entry)
