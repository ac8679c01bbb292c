"""A folder of OBJ files in the layout of ICT-FaceKit: a neutral, and a file for each shape by its name.

generic_neutral_mesh.obj (or any one file with neutral in its name), browDown_L.obj, jawOpen.obj ... Files named
identityNNN are other people, not expressions, and are left out. vertex_indices.json, where it is there, tells which
vertices do not move with an expression. OBJ has no units: centimetres if that makes a head.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError
from sfumato.face.rig_shapes import Array, Shapes, fan, scale_to_centimetres

LEFT_OUT = re.compile(r"identity\d*|generic_neutral_mesh", re.IGNORECASE)


def read(folder: Path, units: str | None = None) -> Shapes:
    """Read it.

    Raises:
        InputError: no neutral, two of them, or a shape with another number of vertices than the neutral.
        RequestError: the head has no size a head has.
    """
    files = sorted(folder.glob("*.obj"))
    neutrals = [file for file in files if "neutral" in file.stem.lower()]
    if len(neutrals) != 1:
        what = "no neutral" if not neutrals else f"{len(neutrals)} neutrals ({', '.join(f.name for f in neutrals[:3])})"
        raise InputError(
            f"{folder} has {what}", "name the face at rest generic_neutral_mesh.obj, each shape after its control"
        )
    neutral, polygons = _mesh(neutrals[0])
    shapes = [file for file in files if file not in neutrals and not LEFT_OUT.fullmatch(file.stem)]
    deltas = np.zeros((len(shapes), len(neutral), 3))
    for row, file in enumerate(shapes):
        vertices = _vertices(file, file.read_bytes())
        if len(vertices) != len(neutral):
            raise InputError(
                f"{file.name} has {len(vertices)} vertices and {neutrals[0].name} has {len(neutral)}",
                "export both from one mesh, without reordering, splitting or deleting vertices",
            )
        deltas[row] = vertices - neutral
    scale = scale_to_centimetres(folder, neutral, units)
    names = tuple(file.stem for file in shapes)
    return Shapes(names, neutral * scale, fan(polygons), deltas * scale, regions=_regions(folder, len(neutral)))


def _mesh(file: Path) -> tuple[Array, list[list[int]]]:
    text = file.read_bytes()
    vertices = _vertices(file, text)
    polygons = []
    for line in text.split(b"\n"):
        if line.startswith(b"f "):
            corners = [int(word.split(b"/")[0]) for word in line.split()[1:]]
            polygons.append([corner - 1 if corner > 0 else len(vertices) + corner for corner in corners])
    highest = max((max(face) for face in polygons), default=-1)
    if highest >= len(vertices):
        raise InputError(f"{file.name}: a face uses vertex {highest + 1} of {len(vertices)}", "was the file cut off?")
    return vertices, polygons


def _vertices(file: Path, text: bytes) -> Array:
    try:
        rows = [line.split()[1:4] for line in text.split(b"\n") if line.startswith(b"v ")]
        return np.array(rows, dtype=np.float64).reshape(-1, 3)
    except ValueError:
        raise InputError(f"{file.name} has a vertex that is not three numbers", "was the file cut off?") from None


def _regions(folder: Path, count: int) -> dict[str, NDArray[np.int64]]:
    """Vertices that do not move with an expression, of ICT's list: what a face is stabilised on."""
    for place in (folder, folder.parent):
        file = place / "vertex_indices.json"
        if file.is_file():
            try:
                rigid = np.array(
                    json.loads(file.read_text(encoding="utf-8")).get("idx_to_rigid_verts", []), dtype=np.int64
                )
            except (ValueError, AttributeError):
                raise InputError(
                    f"{file} is no list of vertices by name", "take the one that comes with the rig"
                ) from None
            return {"stable": rigid[(rigid >= 0) & (rigid < count)]} if len(rigid) else {}
    return {}
