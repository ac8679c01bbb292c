"""Fewer keys: straight lines between kept samples that never leave a stated tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sfumato.errors import RequestError
from sfumato.face.curves import Curves


@dataclass(frozen=True)
class Reduced:
    """Which samples of which control are keys.

    curves: As they were.
    keys: For each control the rows of `curves` that are kept, ascending; the first and the last always are.
    tolerance: What no sample is further than from the straight line between keys, in the control's own units.
    """

    curves: Curves
    keys: Mapping[str, tuple[int, ...]]
    tolerance: float

    @property
    def count(self) -> int:
        """Keys of all controls."""
        return sum(map(len, self.keys.values()))

    def played(self) -> Curves:
        """What the keys play back: the same frames, straight between keys; locked values are as they were."""
        frames = np.array(self.curves.frames)
        columns = [
            np.interp(frames, frames[list(rows)], self.curves.of(name).numpy()[list(rows)])
            for name, rows in self.keys.items()
        ]
        values = torch.from_numpy(np.stack(columns, 1)) if columns else self.curves.values
        about = {**self.curves.about, "reduced": {"tolerance": self.tolerance, "keys": self.count}}
        return replace(self.curves, values=values, about=about)

    def save_anim(self, path: str | Path) -> None:
        """Write the keys, and only them, as Maya's .anim.

        Raises:
            RequestError: Maya has no such rate.
        """
        from sfumato.face import curve_files

        curve_files.write(self.curves, Path(path), self.keys)


def reduce(curves: Curves, tolerance: float = 1e-3) -> Reduced:
    """Keep as few keys as a walk from the first to the last finds, each as far from the one before as can be.

    Values of kept keys do not move. From a key, the slopes that pass every later sample within the tolerance are an
    interval that only shrinks; a sample is the next key if the slope to it lies in that interval, and the last such
    sample is taken.

    tolerance: In the units of the controls, at least 0; weights are 0 to 1.

    Locked samples are always keys.

    Raises:
        RequestError: the tolerance is negative or no number.
    """
    if not np.isfinite(tolerance) or tolerance < 0:
        raise RequestError(
            f"a tolerance of {tolerance} keeps no curve", "0 keeps every bend, .002 is not seen on a face"
        )
    frames, fixed = np.array(curves.frames), curves.lock_mask().numpy()
    values = curves.values.numpy()
    keys = {name: _walk(frames, values[:, k], fixed[:, k], tolerance) for k, name in enumerate(curves.names)}
    return Reduced(curves, keys, tolerance)


def _walk(
    frames: NDArray[np.float64], values: NDArray[np.float64], fixed: NDArray[np.bool_], tolerance: float
) -> tuple[int, ...]:
    """Indices of the keys of one control."""
    if len(frames) < 2:
        return tuple(range(len(frames)))
    stops = np.append(np.flatnonzero(fixed), len(frames) - 1)
    kept, at = [0], 0
    while at < len(frames) - 1:
        stop = int(stops[np.searchsorted(stops, at, "right")])
        at = _farthest(frames[at : stop + 1], values[at : stop + 1], tolerance) + at
        kept.append(at)
    return tuple(kept)


def _farthest(frames: NDArray[np.float64], values: NDArray[np.float64], tolerance: float) -> int:
    """The last sample that the first may be joined to; looked for in spans that double, as most are short."""
    best, span = 1, 16
    while True:
        away, rise = frames[1 : span + 1] - frames[0], values[1 : span + 1] - values[0]
        low = np.maximum.accumulate((rise - tolerance) / away)
        high = np.minimum.accumulate((rise + tolerance) / away)
        slope = rise / away
        joined = np.ones(len(slope), dtype=bool)
        joined[1:] = (low[:-1] <= slope[1:]) & (slope[1:] <= high[:-1])
        best = int(np.flatnonzero(joined)[-1]) + 1
        if low[-1] > high[-1] or span >= len(frames) - 1:
            return best
        span *= 2
