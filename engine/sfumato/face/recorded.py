"""What a marker file says of itself, and how it becomes centimetres, Y up, on a known rate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError, RequestError

CENTIMETRES = {"mm": 0.1, "cm": 1.0, "dm": 10.0, "m": 100.0, "in": 2.54, "ft": 30.48}
SPELLED = {
    **{name: name for name in CENTIMETRES},
    **{"millimeter": "mm", "centimeter": "cm", "decimeter": "dm", "meter": "m", "inch": "in", "foot": "ft"},
    **{"millimetre": "mm", "centimetre": "cm", "decimetre": "dm", "metre": "m", "inche": "in", "feet": "ft"},
}
FACE = (4.0, 60.0)  # centimetres across the markers of a face, from a lip set on a child to a creature's
UNLABELLED = re.compile(
    r"(\*|uname|unlabel+ed|unnamed|unidentified|noname|u_?(?=\d))[\s*_:.-]*\d*|[\d_*]*", re.IGNORECASE
)


@dataclass(frozen=True)
class Recorded:
    """A take as its file has it.

    names: One for each marker.
    positions: (F, M, 3) float64 in `units`, NaN where unseen.
    units: A key of CENTIMETRES, or None where the file does not say.
    fps: Samples a second, or None.
    up: "x", "y" or "z", or None.
    start, step: Frame number of the first sample, frames between samples.
    """

    names: Sequence[str]
    positions: NDArray[np.float64]
    units: str | None = None
    fps: float | None = None
    up: str | None = None
    start: float = 0.0
    step: float = 1.0
    timecode: str = ""
    notes: tuple[str, ...] = ()


def unit_of(text: str, where: str) -> str:
    """A key of CENTIMETRES for how a file or a person spells a unit: "Millimeters" is mm.

    Raises:
        RequestError: it is no unit of length that is known here.
    """
    word = text.strip().strip("\x00[]()").lower()
    known = SPELLED.get(word) or SPELLED.get(word.rstrip("s"))
    if known is None:
        raise RequestError(
            f"{where}: {text!r} is no unit of length", f"say one of {', '.join(CENTIMETRES)} with --units"
        )
    return known


def centimetres(positions: NDArray[np.float64], unit: str) -> NDArray[np.float64]:
    """Positions in centimetres; millimetres are divided by 10, which C3D's float32 survives both ways bit for bit."""
    return positions / 10.0 if unit == "mm" else positions * CENTIMETRES[unit]


def y_up(positions: NDArray[np.float64], up: str) -> NDArray[np.float64]:
    """Turn the axis that points up to Y, by a rotation: nothing is mirrored.

    Raises:
        RequestError: `up` is not x, y or z.
    """
    x, y, z = np.moveaxis(positions, -1, 0)
    turned = {"y": (x, y, z), "z": (x, z, -y), "x": (-y, x, z)}.get(up.strip().lower().lstrip("+"))
    if turned is None:
        raise RequestError(f"{up!r} is no axis that points up", "say --up y, z or x")
    return np.stack(turned, axis=-1)


def size(positions: NDArray[np.float64]) -> float:
    """Diagonal of the box around the markers of a frame, the median over frames; 0 where fewer than four are seen."""
    seen = np.isfinite(positions).all(-1)
    full = positions[seen.sum(1) >= max(4, 0.5 * seen.sum(1).max(initial=0))]
    if not len(full):
        return 0.0
    return float(np.median(np.linalg.norm(np.nanmax(full, 1) - np.nanmin(full, 1), axis=-1)))


def likely_unit(across: float) -> str | None:
    """The unit of mm, cm and m in which `across` is the size of a face."""
    fits = [unit for unit in ("mm", "cm", "m") if FACE[0] <= across * CENTIMETRES[unit] <= FACE[1]]
    return fits[0] if fits else None


def unit_to_use(path: Path, found: Recorded, units: str | None, check: bool) -> str:
    """The unit to read a file in: what the person says, else what the file says, if a face can have that size.

    Raises:
        RequestError: nobody says one, or the markers would be no face in it and are one in another unit.
    """
    said, across = units or found.units, size(found.positions)
    likely = likely_unit(across)
    if said is None:
        hint = (
            f"--units {likely} would make the face {across * CENTIMETRES[likely]:.1f} cm" if likely else "give --units"
        )
        raise RequestError(f"{path.name} does not say whether its numbers are mm, cm or m", hint)
    used = unit_of(said, "--units" if units else path.name)
    wide = across * CENTIMETRES[used]
    if check and across and likely and not FACE[0] <= wide <= FACE[1]:
        who = "as asked" if units else "as the file says"
        plain = f"{wide:.0f}" if wide >= 100 else f"{wide:.3g}"
        raise RequestError(
            f"{path.name}: read in {used} {who}, the markers are {plain} cm across, which is no face",
            f"--units {likely} makes it {across * CENTIMETRES[likely]:.1f} cm; keep only the "
            "face markers of a whole body's take",
        )
    return used


def named(path: Path, found: Recorded) -> tuple[tuple[str, ...], list[int], tuple[str, ...]]:
    """Names without the subject they share, the columns that have one, and sentences on what was left out.

    Raises:
        InputError: no marker has a label, or two have the same.
    """
    stripped = [name.strip().strip("\x00") for name in found.names]
    kept = [i for i, name in enumerate(stripped) if not UNLABELLED.fullmatch(name.rpartition(":")[2].strip())]
    if not kept:
        few = ", ".join(repr(name) for name in stripped[:3])
        raise InputError(
            f"{path.name}: none of its {len(stripped)} markers has a label ({few} ...)",
            "label the trajectories in the tracking software and export again",
        )
    subjects = {stripped[i].rpartition(":")[0] for i in kept}
    names = [stripped[i].rpartition(":")[2] if len(subjects) == 1 else stripped[i] for i in kept]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise InputError(
            f"{path.name}: {_few(twice)} {'is a label' if len(twice) == 1 else 'are labels'} of more than one marker",
            "give each trajectory one label and export again",
        )
    left = len(stripped) - len(kept)
    note = (f"{path.name}: {left} of {len(stripped)} trajectories have no label and were left out",) if left else ()
    return tuple(names), kept, note


def missing_sentence(where: str, missing: Sequence[str], there: Sequence[str]) -> tuple[str, str]:
    """What is missing and what to do; names that look alike are offered."""
    alike = [(name, get_close_matches(name, there, 1, 0.6)) for name in missing]
    near = [f"{name} may be {found[0]}" for name, found in alike if found]
    hint = "; ".join(near[:3]) + ": rename, " if near else ""
    return f"{where} has no {_few(missing)}", f"{hint}label them and export again, or bind without them"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
