"""Rigs as arrays: sfumato.rig/1, which keeps every bit, and the arrays of ICT-FaceKit."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfumato.atomic import write_bytes
from sfumato.errors import InputError
from sfumato.face.binding import Binding
from sfumato.face.rig import Hinge, NativeRig
from sfumato.face.rig_shapes import Shapes, checked, fan

SCHEMA = "sfumato.rig/1"
ICT = ("neutral", "expr", "expr_names", "quads")
WANTED = ("controls", "neutral", "faces", "deltas", "lower", "upper")
Arrays = Mapping[str, NDArray[Any]]


def read(path: Path) -> NativeRig:
    """Read either.

    Raises:
        InputError: no npz, arrays missing or of shapes that do not fit, or nothing that moves.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile, AttributeError) as error:
        raise InputError(f"{path.name} is no npz of arrays: {error}", "was it cut off? write the rig again") from None
    if all(name in arrays for name in ICT):
        from sfumato.face.rig_files import native

        return native(checked(path, _ict(path, arrays)))
    if str(arrays.get("schema", "")) != SCHEMA:
        raise InputError(
            f"{path.name} is no rig of {SCHEMA}", f"it has {', '.join(arrays) or 'nothing'}; write one with save_rig"
        )
    lost = [name for name in WANTED if name not in arrays]
    if lost:
        raise InputError(f"{path.name} has no {lost[0]}", "write the rig again")
    try:
        return _rig(path, arrays)
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path.name}: its arrays do not fit each other ({error})", "write the rig again") from None


def _rig(path: Path, arrays: Arrays) -> NativeRig:
    names = tuple(str(name) for name in arrays["controls"])
    checked(path, Shapes(names, arrays["neutral"], arrays["faces"], arrays["deltas"]))
    double = {key: torch.from_numpy(value) for key, value in arrays.items() if value.dtype.kind in "fi"}
    rows = arrays.get("combination_rows", np.zeros((0, 2), dtype=np.int64))
    return NativeRig(
        names,
        double["neutral"],
        double["faces"],
        double["deltas"],
        double["lower"],
        double["upper"],
        regions={key.removeprefix("region_"): value for key, value in double.items() if key.startswith("region_")},
        between=_between(arrays),
        combinations=tuple(
            (tuple(int(row) for row in line if row >= 0), double["combination_deltas"][i])
            for i, line in enumerate(rows)
        ),
        jaw=_hinge(arrays),
        markers=_markers(arrays),
    )


def _between(arrays: Arrays) -> tuple[tuple[int, float, Tensor], ...]:
    if "between_rows" not in arrays:
        return ()
    rows, values = arrays["between_rows"].tolist(), arrays["between_values"].tolist()
    return tuple(zip(rows, values, torch.from_numpy(arrays["between_deltas"]), strict=True))


def _hinge(arrays: Arrays) -> Hinge | None:
    if "jaw_pivot" not in arrays:
        return None
    turns, slides = (
        tuple((str(name), torch.from_numpy(by)) for name, by in zip(arrays[f"{kind}_names"], arrays[kind], strict=True))
        for kind in ("jaw_turns", "jaw_slides")
    )
    return Hinge(torch.from_numpy(arrays["jaw_pivot"]), torch.from_numpy(arrays["jaw_weights"]), turns, slides)


def _markers(arrays: Arrays) -> Binding | None:
    if "marker_names" not in arrays:
        return None
    names = tuple(str(name) for name in arrays["marker_names"])
    return Binding(names, torch.from_numpy(arrays["marker_corners"]), torch.from_numpy(arrays["marker_weights"]))


def write(rig: NativeRig, path: Path) -> None:
    """Write sfumato.rig/1, compressed."""
    arrays: dict[str, Any] = {"schema": np.array(SCHEMA), "controls": np.array(rig.controls)}
    arrays |= {key: getattr(rig, key).numpy() for key in WANTED[1:]}
    arrays |= {f"region_{name}": rows.numpy() for name, rows in rig.regions.items()}
    if rig.between:
        arrays["between_rows"] = np.array([row for row, _, _ in rig.between])
        arrays["between_values"] = np.array([value for _, value, _ in rig.between])
        arrays["between_deltas"] = torch.stack([delta for _, _, delta in rig.between]).numpy()
    if rig.combinations:
        width = max(len(rows) for rows, _ in rig.combinations)
        padded = [(*rows, *(-1,) * (width - len(rows))) for rows, _ in rig.combinations]
        arrays["combination_rows"] = np.array(padded, dtype=np.int64)
        arrays["combination_deltas"] = torch.stack([delta for _, delta in rig.combinations]).numpy()
    if rig.jaw:
        arrays |= {"jaw_pivot": rig.jaw.pivot.numpy(), "jaw_weights": rig.jaw.weights.numpy()}
        for kind, moves in (("jaw_turns", rig.jaw.turns), ("jaw_slides", rig.jaw.slides)):
            arrays[f"{kind}_names"] = np.array([name for name, _ in moves], dtype=str)
            arrays[kind] = np.array([amount.tolist() for _, amount in moves], dtype=np.float64).reshape(-1, 3)
    if rig.markers:
        arrays["marker_names"] = np.array(rig.markers.names)
        arrays |= {f"marker_{key}": getattr(rig.markers, key).numpy() for key in ("corners", "weights")}
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)
    write_bytes(path, held.getvalue())


def _ict(path: Path, arrays: Arrays) -> Shapes:
    """ICT-FaceKit's arrays, with the expressions and the still vertices that vertex_indices.json beside it names."""
    named = [str(name) for name in arrays["expr_names"]]
    beside = path.with_name("vertex_indices.json")
    try:
        indices = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    except ValueError:
        raise InputError(f"{beside} is not JSON", "take the one that comes with the rig") from None
    controls = [name for name in indices.get("expressions", named) if name in named]
    neutral, expr = arrays["neutral"].astype(np.float64), arrays["expr"].astype(np.float64)
    faces = fan([[corner for corner in face if corner >= 0] for face in arrays["quads"].tolist()])
    still = np.array(indices.get("idx_to_rigid_verts", []), dtype=np.int64)
    regions = {"stable": still[still < len(neutral)]} if len(still) else {}
    return Shapes(tuple(controls), neutral, faces, expr[[named.index(name) for name in controls]], regions=regions)
