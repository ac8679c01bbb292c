"""What rig files have in common: a mesh, and what it becomes when one control is at 1 or between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError, RequestError
from sfumato.face.recorded import CENTIMETRES, unit_of

Array = NDArray[np.float64]
HEAD = (8.0, 90.0)  # centimetres: the diagonal of a mesh from a mask of a child to a head with shoulders


@dataclass(frozen=True)
class Shapes:
    """A rig of blend shapes as its file has it, in centimetres, Y up.

    controls: K names.
    neutral: (V, 3) float64.
    faces: (T, 3) int64 triangles.
    deltas: (K, V, 3) float64, what is added with a control at 1.
    between: For a control's row, (value, (V, 3) what is added there) of shapes before it is at 1.
    regions: Vertex indices by name, where the file knows them.
    """

    controls: tuple[str, ...]
    neutral: Array
    faces: NDArray[np.int64]
    deltas: Array
    between: tuple[tuple[int, float, Array], ...] = ()
    regions: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


def checked(path: Path, shapes: Shapes) -> Shapes:
    """The same, if a solver can use it.

    Raises:
        InputError: no shapes, no triangles, a name twice, numbers that are not finite, or shapes that move nothing.
    """
    where = path.name
    if not shapes.controls:
        raise InputError(f"{where} has no shapes: nothing in it can be driven", "export the head with its blend shapes")
    if not len(shapes.faces):
        raise InputError(f"{where} has no triangles", "export the mesh, not only its points")
    twice = [name for name in dict.fromkeys(shapes.controls) if shapes.controls.count(name) > 1]
    if twice:
        raise InputError(f"{where}: the shape {twice[0]!r} is there more than once", "give each shape its own name")
    if not (np.isfinite(shapes.neutral).all() and np.isfinite(shapes.deltas).all()):
        raise InputError(f"{where} has vertices that are no finite numbers", "export it again")
    if not shapes.deltas.any():
        raise InputError(
            f"{where}: none of its {len(shapes.controls)} shapes moves a vertex", "export the shapes, not copies"
        )
    return shapes


def scale_to_centimetres(path: Path, neutral: Array, units: str | None, own: str = "cm") -> float:
    """What to multiply by. A file that has no units is taken as `own` where that makes a head.

    Raises:
        RequestError: that makes no head; the unit that does is named.
    """
    if units:
        return CENTIMETRES[unit_of(units, path.name)]
    across = float(np.linalg.norm(np.ptp(neutral, axis=0))) if len(neutral) else 0.0
    if HEAD[0] <= across * CENTIMETRES[own] <= HEAD[1]:
        return CENTIMETRES[own]
    fits = [unit for unit in ("mm", "cm", "m") if HEAD[0] <= across * CENTIMETRES[unit] <= HEAD[1]]
    hint = f"its numbers look like {fits[0]}: " if fits else "is more than a head in it? "
    what = f"{path.name}: in {own} this rig is {across * CENTIMETRES[own]:.3g} cm across, which is no head"
    raise RequestError(what, f"{hint}export the head in {own}")


def fan(polygons: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Triangles of polygons: a quad (a, b, c, d) is (a, b, c) and (a, c, d)."""
    triangles = [(face[0], face[i], face[i + 1]) for face in polygons for i in range(1, len(face) - 1)]
    return np.array(triangles, dtype=np.int64).reshape(-1, 3)


def joined(parts: Sequence[Shapes]) -> Shapes:
    """Meshes of one head as one: controls of the same name drive all."""
    if len(parts) == 1:
        return parts[0]
    controls = tuple(dict.fromkeys(name for part in parts for name in part.controls))
    starts = np.cumsum([0, *(len(part.neutral) for part in parts)])
    deltas = np.zeros((len(controls), int(starts[-1]), 3))
    between: dict[tuple[int, float], Array] = {}
    for part, first in zip(parts, starts[:-1], strict=True):
        span = slice(int(first), int(first) + len(part.neutral))
        rows = [controls.index(name) for name in part.controls]
        deltas[rows, span] = part.deltas
        for row, value, delta in part.between:
            between.setdefault((rows[row], value), np.zeros((int(starts[-1]), 3)))[span] = delta
    return Shapes(
        controls,
        np.concatenate([part.neutral for part in parts]),
        np.concatenate([part.faces + first for part, first in zip(parts, starts[:-1], strict=True)]),
        deltas,
        tuple((row, value, delta) for (row, value), delta in between.items()),
    )
