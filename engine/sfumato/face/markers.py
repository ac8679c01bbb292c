"""Positions of facial markers over time, and the files they come in: C3D, TRC, CSV, USD points, sfumato.markers/1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfumato.errors import InputError, RequestError, ShapeError
from sfumato.face import recorded
from sfumato.face.rates import exact_fps, rate_to_use
from sfumato.face.recorded import Recorded

READERS = {
    **{".c3d": "markers_c3d", ".trc": "markers_trc", ".csv": "markers_csv", ".json": "markers_json"},
    **dict.fromkeys((".usd", ".usda", ".usdc", ".usdz"), "markers_usd"),
}


@dataclass(frozen=True)
class Markers:
    """Where markers are.

    names: M names, each once.
    positions: (F, M, 3) float64, centimetres, Y up, NaN in all three where unseen.
    fps: Samples a second.
    start: Frame number of the first sample, on the timeline.
    timecode: "HH:MM:SS:FF" of the first sample (";" before FF: drop frame), if the take has one.
    step: Frames of the timeline between samples; the timeline runs at fps * step.
    notes: Sentences a person should read: what a reader left out or took for granted.
    """

    names: tuple[str, ...]
    positions: Tensor
    fps: float
    start: float = 0.0
    timecode: str = ""
    step: float = 1.0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.positions.shape)
        if len(shape) != 3 or shape[1:] != (len(self.names), 3) or self.positions.dtype != torch.float64:
            raise ShapeError(
                f"positions: (F, {len(self.names)}, 3) float64 wanted, {shape} {self.positions.dtype} given"
            )

    @property
    def frames(self) -> tuple[float, ...]:
        """Frame number of each sample on the timeline; whole numbers are exact."""
        return tuple(round(self.start + i * self.step, 9) for i in range(len(self.positions)))

    @property
    def timeline_fps(self) -> float:
        """Frames a second of the timeline that `start`, `step` and `frames` count in."""
        return exact_fps(self.fps * self.step)

    @property
    def seen(self) -> Tensor:
        """(F, M) bool."""
        return torch.isfinite(self.positions).all(-1)

    def only(self, names: Sequence[str], unseen: bool = False) -> Markers:
        """These markers, in this order.

        unseen: A marker that the take lacks is one that is never seen, rather than an error.

        Raises:
            RequestError: a name is missing; names that look alike are offered.
        """
        missing = [name for name in names if name not in self.names]
        if missing and not unseen:
            raise RequestError(*recorded.missing_sentence("the take", missing, self.names))
        column = {name: i for i, name in enumerate(self.names)}
        nowhere = torch.full((len(self.positions), 3), torch.nan, dtype=torch.float64)
        columns = [self.positions[:, column[name]] if name in column else nowhere for name in names]
        return replace(self, names=tuple(names), positions=torch.stack(columns, 1))


def load_markers(
    path: str | Path, units: str | None = None, fps: float | None = None, up: str | None = None, check: bool = True
) -> Markers:
    """Read a take; the suffix says how: .c3d .trc .csv .usd .usda .usdc .usdz .json.

    Args:
        path: The file.
        units: "mm", "cm" or "m" for a file that does not say, or says it wrongly.
        fps: Samples a second, for a file that does not say.
        up: "x", "y" or "z", the axis that points up; default: what the file says, else "y".
        check: Refuse a take whose markers are no face in these units while they are one in others.

    Raises:
        InputError: not there, not that format, no frame, no label, or no marker seen anywhere (exit 3).
        RequestError: units or rate are not said anywhere or cannot be right, or the suffix is unknown (exit 2).
    """
    path = Path(path)
    found: Recorded = _module(path).read(_there(path))
    if not len(found.positions):
        raise InputError(f"{path.name} is an empty take: it has no frames", "export the take again, or pick another")
    if not len(found.names):
        raise InputError(
            f"{path.name} has no markers", "export the labelled trajectories (points), not only the analogue data"
        )
    names, kept, notes = recorded.named(path, found)
    positions = np.where(np.isfinite(found.positions).all(-1, keepdims=True), found.positions, np.nan)[:, kept]
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(positions).all(-1))
    if not seen.any():
        raise InputError(
            f"{path.name}: no marker is seen in any of its {len(positions)} frames, every position is missing",
            "reconstruct and label the take, then export it again",
        )
    check = check and path.suffix.lower() != ".json"  # a stage's own file: centimetres by its schema
    unit = recorded.unit_to_use(path, replace(found, positions=positions), units, check)
    ever = np.asarray(seen.any(0)).tolist()
    never = [name for name, there in zip(names, ever, strict=True) if not there]
    notes += (f"{path.name}: never seen in this take: {', '.join(never)}",) if never else ()
    rate = rate_to_use(path, found, fps)
    scaled = recorded.centimetres(recorded.y_up(positions, up or found.up or "y"), unit)
    tensor = torch.from_numpy(np.ascontiguousarray(scaled, dtype=np.float64))
    return Markers(names, tensor, rate, float(found.start), found.timecode, float(found.step), found.notes + notes)


def save_markers(markers: Markers, path: str | Path) -> None:
    """Write a take; the suffix says how. The file appears whole or not at all.

    C3D and USD hold float32, as millimetres and centimetres; JSON and CSV give float64 back bit for bit.

    Raises:
        InputError: the take has no frames, or the package for the format is missing.
        RequestError: the suffix is unknown, or the format cannot hold the take.
        OSError: the folder is missing or not writable.
    """
    if not len(markers.positions):
        raise InputError("the take has no frames to write", "give a take with samples")
    _module(Path(path)).write(markers, Path(path))


def _module(path: Path) -> ModuleType:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise RequestError(f"{path.name} is no marker file by its name", f"it ends in {', '.join(READERS)}")
    return import_module(f"sfumato.face.{reader}")


def _there(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path} is not there", "give the path of a take: .c3d, .trc, .csv, .usd or .json")
    return path
