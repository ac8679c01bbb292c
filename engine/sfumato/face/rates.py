"""Rates of takes: what is meant, what a file says, what its times imply, and which sample a frame number is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError, RequestError
from sfumato.face.recorded import Recorded

NTSC = tuple(n * 1000 / 1001 for n in (24, 30, 48, 60, 120, 240))


def exact_fps(fps: float) -> float:
    """The rate that is meant: 23.98 and 23.976 are 24000/1001; any other number is itself."""
    return next((exact for exact in NTSC if abs(fps - exact) < 0.005), float(fps))


def rate_to_use(path: Path, found: Recorded, fps: float | None) -> float:
    """Samples a second: what the person says, else what the file says.

    Raises:
        RequestError: nobody says one, it is not above 0, or the person and the file differ by more than a rounding.
    """
    if fps is None and found.fps is None:
        raise RequestError(
            f"{path.name} does not say how many samples a second it has", "give --fps, such as 120 or 59.94"
        )
    rate = found.fps if fps is None else fps
    if rate is None or not np.isfinite(rate) or rate <= 0:
        raise RequestError(f"{path.name}: {rate} is no rate", "give --fps, samples a second, such as 120 or 59.94")
    said = found.fps
    if fps is not None and said and abs(exact_fps(fps) - exact_fps(said)) > 0.0011 * said:
        raise RequestError(
            f"{path.name} was sampled {said:.6g} times a second, and --fps says {fps:.6g}",
            "leave --fps out; the rate of the shot belongs to the timeline (--timeline-fps), not to the take",
        )
    return exact_fps(rate)


def agreeing_rate(
    path: Path, said: float | None, times: NDArray[np.float64], places: NDArray[np.int64]
) -> float | None:
    """The rate that a file says, or the one its own times in seconds imply.

    Raises:
        InputError: they differ by more than rounding: a take of 120 exported as 23.976.
    """
    known = np.isfinite(times)
    times, places = times[known], places[known]
    if len(times) < 2 or times[-1] <= times[0] or places[-1] <= places[0]:
        return said
    seconds = float(times[-1] - times[0])
    implied = float(places[-1] - places[0]) / seconds
    if said is None:
        near = min((*NTSC, float(max(1, round(implied)))), key=lambda rate: abs(rate - implied))
        return near if abs(near - implied) < max(4e-4, 1e-3 / seconds) * implied else implied
    if abs(implied - said) > max(0.01, 2e-3 / seconds) * said:
        raise InputError(
            f"{path.name} says {said:.6g} samples a second, and its times are those of {implied:.6g}",
            f"export it again, or correct the rate in the file to {exact_fps(round(implied, 2)):.6g}",
        )
    return said


def places_of(path: Path, frames: NDArray[np.float64], step: float) -> NDArray[np.int64]:
    """Which sample each frame number is, counted from the first.

    Raises:
        InputError: they do not ascend, or lie between samples.
    """
    exact = (frames - frames[:1]) / step
    places = np.round(exact).astype(np.int64)
    if (np.diff(places) <= 0).any():
        at = int(np.argmax(np.diff(places) <= 0))
        what = f"frame {frames[at + 1]:g} comes after frame {frames[at]:g}"
        raise InputError(f"{path.name}: {what}", "frame numbers ascend, each once; was a take appended to another?")
    if (np.abs(exact - places) > 1e-3).any():
        at = int(np.argmax(np.abs(exact - places)))
        raise InputError(f"{path.name}: frame {frames[at]:g} lies between samples", "save the take at one rate")
    return places
