"""Values of named controls over time, and the files they come in: sfumato.curves/1, Live Link Face, Maya, USD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from sfumato.errors import InputError, RequestError, ShapeError
from sfumato.face.json_rows import all_numbers, is_number, plain, read_document, rows_of, write_document
from sfumato.face.rates import exact_fps

SCHEMA = "sfumato.curves/1"
FIELDS = ("schema", "fps", "frames", "names", "values", "locked", "about")
FORMATS = {
    **{".json": "curves", ".csv": "livelink", ".anim": "curve_files"},
    **dict.fromkeys((".usd", ".usda", ".usdc"), "curves_usd"),
}


@dataclass(frozen=True)
class Curves:
    """Values of controls.

    names: K names, each once, without a namespace.
    frames: F numbers on the timeline, ascending; fractions are samples between frames.
    values: (F, K) float64, finite.
    fps: Frames a second of the timeline.
    locked: (frame, name) pairs that no later stage may change.
    about: JSON values that are passed on: take, timecode.
    """

    names: tuple[str, ...]
    frames: tuple[float, ...]
    values: Tensor
    fps: float
    locked: frozenset[tuple[float, str]] = frozenset()
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted, shape = (len(self.frames), len(self.names)), tuple(self.values.shape)
        if shape != wanted or self.values.dtype != torch.float64:
            raise ShapeError(f"values: {wanted} float64 wanted, {shape} {self.values.dtype} given")

    def of(self, name: str) -> Tensor:
        """One control's value at every frame, (F,) float64.

        Raises:
            RequestError: there is no such control.
        """
        if name not in self.names:
            raise RequestError(f"the curves have no {name}", f"they have {', '.join(self.names)}")
        return self.values[:, self.names.index(name)]

    def only(self, names: Sequence[str]) -> Curves:
        """These controls, in this order; those the curves lack are 0."""
        blank = torch.zeros(len(self.frames), dtype=torch.float64)
        columns = [self.values[:, self.names.index(n)] if n in self.names else blank for n in names]
        values = torch.stack(columns, 1) if columns else torch.zeros(len(self.frames), 0, dtype=torch.float64)
        kept = frozenset(pair for pair in self.locked if pair[1] in names)
        return replace(self, names=tuple(names), values=values, locked=kept)

    def lock_mask(self) -> Tensor:
        """(F, K) bool: which values are locked."""
        row = {frame: i for i, frame in enumerate(self.frames)}
        column = {name: i for i, name in enumerate(self.names)}
        mask = torch.zeros(len(self.frames), len(self.names), dtype=torch.bool)
        for frame, name in self.locked:
            mask[row[frame], column[name]] = True
        return mask


def load_curves(path: str | Path, fps: float | None = None) -> Curves:
    """Read curves; the suffix says how: .json sfumato.curves/1, .csv Live Link Face, .anim Maya, .usd .usda .usdc.

    fps: Frames a second, for a Live Link file too short to tell; ignored by files that say it.

    Raises:
        InputError: not there, not that format, or a value that is no finite number (exit 3).
        RequestError: the suffix is unknown (exit 2).
    """
    path = Path(path)
    module = _module(path)
    if not path.is_file():
        raise InputError(f"{path} is not there", f"give the path of curves: {', '.join(FORMATS)}")
    found: Curves = module.read(path, fps)
    return found


def save_curves(curves: Curves, path: str | Path) -> None:
    """Write curves; the suffix says how. The file appears whole or not at all.

    JSON and USD hold everything; Live Link Face and Maya files hold no locks.

    Raises:
        RequestError: the suffix is unknown, or the format has no such rate.
        OSError: the folder is missing or not writable.
    """
    if not torch.isfinite(curves.values).all():
        raise InputError("the curves hold values that are no finite numbers", "solve those frames again")
    _module(Path(path)).write(curves, Path(path))


def read(path: Path, fps: float | None = None) -> Curves:
    """Read sfumato.curves/1.

    Raises:
        InputError: what is wrong with it, with the frame and the name.
    """
    data = read_document(path, SCHEMA, FIELDS)
    rows, frames, names = rows_of(path, data, "values"), data["frames"], data["names"]
    if not frames:
        raise InputError(f"{path.name} is empty: it has no frames", "solve the take again, or give another file")
    for frame, row in zip(frames, rows, strict=True):
        if not all_numbers(row):
            name, value = next((n, v) for n, v in zip(names, row, strict=True) if not is_number(v))
            raise InputError(f"{path.name}: {name} at frame {frame:g} is {value!r}", "a value is a finite number")
    locked = data.get("locked", [])
    known = {(frame, name) for frame in frames for name in names} if locked else set()
    stray = [pair for pair in locked if not isinstance(pair, list) or len(pair) != 2 or tuple(pair) not in known]
    if stray:
        raise InputError(
            f"{path.name}: locked {stray[0]!r} is no [frame, name] of this file", "lock keys that are there"
        )
    values = torch.tensor(rows, dtype=torch.float64).reshape(len(frames), len(names))
    pairs = frozenset((float(frame), name) for frame, name in locked)
    return Curves(tuple(names), tuple(map(float, frames)), values, exact_fps(data["fps"]), pairs, data.get("about", {}))


def write(curves: Curves, path: Path) -> None:
    """Write sfumato.curves/1, a frame a line so that a person can edit it."""
    head = {"schema": SCHEMA, "fps": plain(curves.fps), "frames": [plain(f) for f in curves.frames]}
    locked = [[plain(frame), name] for frame, name in sorted(curves.locked)]
    names = list(curves.names)
    write_document(path, {**head, "names": names}, "values", curves.values.tolist(), curves.about, locked=locked)


def _exact(fps: float) -> float:
    from sfumato.face.rates import exact_fps

    return exact_fps(fps)


def _module(path: Path) -> ModuleType:
    name = FORMATS.get(path.suffix.lower())
    if name is None:
        raise RequestError(f"{path.name} is no file of curves by its name", f"it ends in {', '.join(FORMATS)}")
    return import_module(f"sfumato.face.{name}")
