"""A rig as UsdSkel, with or without a performance: blend shapes with in-betweens and a jaw joint.

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

from sfumato.face.curves import Curves
from sfumato.face.curves_usd import author
from sfumato.face.rig import NativeRig
from sfumato.face.rig_shapes import Array
from sfumato.face.usd_stage import pxr, write_stage

ROOT = "/Face"
JOINTS = ("head", "head/jaw")
TIMES = "*"  # between the controls in the name of a combination's shape


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
    _, turn, slide = rig.jaw_motion(curves.values)
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
