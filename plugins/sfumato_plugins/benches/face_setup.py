"""What the face bench measures on: the ICT rig with 140 markers, and performances recorded from real faces.

The folder is laid out like `shared/data/face`: ict_facekit/ict_rig.npz and vertex_indices.json (MIT, USC ICT),
livelink_miller/*.csv (Live Link Face), facegood_solves/facegood_solves.npz. All lengths are centimetres.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

MARKERS = 140
FRONT = (3.0, -8.0, 0.2)  # markers lie further forward than this z, above this y, on skin facing forward more than this
FACE = 9409  # the first vertices of the rig are the face's skin; errors are measured on them
BOTH_SIDES = {"cheekPuff": "cheekPuff", "browInnerUp": "browInnerUp"}  # one control in ARKit, two here


@dataclass(frozen=True)
class Setup:
    """A rig and where its markers are.

    controls: The K controls that are solved for.
    neutral: (V, 3) float64.
    deltas: (K, V, 3) float64.
    identity: (20, V, 3) float64; one standard deviation of how faces differ, by mode.
    triangles: (T, 3) int64.
    spots: (M,) int64; the vertex under each marker on the day the rig was made.
    face: Vertices on which errors are measured, (9409,).
    fitting, rigid: Vertex indices the rig's makers name so.
    lips: (3, 2) vertices of the upper and the lower lip that meet when the mouth is shut.
    corners: Vertices at the two corners of the mouth, (2,).
    """

    controls: tuple[str, ...]
    neutral: Tensor
    deltas: Tensor
    identity: Tensor
    triangles: Tensor
    spots: Tensor
    face: Tensor
    fitting: Tensor
    rigid: Tensor
    lips: Tensor
    corners: Tensor

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the markers."""
        return tuple(f"m{i:03d}" for i in range(len(self.spots)))


def load_setup(folder: str) -> Setup:
    """Read the rig and put 140 markers on it, each as far as can be from those before it.

    Raises:
        InputError: a file is missing.
    """
    import numpy as np
    import torch

    rig = np.load(_there(folder, "ict_facekit", "ict_rig.npz"))
    with open(_there(folder, "ict_facekit", "vertex_indices.json"), encoding="utf-8") as file:
        indices: Mapping[str, Any] = json.load(file)
    named = [str(name) for name in rig["expr_names"]]
    controls = tuple(str(name) for name in indices["expressions"])
    double = {key: torch.from_numpy(rig[key].astype(np.float64)) for key in ("neutral", "expr", "identity20")}
    quads = torch.from_numpy(rig["quads"].astype(np.int64))
    triangles = torch.cat([quads[:, :3], quads[quads[:, 3] >= 0][:, [0, 2, 3]]])
    fitting, landmarks = (torch.tensor(indices[f"idx_to_{name}_verts"]) for name in ("fitting", "landmark"))
    return Setup(
        controls,
        double["neutral"],
        double["expr"][[named.index(name) for name in controls]],
        double["identity20"],
        triangles,
        _spread(double["neutral"], triangles, fitting),
        torch.arange(FACE),
        fitting,
        torch.tensor(indices["idx_to_rigid_verts"]),
        torch.stack([landmarks[[61, 62, 63]], landmarks[[67, 66, 65]]], 1),
        landmarks[[48, 54]],
    )


def miller(folder: str, controls: tuple[str, ...]) -> tuple[Tensor, float]:
    """The Live Link take as weights of the rig's controls: (328, K) float64 and its frames a second."""
    import torch

    with open(_there(folder, "livelink_miller", "MySlate_3.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    columns = {name[:1].lower() + name[1:]: i for i, name in enumerate(rows[0])}
    wanted = [columns[_arkit(name)] for name in controls]
    return torch.tensor([[float(row[i]) for i in wanted] for row in rows[1:]], dtype=torch.float64), 60.0


def facegood(folder: str, controls: tuple[str, ...]) -> tuple[list[Tensor], float]:
    """The takes as weights of the rig's controls, (F, K) float64 each, 10,011 frames in all, and frames a second."""
    import numpy as np
    import torch

    solves = np.load(_there(folder, "facegood_solves", "facegood_solves.npz"))
    columns = {str(name): i for i, name in enumerate(solves["arkit_names"])}
    wanted = [columns[_arkit(name)] for name in controls]
    takes = sorted(name for name in solves.files if name.startswith("arkit_1114"))
    return [torch.from_numpy(solves[name][:, wanted].astype(np.float64)) for name in takes], float(solves["fps"])


def _arkit(control: str) -> str:
    """The rig's name for a control as ARKit has it: browDown_L is browDownLeft."""
    stem = control.split("_")[0]
    return BOTH_SIDES.get(stem) or control.replace("_L", "Left").replace("_R", "Right")


def _spread(neutral: Tensor, triangles: Tensor, fitting: Tensor) -> Tensor:
    """Farthest-point sampling of the front of the face, from the first vertex on."""
    import torch

    depth, height, facing = FRONT
    corner = neutral[triangles]
    across = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normals = torch.zeros_like(neutral).index_add_(0, triangles.reshape(-1), across.repeat_interleave(3, 0))
    forward = normals[:, 2] / normals.norm(dim=1).clamp_min(1e-12)
    front = fitting[(neutral[fitting, 2] > depth) & (neutral[fitting, 1] > height) & (forward[fitting] > facing)]
    points, chosen = neutral[front], [0]
    nearest = (points - points[0]).norm(dim=1)
    while len(chosen) < MARKERS:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).norm(dim=1))
    return front[chosen]


def _there(*parts: str) -> str:
    from sfumato.errors import InputError

    path = os.path.join(*parts)
    if not os.path.isfile(path):
        raise InputError(f"the face bench needs {path}", "give --data a folder laid out like shared/data/face")
    return path
