"""Curves as USD: a UsdSkelAnimation whose blend shape weights are the controls, a sample a frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfumato.errors import InputError
from sfumato.face.curves import Curves
from sfumato.face.rates import exact_fps
from sfumato.face.usd_stage import open_stage, pxr, sfumato_data, write_stage


def read(path: Path, fps: float | None = None) -> Curves:
    """Read the first SkelAnimation that has blend shapes.

    Raises:
        InputError: usd-core is missing, it is no USD file, or it animates no blend shapes.
    """
    stage = open_stage(path)
    usd = pxr()
    for prim in stage.Traverse():
        animation = usd.UsdSkel.Animation(prim)
        if prim.IsA(usd.UsdSkel.Animation) and animation.GetBlendShapesAttr().Get():
            return _curves(path, stage, prim, animation, fps)
    raise InputError(f"{path.name} animates no blend shapes", "export a UsdSkelAnimation with blendShapeWeights")


def _curves(path: Path, stage: Any, prim: Any, animation: Any, fps: float | None) -> Curves:
    weights = animation.GetBlendShapeWeightsAttr()
    names = tuple(str(name) for name in animation.GetBlendShapesAttr().Get())
    times = [float(time) for time in weights.GetTimeSamples()]
    if not times:
        raise InputError(
            f"{path.name}: the weights of {prim.GetPath()} have no samples", "bake the animation and export it"
        )
    exact = prim.GetAttribute("sfumato:values")
    source = exact if exact and exact.GetTimeSamples() == times else weights
    rows = [np.array(source.Get(time), dtype=np.float64) for time in times]
    wrong = [time for time, row in zip(times, rows, strict=True) if len(row) != len(names)]
    if wrong:
        raise InputError(f"{path.name}: frame {wrong[0]:g} has another number of weights than names", "export it again")
    locked = frozenset((float(frame), name) for frame, name in json.loads(sfumato_data(prim, "locked", "[]")))
    about = json.loads(sfumato_data(prim, "about", "{}"))
    rate = exact_fps(fps or stage.GetTimeCodesPerSecond())
    return Curves(names, tuple(times), torch.from_numpy(np.stack(rows)), rate, locked, about)


def write(curves: Curves, path: Path) -> None:
    """Write /Curves; weights are float32 for other programs, the float64 values lie beside them for us.

    Raises:
        InputError: usd-core is missing, or there are no frames.
    """
    if not curves.frames:
        raise InputError("there are no frames to write", "solve the take first")

    def fill(stage: Any) -> None:
        usd = pxr()
        animation = usd.UsdSkel.Animation.Define(stage, "/Curves")
        stage.SetDefaultPrim(animation.GetPrim())
        stage.SetStartTimeCode(curves.frames[0])
        stage.SetEndTimeCode(curves.frames[-1])
        author(animation, curves)

    write_stage(path, fill, curves.fps)


def author(animation: Any, curves: Curves) -> None:
    """Put curves into a UsdSkelAnimation."""
    usd = pxr()
    prim = animation.GetPrim()
    animation.CreateBlendShapesAttr(list(curves.names))
    weights = animation.CreateBlendShapeWeightsAttr()
    exact = prim.CreateAttribute("sfumato:values", usd.Sdf.ValueTypeNames.DoubleArray)
    for frame, row in zip(curves.frames, curves.values.numpy(), strict=True):
        weights.Set(usd.Vt.FloatArray.FromNumpy(row.astype(np.float32)), frame)
        exact.Set(usd.Vt.DoubleArray.FromNumpy(np.ascontiguousarray(row)), frame)
    prim.SetCustomDataByKey("sfumato:locked", json.dumps(sorted(curves.locked)))
    prim.SetCustomDataByKey("sfumato:about", json.dumps(dict(curves.about)))
