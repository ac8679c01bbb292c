"""Markers as USD: a UsdGeomPoints prim with samples over time, or one moving transform for each (Maya's locators)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError
from sfumato.face.rates import exact_fps
from sfumato.face.recorded import Recorded
from sfumato.face.usd_stage import open_stage, pxr, sfumato_data, to_centimetres, write_stage

if TYPE_CHECKING:
    from sfumato.face.markers import Markers


def read(path: Path) -> Recorded:
    """Read the first Points prim that has samples; without one, every transform that moves is a marker of its name.

    Points need names: a string array primvar `names`. A marker is unseen where the bool array primvar `seen` says
    so, where its transform is invisible, or where it is NaN.

    Raises:
        InputError: usd-core is missing, it is no USD file, nothing moves in it, or its points have no names.
    """
    stage = open_stage(path)
    usd = pxr()
    clouds = [prim for prim in stage.Traverse() if prim.IsA(usd.UsdGeom.Points)]
    moving = [prim for prim in clouds if usd.UsdGeom.Points(prim).GetPointsAttr().GetNumTimeSamples()]
    names, times, positions = _cloud(path, moving[0]) if moving else _transforms(path, stage)
    if units_unsaid(stage):
        scaled, unit, up = positions, None, str(usd.UsdGeom.GetStageUpAxis(stage)).lower()
    else:
        scaled, unit, up = positions @ to_centimetres(stage), "cm", "y"
    step = float(np.min(np.diff(times))) if len(times) > 1 else 1.0
    place = np.round((times - times[:1]) / step).astype(int)
    step = float((times[-1] - times[0]) / place[-1]) if len(times) > 1 else 1.0
    if np.abs(times - times[0] - place * step).max() > 1e-3 * step:
        raise InputError(
            f"{path.name}: its samples are not evenly spaced in time", "bake the take at one rate and export"
        )
    grid = np.full((place[-1] + 1, len(names), 3), np.nan)
    grid[place] = scaled
    owner = moving[0] if moving else None
    step = float(sfumato_data(owner, "step") or round(step, 9))
    fps = exact_fps(round(stage.GetTimeCodesPerSecond() / step, 6))
    return Recorded(names, grid, unit, fps, up, float(times[0]), step, sfumato_data(owner, "timecode"))


def units_unsaid(stage: Any) -> bool:
    """Whether nobody authored metersPerUnit: USD's default of 0.01 is then a guess."""
    return not pxr().UsdGeom.StageHasAuthoredMetersPerUnit(stage)


def write(markers: Markers, path: Path) -> None:
    """Write /Markers, a Points prim: float32 centimetres; an unseen marker keeps its last place and `seen` is false."""

    def fill(stage: Any) -> None:
        usd = pxr()
        points = usd.UsdGeom.Points.Define(stage, "/Markers")
        stage.SetDefaultPrim(points.GetPrim())
        primvars = usd.UsdGeom.PrimvarsAPI(points)
        string, boolean = usd.Sdf.ValueTypeNames.StringArray, usd.Sdf.ValueTypeNames.BoolArray
        primvars.CreatePrimvar("names", string, usd.UsdGeom.Tokens.vertex).Set(list(markers.names))
        seen_over_time = primvars.CreatePrimvar("seen", boolean, usd.UsdGeom.Tokens.vertex)
        points.CreateWidthsAttr([0.3]), points.SetWidthsInterpolation(usd.UsdGeom.Tokens.constant)
        points.GetPrim().SetCustomDataByKey("sfumato:step", repr(markers.step))
        points.GetPrim().SetCustomDataByKey("sfumato:timecode", markers.timecode)
        frames = markers.frames
        stage.SetStartTimeCode(frames[0]), stage.SetEndTimeCode(frames[-1])
        attribute = points.CreatePointsAttr()
        seen = markers.seen.numpy()
        for frame, row, there in zip(frames, _held(markers.positions.numpy(), seen), seen, strict=True):
            attribute.Set(usd.Vt.Vec3fArray.FromNumpy(row.astype(np.float32)), frame)
            seen_over_time.Set(usd.Vt.BoolArray.FromNumpy(there), frame)

    write_stage(path, fill, markers.timeline_fps)


def _held(positions: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The last place a marker was seen at; before it was, the first one."""
    held = np.where(seen[..., None], positions, 0.0)
    for k in range(seen.shape[1]):
        there = np.flatnonzero(seen[:, k])
        if len(there):
            held[:, k] = positions[there[np.maximum(np.searchsorted(there, np.arange(len(seen)), "right") - 1, 0)], k]
    return held


def _cloud(path: Path, prim: Any) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    usd = pxr()
    attribute = usd.UsdGeom.Points(prim).GetPointsAttr()
    times = np.array(attribute.GetTimeSamples())
    primvars = usd.UsdGeom.PrimvarsAPI(prim)
    named, seen = primvars.GetPrimvar("names"), primvars.GetPrimvar("seen")
    first = attribute.Get(times[0])
    names = [str(name) for name in named.Get()] if named and named.HasValue() else []
    if len(names) != len(first):
        raise InputError(
            f"{path.name}: {prim.GetPath()} has {len(first)} points and {len(names)} names",
            "write their labels into a string array primvar called names",
        )
    world = usd.UsdGeom.Xformable(prim)
    positions = np.full((len(times), len(names), 3), np.nan)
    for i, time in enumerate(times):
        row = np.array(attribute.Get(time), dtype=np.float64)
        if row.shape != (len(names), 3):
            raise InputError(
                f"{path.name}: {len(row)} points at frame {time:g}, {len(names)} before", "keep all, hide some"
            )
        matrix = np.array(world.ComputeLocalToWorldTransform(time))
        positions[i] = row @ matrix[:3, :3] + matrix[3, :3]
        if seen and seen.HasValue():
            positions[i, ~np.array(seen.Get(time), dtype=bool)] = np.nan
    return names, times, positions


def _transforms(path: Path, stage: Any) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Transforms with samples of their own and no moving child: locators, nulls."""
    usd = pxr()
    moving = [prim for prim in stage.Traverse() if prim.IsA(usd.UsdGeom.Xformable) and _moves(prim)]
    parents = {prim.GetParent().GetPath() for prim in moving}
    leaves = [prim for prim in moving if prim.GetPath() not in parents]
    if not leaves:
        raise InputError(
            f"{path.name}: no points and no transforms move in it",
            "export the markers with animation, one sample a frame",
        )
    times = np.array(sorted({time for prim in leaves for time in usd.UsdGeom.Xformable(prim).GetTimeSamples()}))
    positions = np.full((len(times), len(leaves), 3), np.nan)
    cache = usd.UsdGeom.XformCache()
    for i, time in enumerate(times):
        cache.SetTime(time)
        for k, prim in enumerate(leaves):
            if usd.UsdGeom.Imageable(prim).ComputeVisibility(time) != usd.UsdGeom.Tokens.invisible:
                positions[i, k] = cache.GetLocalToWorldTransform(prim).ExtractTranslation()
    return [prim.GetName() for prim in leaves], times, positions


def _moves(prim: Any) -> bool:
    return bool(pxr().UsdGeom.Xformable(prim).GetTimeSamples())
