"""UsdSkel: a head of blend shapes, in-betweens and a jaw joint, read and written, with or without a performance.

Combination correctives have no place in UsdSkel: each is a blend shape called `a*b`, whose weight in a written
performance is the product; a jaw hinge is a joint. UsdSkelBakeSkinning then gives the mesh of our own evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfumato.errors import InputError
from sfumato.face.binding import Binding
from sfumato.face.curves import Curves
from sfumato.face.curves_usd import author
from sfumato.face.rig import Hinge, NativeRig
from sfumato.face.rig_shapes import Array, Shapes, checked, fan, joined
from sfumato.face.usd_stage import open_stage, pxr, sfumato_data, to_centimetres, write_stage

ROOT = "/Face"
JOINTS = ("head", "head/jaw")
TIMES = "*"


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


def write(rig: NativeRig, path: Path, curves: Curves | None = None) -> None:
    """Write it; with curves also a UsdSkelAnimation that plays them. Controls the curves lack are 0."""

    def fill(stage: Any) -> None:
        usd = pxr()
        root = usd.UsdSkel.Root.Define(stage, ROOT)
        stage.SetDefaultPrim(root.GetPrim())
        _skeleton(stage, rig)
        mesh = _mesh(stage, rig)
        _shapes(stage, mesh, rig)
        _ours(mesh.GetPrim(), rig)
        if curves is not None:
            stage.SetStartTimeCode(curves.frames[0])
            stage.SetEndTimeCode(curves.frames[-1])
            _animation(stage, rig, curves.only(rig.controls))

    write_stage(path, fill, curves.fps if curves is not None else 24.0)


def _skeleton(stage: Any, rig: NativeRig) -> None:
    usd = pxr()
    skeleton = usd.UsdSkel.Skeleton.Define(stage, f"{ROOT}/Skeleton")
    joints = JOINTS if rig.jaw else JOINTS[:1]
    places = [usd.Gf.Matrix4d(1.0)]
    if rig.jaw:
        places.append(usd.Gf.Matrix4d(1.0).SetTranslate(usd.Gf.Vec3d(*rig.jaw.pivot.tolist())))
    skeleton.CreateJointsAttr(joints)
    skeleton.CreateBindTransformsAttr(places)
    skeleton.CreateRestTransformsAttr(places)


def _mesh(stage: Any, rig: NativeRig) -> Any:
    usd = pxr()
    mesh = usd.UsdGeom.Mesh.Define(stage, f"{ROOT}/Mesh")
    centre = _centre(rig)
    points = (rig.neutral.numpy() - centre).astype(np.float32)
    mesh.AddTranslateOp(usd.UsdGeom.XformOp.PrecisionDouble).Set(usd.Gf.Vec3d(*centre.tolist()))
    mesh.CreatePointsAttr(usd.Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateFaceVertexCountsAttr([3] * len(rig.faces))
    mesh.CreateFaceVertexIndicesAttr(rig.faces.flatten().tolist())
    mesh.CreateSubdivisionSchemeAttr(usd.UsdGeom.Tokens.none)
    mesh.CreateExtentAttr([usd.Gf.Vec3f(*points.min(0).tolist()), usd.Gf.Vec3f(*points.max(0).tolist())])
    binding = usd.UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([f"{ROOT}/Skeleton"])
    binding.CreateGeomBindTransformAttr(usd.Gf.Matrix4d(1.0).SetTranslate(usd.Gf.Vec3d(*centre.tolist())))
    if rig.jaw:
        share = rig.jaw.weights.numpy()
        both = np.stack([1.0 - share, share], 1).astype(np.float32)
        binding.CreateJointIndicesPrimvar(False, 2).Set([0, 1] * len(points))
        binding.CreateJointWeightsPrimvar(False, 2).Set(usd.Vt.FloatArray.FromNumpy(both.flatten()))
    return mesh


def _centre(rig: NativeRig) -> Array:
    """Where most moves: points are written from there, so that float32 is finest on lips and lids."""
    much = rig.deltas.square().sum((0, 2))
    place = (rig.neutral * much[:, None]).sum(0) / much.sum().clamp(min=1e-12)
    return np.round(place.numpy(), 1)


def _shapes(stage: Any, mesh: Any, rig: NativeRig) -> None:
    usd = pxr()
    named = list(zip(rig.controls, rig.deltas.numpy(), strict=True)) + [
        (TIMES.join(rig.controls[row] for row in rows), delta.numpy()) for rows, delta in rig.combinations
    ]
    paths = []
    for i, (name, delta) in enumerate(named):
        inner = [(value, d.numpy()) for row, value, d in rig.between if row == i]
        moved = np.flatnonzero(np.any([d.any(1) for d in (delta, *(d for _, d in inner))], axis=0))
        moved = moved if len(moved) else np.array([0])  # no indices at all would mean every point
        where = f"{mesh.GetPath()}/s{i:03d}_{usd.Tf.MakeValidIdentifier(name)}"
        shape = usd.UsdSkel.BlendShape.Define(stage, where)
        shape.CreatePointIndicesAttr(moved.tolist())
        shape.CreateOffsetsAttr(_vectors(delta[moved]))
        for value, offsets in inner:
            between = shape.CreateInbetween(f"at_{round(value * 1000):04d}")
            between.SetWeight(value)
            between.SetOffsets(_vectors(offsets[moved]))
        paths.append(where)
    binding = usd.UsdSkel.BindingAPI(mesh.GetPrim())
    binding.CreateBlendShapesAttr([name for name, _ in named])
    binding.CreateBlendShapeTargetsRel().SetTargets(paths)


def _vectors(rows: Array) -> Any:
    return pxr().Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(rows, dtype=np.float32))


def _ours(prim: Any, rig: NativeRig) -> None:
    types = pxr().Sdf.ValueTypeNames
    said: dict[str, Any] = {"controls": rig.controls, "lower": rig.lower.tolist(), "upper": rig.upper.tolist()}
    said["regions"] = list(rig.regions)
    for name, rows in rig.regions.items():
        prim.CreateAttribute(f"sfumato:region:{name}", types.IntArray).Set(rows.tolist())
    if rig.jaw:
        moves = {key: [(name, by.tolist()) for name, by in getattr(rig.jaw, key)] for key in ("turns", "slides")}
        said["jaw"] = {"pivot": rig.jaw.pivot.tolist(), **moves}
        prim.CreateAttribute("sfumato:jawWeights", types.DoubleArray).Set(rig.jaw.weights.tolist())
    if rig.markers:
        said["markers"] = rig.markers.names
        prim.CreateAttribute("sfumato:markerCorners", types.IntArray).Set(rig.markers.corners.flatten().tolist())
        prim.CreateAttribute("sfumato:markerWeights", types.DoubleArray).Set(rig.markers.weights.flatten().tolist())
    prim.SetCustomDataByKey("sfumato:rig", json.dumps(said))


def _animation(stage: Any, rig: NativeRig, curves: Curves) -> None:
    usd = pxr()
    animation = usd.UsdSkel.Animation.Define(stage, f"{ROOT}/Animation")
    products = [curves.values[:, list(rows)].clamp(min=0.0).prod(1) for rows, _ in rig.combinations]
    names = (*curves.names, *(TIMES.join(rig.controls[row] for row in rows) for rows, _ in rig.combinations))
    author(animation, Curves(names, curves.frames, torch.stack([*curves.values.unbind(1), *products], 1), curves.fps))
    skeleton = stage.GetPrimAtPath(f"{ROOT}/Skeleton")
    usd.UsdSkel.BindingAPI.Apply(skeleton).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    if rig.jaw is None:
        return
    turn, slide = rig._jaw(curves.values)
    animation.CreateJointsAttr([JOINTS[1]])
    animation.CreateScalesAttr([usd.Gf.Vec3h(1.0)])
    rotations, translations = animation.CreateRotationsAttr(), animation.CreateTranslationsAttr()
    for frame, matrix, shift in zip(curves.frames, turn.tolist(), (slide + rig.jaw.pivot).tolist(), strict=True):
        rotations.Set([_quaternion(matrix)], frame)
        translations.Set([usd.Gf.Vec3f(*shift)], frame)


def _quaternion(matrix: Sequence[Sequence[float]]) -> Any:
    """USD multiplies row vectors, so its matrix is the transpose of ours."""
    usd = pxr()
    rows = [value for column in zip(*matrix, strict=True) for value in column]
    return usd.Gf.Quatf(usd.Gf.Matrix3d(*rows).ExtractRotation().GetQuat())
