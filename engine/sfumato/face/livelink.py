"""Live Link Face CSV, in and out without loss: the 52 ARKit shapes, then head and eyes in radians, a row a sample.

Frame numbers are counted from midnight in the timecode's own frames, thousandths included: 00:32:09:07.867 at 60 is
115747.867. The app writes `EyeBlinkLeft`; controls are `eyeBlinkLeft` here, as in ARKit.
"""

from __future__ import annotations

import csv
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from sfumato.atomic import write_bytes
from sfumato.errors import InputError, RequestError
from sfumato.face.curves import Curves
from sfumato.face.table import number_in, read_text

TIMECODE = re.compile(r"(\d+):(\d\d):(\d\d)[:;](\d+)(\.\d+)?")
HEAD = ("Timecode", "BlendShapeCount")
ARKIT = 61  # shapes and angles that the app itself writes
USUAL = 60.0  # the app's rate; taken when a take is too short for its timecode to roll over


def read(path: Path, fps: float | None = None) -> Curves:
    """Read it. Rows in which the app saw no face (a count of 0) have no sample.

    fps: What its timecode counts to a second; default: where it rolls over, 60 in a take in which it never does.

    Raises:
        InputError: not a Live Link file, no sample, a cell that is no number, or timecode that does not ascend.
    """
    rows = list(csv.reader(read_text(path).splitlines()))
    if not rows or len(rows[0]) < 3 or rows[0][0].strip().lower() != "timecode":
        raise InputError(
            f"{path.name} is no Live Link Face CSV: its first column is not Timecode",
            "a table of markers is given with --markers; curves come as Live Link CSV, .json, .anim or .usd",
        )
    counted = rows[0][1].strip().lower() == HEAD[1].lower()
    first = 2 if counted else 1
    names = tuple(_control(cell.strip()) for cell in rows[0][first:])
    body = [row for row in rows[1:] if row and not (counted and _blank(row))]
    if not body:
        raise InputError(f"{path.name} is an empty take: it has no samples", "record again, or give another file")
    stamps = [_stamp(path, row[0]) for row in body]
    rate = fps or _rate(stamps)
    frames = tuple(round(float(seconds * round(rate)) + frame, 6) for seconds, frame in stamps)
    late = next((i for i in range(1, len(frames)) if frames[i] <= frames[i - 1]), None)
    if late is not None:
        raise InputError(
            f"{path.name}: timecode {body[late][0]} does not come after {body[late - 1][0]}",
            "two takes in one file, or a take over midnight? cut it there",
        )
    values = [[number_in(path, row, column) for column in range(first, len(rows[0]))] for row in body]
    wrong = [
        (row[0], names[k])
        for row, line in zip(body, values, strict=True)
        for k, v in enumerate(line)
        if not math.isfinite(v)
    ]
    if wrong:
        raise InputError(
            f"{path.name}: {wrong[0][1]} has no value at {wrong[0][0]}", "was the file cut off, or edited by hand?"
        )
    about = {"live link": {"fraction": max(len(row[0].partition(".")[2]) for row in body), "count": counted}}
    return Curves(names, frames, torch.tensor(values, dtype=torch.float64), float(rate), about=about)


def write(curves: Curves, path: Path) -> None:
    """Write it; what was read from such a file is written back to the byte. Locks have no place in it.

    Raises:
        RequestError: a frame is before midnight or after it, which no timecode says.
    """
    known = curves.about.get("live link", {})
    digits = int(known.get("fraction", 3))
    nominal = round(curves.fps)
    if curves.frames and not 0 <= curves.frames[0] <= curves.frames[-1] < 86400 * nominal:
        raise RequestError(
            f"frames {curves.frames[0]:g} to {curves.frames[-1]:g} are no timecode of one day",
            "put the take on frame 0 or later",
        )
    counted = bool(known.get("count", True))
    lines = [",".join((*(HEAD if counted else HEAD[:1]), *map(_column, curves.names)))]
    count = (str(len(curves.names)),) if counted else ()
    for frame, row in zip(curves.frames, curves.values.tolist(), strict=True):
        cells = (np.format_float_positional(value, unique=True, trim="k", min_digits=10) for value in row)
        lines.append(",".join((_timecode(frame, nominal, digits), *count, *cells)))
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def _timecode(frame: float, nominal: int, digits: int) -> str:
    frame = round(frame, digits)
    seconds, rest = int(frame // nominal), frame - frame // nominal * nominal
    width = 3 + digits if digits else 2
    stamp = f"{rest:0{width}.{digits}f}"
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{stamp}"


def _stamp(path: Path, text: str) -> tuple[int, float]:
    """Seconds from midnight and frames in the second."""
    found = TIMECODE.fullmatch(text.strip())
    if not found:
        raise InputError(
            f"{path.name}: {text!r} is no timecode", "HH:MM:SS:FF or HH:MM:SS:FF.fff, as the app writes it"
        )
    hours, minutes, seconds, frame = (int(part) for part in found.groups()[:4])
    return hours * 3600 + minutes * 60 + seconds, frame + float(found[5] or 0)


def _rate(stamps: list[tuple[int, float]]) -> float:
    """Frames a second: the smallest rate of those in use that all frames of whole seconds fit and reach."""
    highest = math.floor(max(frame for _, frame in stamps))
    rolled = any(b > a for (a, _), (b, _) in pairwise(stamps))
    if not rolled and highest < USUAL:
        return USUAL
    return next(rate for rate in (24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 120.0, 240.0, 1e9) if highest < rate)


def _blank(row: list[str]) -> bool:
    return len(row) > 1 and row[1].strip() == "0"


def _control(column: str) -> str:
    return column[:1].lower() + column[1:]


def _column(control: str) -> str:
    return control[:1].upper() + control[1:]
