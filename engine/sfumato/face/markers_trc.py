"""TRC, the tab-separated tracks of Motion Analysis and OpenSim: five lines of head, then a frame a line."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sfumato.atomic import write_bytes
from sfumato.errors import InputError
from sfumato.face.rates import agreeing_rate, places_of
from sfumato.face.recorded import Recorded, unit_of
from sfumato.face.table import number_in, read_text

if TYPE_CHECKING:
    from sfumato.face.markers import Markers

HEAD = (
    "DataRate",
    "CameraRate",
    "NumFrames",
    "NumMarkers",
    "Units",
    "OrigDataRate",
    "OrigDataStartFrame",
    "OrigNumFrames",
)


def read(path: Path) -> Recorded:
    """Read it. A frame number that is skipped is a frame in which nothing is seen; TRC does not say which axis is up.

    Raises:
        InputError: no TRC, a cell that is no number, or a rate that its own times contradict.
    """
    lines = read_text(path).splitlines()
    if len(lines) < 4 or not lines[0].startswith("PathFileType"):
        raise InputError(
            f"{path.name} is no TRC file: it does not start with PathFileType", "export the take again as TRC"
        )
    head = dict(zip(lines[1].split("\t"), (cell.strip() for cell in lines[2].split("\t")), strict=False))
    names = [cell.strip() for cell in lines[3].split("\t")[2::3]]
    while names and not names[-1]:
        names.pop()
    rows = [line.split("\t") for line in lines[5:] if line.strip()]
    frames = np.array([number_in(path, row, 0) for row in rows])
    times = np.array([number_in(path, row, 1) for row in rows])
    places = places_of(path, frames, 1.0)
    grid = np.full((int(places[-1]) + 1 if len(places) else 0, len(names), 3), np.nan)
    for place, row in zip(places, rows, strict=True):
        cells = [number_in(path, row, 2 + i) for i in range(3 * len(names))]
        grid[place] = np.array(cells).reshape(-1, 3)
    said = head.get("DataRate", "")
    fps = agreeing_rate(path, float(said) if _is_rate(said) else None, times, places)
    units = unit_of(head["Units"], path.name) if head.get("Units") else None
    return Recorded(names, grid, units, fps, None, float(frames[0]) if len(frames) else 0.0)


def write(markers: Markers, path: Path) -> None:
    """Write millimetres; a marker that is not seen has empty cells.

    `step` and timecode have no place in TRC: a UserWarning says that they are lost.
    """
    lost = [f"the timecode {markers.timecode}"] if markers.timecode else []
    lost += [f"{markers.step:g} frames of the timeline a sample"] if markers.step != 1 else []
    if lost:
        kept = "C3D, CSV, USD and JSON keep it"
        warnings.warn(f"{path.name}: TRC has no place for {' and '.join(lost)}; {kept}", stacklevel=3)
    count, rate = len(markers.positions), repr(markers.fps)
    start = markers.start if markers.start.is_integer() else 1.0
    values = (rate, rate, str(count), str(len(markers.names)), "mm", rate, f"{start:.0f}", str(count))
    lines = [f"PathFileType\t4\t(X/Y/Z)\t{path.name}", "\t".join(HEAD), "\t".join(values)]
    lines.append("Frame#\tTime\t" + "\t\t\t".join(markers.names) + "\t\t")
    lines.append("\t\t" + "\t".join(f"X{i}\tY{i}\tZ{i}" for i in range(1, len(markers.names) + 1)))
    lines.append("")
    for i, row in enumerate((markers.positions * 10.0).flatten(1).tolist()):
        cells = ("" if math.isnan(value) else repr(value) for value in row)
        lines.append("\t".join((f"{start + i:.0f}", f"{i / markers.fps:.6f}", *cells)))
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def _is_rate(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False
