"""Rigs from UsdSkel: heads of blend shapes with in-betweens, of any program; the jaw and the correctives of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfumato.errors import InputError
from sfumato.face.binding import Binding
from sfumato.face.rig import Hinge, NativeRig
from sfumato.face.rig_shapes import Array, Shapes, checked, fan, joined
from sfumato.face.rig_usd_write import ROOT, TIMES
from sfumato.face.usd_stage import open_stage, pxr, sfumato_data, to_centimetres


def read(path: Path) -> NativeRig:
    """Read every mesh that has blend shapes, in the pose in which it is bound.

    Joints of other programs' rigs are not read: only a jaw that was written by us moves anything.

    Raises:
        InputError: usd-core is missing, it is no USD file, it has no blend shapes, or one does not fit its mesh.
    """
    from sfumato.face.rig_files import native

    stage = open_stage(path)
    usd = pxr()
    meshes = [prim for prim in stage.Traverse() if prim.IsA(usd.UsdGeom.Mesh)]
    parts = [_part(path, stage, prim) for prim in meshes if usd.UsdSkel.BindingAPI(prim).GetBlendShapesAttr().Get()]
    if not parts:
        raise InputError(f"{path.name} has no mesh with blend shapes", "export the head with UsdSkel blend shapes")
    rig = native(checked(path, joined(parts)))
    ours = stage.GetPrimAtPath(f"{ROOT}/Mesh")
    return _with_ours(rig, ours) if sfumato_data(ours, "rig") else rig


def _part(path: Path, stage: Any, prim: Any) -> Shapes:
    usd = pxr()
    mesh, binding = usd.UsdGeom.Mesh(prim), usd.UsdSkel.BindingAPI(prim)
    bound = binding.GetGeomBindTransformAttr()
    world = bound.Get() if bound.HasAuthoredValue() else mesh.ComputeLocalToWorldTransform(usd.Usd.TimeCode.Default())
    matrix, metric = np.array(world, dtype=np.float64), to_centimetres(stage)
    points = np.array(mesh.GetPointsAttr().Get(usd.Usd.TimeCode.EarliestTime()), dtype=np.float64)
    names = [str(name) for name in binding.GetBlendShapesAttr().Get()]
    targets = [stage.GetPrimAtPath(target) for target in binding.GetBlendShapeTargetsRel().GetTargets()]
    if len(names) != len(targets):
        raise InputError(
            f"{path.name}: {prim.GetPath()} names {len(names)} blend shapes and has {len(targets)}", "export it again"
        )
    turn = matrix[:3, :3] @ metric
    deltas = np.zeros((len(names), len(points), 3))
    between = []
    for row, target in enumerate(targets):
        shape = usd.UsdSkel.BlendShape(target)
        indices = np.array(shape.GetPointIndicesAttr().Get() or [], dtype=np.int64)
        deltas[row] = _spread(path, names[row], shape.GetOffsetsAttr().Get(), indices, len(points)) @ turn
        for inner in shape.GetInbetweens():
            delta = _spread(path, names[row], inner.GetOffsets(), indices, len(points)) @ turn
            between.append((row, round(float(inner.GetWeight()), 6), delta))
    counts = np.array(mesh.GetFaceVertexCountsAttr().Get(), dtype=np.int64)
    corners = np.array(mesh.GetFaceVertexIndicesAttr().Get(), dtype=np.int64)
    faces = fan([face.tolist() for face in np.split(corners, np.cumsum(counts)[:-1])])
    return Shapes(tuple(names), (points @ matrix[:3, :3] + matrix[3, :3]) @ metric, faces, deltas, tuple(between))


def _spread(path: Path, name: str, offsets: Any, indices: NDArray[np.int64], count: int) -> Array:
    """Offsets of some points as one for each."""
    given = np.array(offsets if offsets is not None else [], dtype=np.float64).reshape(-1, 3)
    rows = indices if len(indices) else np.arange(count)
    if len(given) != len(rows) or (len(rows) and rows.max() >= count):
        raise InputError(
            f"{path.name}: the blend shape {name} does not fit its mesh of {count} points", "export it again"
        )
    spread = np.zeros((count, 3))
    spread[rows] = given
    return spread


def _with_ours(rig: NativeRig, prim: Any) -> NativeRig:
    """What UsdSkel has no words for: combinations, the jaw's controls, limits, regions, markers."""
    said = json.loads(sfumato_data(prim, "rig"))
    controls = tuple(said["controls"])
    order = [rig.controls.index(name) for name in controls]
    rows = {row: i for i, row in enumerate(order)}
    combinations = [
        (tuple(controls.index(n) for n in name.split(TIMES)), delta)
        for name, delta in zip(rig.controls, rig.deltas, strict=True)
        if name not in controls
    ]

    def ints(name: str) -> Tensor:
        return torch.from_numpy(np.array(prim.GetAttribute(f"sfumato:{name}").Get(), dtype=np.int64))

    def doubles(name: str) -> Tensor:
        return torch.from_numpy(np.array(prim.GetAttribute(f"sfumato:{name}").Get(), dtype=np.float64))

    jaw, markers = None, None
    if "jaw" in said:
        turns, slides = (tuple((n, torch.tensor(v).double()) for n, v in said["jaw"][k]) for k in ("turns", "slides"))
        jaw = Hinge(torch.tensor(said["jaw"]["pivot"]).double(), doubles("jawWeights"), turns, slides)
    if "markers" in said:
        markers = Binding(
            tuple(said["markers"]), ints("markerCorners").reshape(-1, 3), doubles("markerWeights").reshape(-1, 3)
        )
    return NativeRig(
        controls,
        rig.neutral,
        rig.faces,
        rig.deltas[order],
        torch.tensor(said["lower"], dtype=torch.float64),
        torch.tensor(said["upper"], dtype=torch.float64),
        {name: ints(f"region:{name}") for name in said["regions"]},
        tuple((rows[row], value, delta) for row, value, delta in rig.between),
        tuple(combinations),
        jaw,
        markers,
    )
