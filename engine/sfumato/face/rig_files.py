"""Rigs from files and into them: our own npz, ICT-FaceKit as OBJ folder or npz, glTF, UsdSkel; to npz and USD."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sfumato.errors import InputError, RequestError
from sfumato.face.rig import NativeRig, Rig
from sfumato.face.rig_shapes import Shapes, checked

if TYPE_CHECKING:
    from sfumato.face.curves import Curves

USD = (".usd", ".usda", ".usdc")
READ = "a folder of .obj, or a file that ends in .npz, .glb, .gltf, .usd, .usda, .usdc or .usdz"


def load_rig(path: str | Path, units: str | None = None) -> NativeRig:
    """Read a rig; centimetres, Y up.

    Args:
        path: A folder of OBJ files in the layout of ICT-FaceKit; an .npz of ours or of ICT-FaceKit's arrays; glTF with
            morph targets; USD with blend shapes.
        units: Of an OBJ or glTF file; default: centimetres, metres, as long as that makes a head.

    Raises:
        InputError: not there, not that format, or no shapes in it (exit 3).
        RequestError: the suffix is unknown, or the head has no size a head has (exit 2).
    """
    path, suffix = Path(path), Path(path).suffix.lower()
    if not path.exists():
        raise InputError(f"{path} is not there", f"give a rig: {READ}")
    if path.is_dir():
        from sfumato.face import rig_obj

        return native(checked(path, rig_obj.read(path, units)))
    if suffix == ".npz":
        from sfumato.face import rig_npz

        return rig_npz.read(path)
    if suffix in (".glb", ".gltf"):
        from sfumato.face import rig_gltf

        return native(checked(path, rig_gltf.read(path, units)))
    if suffix in (*USD, ".usdz"):
        from sfumato.face import rig_usd

        return rig_usd.read(path)
    raise RequestError(f"{path.name} is no rig by its name", f"give {READ}")


def save_rig(rig: Rig, path: str | Path, curves: Curves | None = None) -> None:
    """Write a rig as .npz, with every bit, or as USD, with float32; the file appears whole or not at all.

    curves: A performance to put onto it; USD only.

    Raises:
        RequestError: the suffix is unknown, the rig is no NativeRig, or an .npz is asked to hold a performance.
        OSError: the folder is missing or not writable.
    """
    path = Path(path)
    if not isinstance(rig, NativeRig):
        raise RequestError(
            "only a rig of shapes can be written, this one is computed elsewhere", "save it from its program"
        )
    if path.suffix.lower() == ".npz" and curves is None:
        from sfumato.face import rig_npz

        rig_npz.write(rig, path)
    elif path.suffix.lower() in USD:
        from sfumato.face import rig_usd_write

        rig_usd_write.write(rig, path, curves)
    else:
        raise RequestError(
            f"{path.name}: a rig is written as .npz, or with or without curves as USD", f"{', '.join(USD)}"
        )


def native(shapes: Shapes) -> NativeRig:
    """The evaluator for what a file holds."""
    return NativeRig(
        shapes.controls,
        torch.from_numpy(np.ascontiguousarray(shapes.neutral)),
        torch.from_numpy(np.ascontiguousarray(shapes.faces)),
        torch.from_numpy(np.ascontiguousarray(shapes.deltas)),
        regions={name: torch.from_numpy(rows) for name, rows in shapes.regions.items()},
        between=tuple((row, value, torch.from_numpy(delta)) for row, value, delta in shapes.between),
    )
