"""C3D, the file of motion capture systems, by ezc3d. float32; a marker is unseen where its residual is negative."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfumato.atomic import write_bytes
from sfumato.errors import InputError, RequestError
from sfumato.face.recorded import Recorded, unit_of

if TYPE_CHECKING:
    from sfumato.face.markers import Markers

GROUP = "SFUMATO"  # a parameter group of ours: what C3D has no place for
LAST_FRAME = 65535  # the header counts frames in 16 bits


def read(path: Path) -> Recorded:
    """Read the points of a C3D file.

    Raises:
        InputError: ezc3d is not installed, or the file is no C3D file.
    """
    try:
        file = _ezc3d().c3d(str(path))
    except (OSError, RuntimeError, ValueError, IndexError) as error:
        raise InputError(f"{path.name} is no C3D file that can be read: {error}", "export the take again") from None
    points: NDArray[np.float64] = np.asarray(file["data"]["points"], dtype=np.float64)
    positions = np.ascontiguousarray(np.moveaxis(points[:3], 0, -1).swapaxes(0, 1))
    residuals = np.asarray(file["data"]["meta_points"]["residuals"])
    if residuals.size:
        positions[residuals.reshape(positions.shape[1::-1]).T < 0] = np.nan
    point, ours = file["parameters"]["POINT"], file["parameters"].get(GROUP, {})
    names = _labels(point, positions.shape[1])
    said = _text(point, "UNITS")
    up = re.fullmatch(r"\+?([XYZxyz])", _text(point, "Y_SCREEN"))
    start = _number(ours, "START", float(file["header"]["points"]["first_frame"]) + 1)
    rate = _number(point, "RATE", 0.0) or float(file["header"]["points"]["frame_rate"])
    return Recorded(
        names,
        positions,
        unit_of(said, path.name) if said else None,
        rate or None,
        up[1].lower() if up else None,
        start,
        _number(ours, "STEP", 1.0),
        _text(ours, "TIMECODE"),
    )


def write(markers: Markers, path: Path) -> None:
    """Write millimetres, Y up, unseen markers with residual -1.

    Raises:
        InputError: ezc3d is not installed.
        RequestError: there are more frames than the format can count.
    """
    count = len(markers.positions)
    if count > LAST_FRAME:
        raise RequestError(
            f"C3D counts to {LAST_FRAME} frames and this take has {count}", "write .usd, or cut the take"
        )
    file = _ezc3d().c3d()
    seen = markers.seen.numpy().T
    points = np.ones((4, len(markers.names), count))
    points[:3] = np.where(seen, markers.positions.numpy().transpose(2, 1, 0) * 10.0, np.nan)
    points[3] = np.where(seen, 1.0, np.nan)
    file["header"]["points"]["first_frame"] = _first_frame(markers, count)
    file["parameters"]["POINT"]["RATE"]["value"] = [markers.fps]
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file["parameters"]["POINT"]["LABELS"]["value"] = list(markers.names)
    file.add_parameter("POINT", "X_SCREEN", "+X")
    file.add_parameter("POINT", "Y_SCREEN", "+Y")
    file.add_parameter(GROUP, "START", [repr(markers.start)])  # as text: a float parameter keeps 24 bits only
    file.add_parameter(GROUP, "STEP", [repr(markers.step)])
    file.add_parameter(GROUP, "TIMECODE", [markers.timecode])
    file["data"]["points"] = points
    file["data"]["meta_points"]["residuals"] = np.where(seen, 0.0, -1.0)[None]
    with TemporaryDirectory() as folder:  # ezc3d insists on the suffix, which an unfinished file may not have
        file.write(f"{folder}/take.c3d")
        write_bytes(path, Path(folder, "take.c3d").read_bytes())


def _first_frame(markers: Markers, count: int) -> int:
    """Zero based; 0 where the header cannot hold where the take starts."""
    first = int(markers.start) - 1
    return first if markers.start.is_integer() and 0 <= first <= LAST_FRAME - count else 0


def _labels(point: Any, count: int) -> list[str]:
    """LABELS, and LABELS2 and on where there are more than 255; a blank one for a point nobody named."""
    names: list[str] = []
    for key in ("LABELS", *(f"LABELS{i}" for i in range(2, 9))):
        names += [str(name) for name in point[key]["value"]] if key in point else []
    return (names + [""] * count)[:count]


def _text(group: Any, key: str) -> str:
    values = group[key]["value"] if key in group else []
    return str(values[0]).strip().strip("\x00") if len(values) else ""


def _number(group: Any, key: str, default: float) -> float:
    values = group[key]["value"] if key in group else []
    return float(values[0]) if len(values) else default


def _ezc3d() -> Any:
    try:
        import ezc3d
    except ImportError:
        raise InputError("reading and writing C3D needs the package ezc3d", 'pip install "sfumato[face]"') from None
    return ezc3d
