"""Markers as CSV: one column a coordinate (ours, and most scripts'), one row a marker, or names above a row of X, Y, Z.

A first line `# sfumato.markers units=cm up=y fps=59.94` says what a table cannot; without it units and rate are asked
for. Motive and Vicon exports say theirs in the rows above.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sfumato.atomic import write_bytes
from sfumato.errors import InputError
from sfumato.face.json_rows import plain
from sfumato.face.markers_columns import Columns, columns_of
from sfumato.face.rates import agreeing_rate, exact_fps, places_of
from sfumato.face.recorded import Recorded, unit_of
from sfumato.face.table import number_in, read_text

if TYPE_CHECKING:
    from sfumato.face.markers import Markers

SAID = re.compile(r"(units|up|fps|start|step|timecode)\s*=\s*([^\s,]+)")


def read(path: Path) -> Recorded:
    """Read it.

    Raises:
        InputError: no columns of coordinates are found, or a cell is no number.
    """
    lines = [line for line in read_text(path).splitlines() if line.strip(" ,;\t")]
    said = {key: value for line in lines if line.startswith("#") for key, value in SAID.findall(line)}
    lines = [line for line in lines if not line.startswith("#")]
    separator = max(",;\t", key=lambda mark: sum(line.count(mark) for line in lines[:20]))
    rows = list(csv.reader(lines, delimiter=separator))
    if not rows:
        raise InputError(f"{path.name} is an empty file", "export the take again, or pick another")
    columns = columns_of(path, rows)
    body = [row for row in rows[columns.head :] if any(cell.strip() for cell in row)]
    taken = _long(path, columns, body) if columns.marker is not None else _wide(path, columns, body, said)
    units, fps = said.get("units") or columns.units, said.get("fps") or columns.fps
    rate = agreeing_rate(path, exact_fps(float(fps)) if fps else None, taken.times, taken.places)
    return Recorded(
        taken.names,
        taken.positions,
        unit_of(units, path.name) if units else None,
        rate,
        said.get("up"),
        float(said.get("start", taken.start)),
        float(said.get("step", 1.0)),
        said.get("timecode", ""),
    )


class _Table:
    """Cells as numbers: names, (F, M, 3) positions, the sample and the seconds of each row that was there."""

    def __init__(self, path: Path, names: Sequence[str], frames: Sequence[float], times: Sequence[float], step: float):
        self.names = list(names)
        self.times = np.array(times, dtype=np.float64)
        self.start = float(frames[0]) if len(frames) else 0.0
        self.places = places_of(path, np.array(frames, dtype=np.float64), step)
        count = int(self.places[-1]) + 1 if len(self.places) else 0
        self.positions = np.full((count, len(self.names), 3), np.nan)


def _wide(path: Path, columns: Columns, body: list[list[str]], said: dict[str, str]) -> _Table:
    numbered = columns.frame is not None
    frames = [
        number_in(path, row, columns.frame) if columns.frame is not None else float(i) for i, row in enumerate(body)
    ]
    times = [number_in(path, row, columns.time) if columns.time is not None else math.nan for row in body]
    if any(math.isnan(frame) for frame in frames):
        raise InputError(f"{path.name}: a row has no frame number", "give each row one, or leave the column out")
    table = _Table(path, columns.names, frames, times, float(said.get("step", 1.0)) if numbered else 1.0)
    for place, row in zip(table.places, body, strict=True):
        cells = [[number_in(path, row, at + axis) for axis in range(3)] for at in columns.first]
        table.positions[place] = cells
    return table


def _long(path: Path, columns: Columns, body: list[list[str]]) -> _Table:
    """A row for each marker and frame; rows that are missing are markers that were not seen."""
    at = columns.frame if columns.frame is not None else columns.time
    marker = columns.marker or 0
    if at is None:
        raise InputError(f"{path.name} has a row for each marker and no column of frames", "add a column named frame")
    keys = sorted({number_in(path, row, at) for row in body})
    names = list(dict.fromkeys(row[marker].strip() for row in body))
    frames = keys if columns.frame is not None else [float(i) for i in range(len(keys))]
    seconds = dict(zip(keys, keys, strict=True)) if columns.frame is None else {}
    if columns.frame is not None and columns.time is not None:
        seconds = {number_in(path, row, at): number_in(path, row, columns.time) for row in body}
    table = _Table(path, names, frames, [seconds.get(key, math.nan) for key in keys], 1.0)
    place = dict(zip(keys, table.places, strict=True))
    number = {name: i for i, name in enumerate(names)}
    for row in body:
        cells = [number_in(path, row, columns.first[0] + axis) for axis in range(3)]
        table.positions[place[number_in(path, row, at)], number[row[marker].strip()]] = cells
    return table


def write(markers: Markers, path: Path) -> None:
    """Write centimetres, Y up, a column a coordinate; a marker that is not seen has empty cells."""
    about = f"# sfumato.markers units=cm up=y fps={markers.fps!r} start={markers.start!r} step={markers.step!r}"
    about += f" timecode={markers.timecode}" if markers.timecode else ""
    lines = [
        about,
        ",".join(("frame", *(f'"{n}.{axis}"' if "," in n else f"{n}.{axis}" for n in markers.names for axis in "xyz"))),
    ]
    for frame, row in zip(markers.frames, markers.positions.flatten(1).tolist(), strict=True):
        lines.append(",".join((repr(plain(frame)), *("" if math.isnan(value) else repr(value) for value in row))))
    write_bytes(path, ("\n".join(lines) + "\n").encode())
