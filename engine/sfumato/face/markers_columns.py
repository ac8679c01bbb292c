"""Where in a table the coordinates are: three layouts of CSV that motion capture systems and scripts write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import InputError
from sfumato.face.recorded import SPELLED

Rows = Sequence[Sequence[str]]
NAMED = re.compile(r"(.+?)[\s._:-]*[\[(]?([xyz])[\])]?(?:\s*[\[(]?(mm|cm|m)[\])]?)?", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """Which column is what, from 0.

    head: Rows before the first of numbers.
    names: Of the markers; empty in the layout of one row for each marker.
    first: The x column of each; y and z follow it.
    marker: The column of names, in the layout of one row for each marker.
    """

    head: int
    names: tuple[str, ...]
    first: tuple[int, ...]
    frame: int | None
    time: int | None
    marker: int | None = None
    units: str | None = None
    fps: str | None = None


def columns_of(path: Path, rows: Rows) -> Columns:
    """Find them.

    Raises:
        InputError: there are none; the layout that is understood is described.
    """
    for i, row in enumerate(rows[:40]):
        cells = [re.sub(r"\d+$", "", cell.strip().lower()) for cell in row]
        triples = [k for k in range(len(cells) - 2) if cells[k : k + 3] == ["x", "y", "z"]]
        if triples and _find(row, "marker", "name", "label", "point") is not None:
            return Columns(i + 1, (), (triples[0],), *_counters(row), _find(row, "marker", "name", "label", "point"))
        if triples:
            return _under_names(path, rows, i, triples)
        joined = _joined(row)
        if joined:
            names, first, unit = joined
            return Columns(i + 1, names, first, *_counters(row), units=unit)
    raise InputError(
        f"{path.name} has no columns of marker positions",
        "name them chin.x, chin.y, chin.z after a column named frame, or write .trc or .c3d",
    )


def _joined(row: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...], str | None] | None:
    """chin.x, chin.y, chin.z: the name is what the three have in common."""
    found = [NAMED.fullmatch(cell.strip()) for cell in row]
    names, first, unit = [], [], None
    for k in range(len(row) - 2):
        three = found[k : k + 3]
        if [m[2].lower() if m else "" for m in three] == ["x", "y", "z"] and len({m[1] for m in three if m}) == 1:
            match = three[0]
            names.append(match[1] if match else "")
            first.append(k)
            unit = unit or (match[3] if match else None)
    return (tuple(names), tuple(first), unit) if names else None


def _under_names(path: Path, rows: Rows, axes: int, triples: list[int]) -> Columns:
    """A row of X, Y, Z with the names in a row above it, in each cell or in the first of three."""
    above = rows[:axes]
    named = [row for row in above if any(cell.strip().lower() == "name" for cell in row[:2])]
    candidates = named[-1:] or [
        row for row in reversed(above) if len({_at(row, k) for k in triples} - {""}) * 2 > len(triples)
    ]
    if not candidates:
        raise InputError(
            f"{path.name} has X, Y, Z columns and no names above them", "label the markers and export again"
        )
    kinds = [row for row in above if any(cell.strip().lower() == "type" for cell in row[:2])]
    kept = [k for k in triples if _is_position(above, k) and (not kinds or "marker" in _at(kinds[-1], k).lower())]
    names = tuple(_at(candidates[0], k) for k in kept)
    below = rows[axes + 1] if axes + 1 < len(rows) else []
    unit_row = bool(kept) and _at(below, kept[0]).lower() in SPELLED
    units = _at(below, kept[0]) if unit_row else _after(above, "length units", "units")
    lone = [row[0].strip() for row in above if row and re.fullmatch(r"[\d.]+", row[0].strip()) and not any(row[1:])]
    fps = _after(above, "export frame rate", "capture frame rate", "frame rate", "datarate", "fps") or (
        lone[0] if lone else None
    )
    return Columns(axes + 1 + unit_row, names, tuple(kept), *_counters(rows[axes]), units=units, fps=fps)


def _is_position(above: Rows, column: int) -> bool:
    return not any(_at(row, column).lower() in ("rotation", "mean marker error", "velocity") for row in above)


def _counters(row: Sequence[str]) -> tuple[int | None, int | None]:
    return _find(row, "frame"), _find(row, "time", "seconds")


def _find(row: Sequence[str], *words: str) -> int | None:
    starts = [i for i, cell in enumerate(row) if cell.strip().lower().startswith(words)]
    return starts[0] if starts else None


def _at(row: Sequence[str], column: int) -> str:
    return row[column].strip() if column < len(row) else ""


def _after(rows: Rows, *keys: str) -> str | None:
    """The cell that follows one of the keys, the first key that is there."""
    for key in keys:
        for row in rows:
            cells = [cell.strip().lower() for cell in row]
            if key in cells[:-1]:
                return row[cells.index(key) + 1].strip() or None
    return None
