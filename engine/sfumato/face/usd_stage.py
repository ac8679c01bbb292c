"""usd-core where it is needed, stages opened and written whole, and their units as centimetres, Y up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.atomic import write_bytes
from sfumato.errors import InputError, RequestError


def pxr() -> Any:
    """The package.

    Raises:
        InputError: usd-core is not installed.
    """
    try:
        import pxr
        from pxr import Gf, Sdf, Usd, UsdGeom, UsdSkel, UsdUtils, Vt  # noqa: F401  (attributes of pxr from here on)
    except ImportError:
        raise InputError("reading and writing USD needs the package usd-core", 'pip install "sfumato[face]"') from None
    return pxr


def open_stage(path: Path) -> Any:
    """A stage.

    Raises:
        InputError: it is no USD file, or usd-core is not installed.
    """
    usd = pxr()
    try:
        return usd.Usd.Stage.Open(str(path))
    except usd.Tf.ErrorException:
        raise InputError(f"{path.name} is no USD file that can be read", "was it cut off? export it again") from None


def write_stage(path: Path, fill: Callable[[Any], None], fps: float) -> None:
    """Make a stage in centimetres, Y up, at a rate, let `fill` author it, and write it whole.

    Raises:
        RequestError: the suffix is .usdz, which is not written.
    """
    if path.suffix.lower() == ".usdz":
        raise RequestError(f"{path.name}: .usdz is read and not written", "write .usd or .usdc and pack it with usdzip")
    usd = pxr()
    with TemporaryDirectory() as folder:
        part = Path(folder, f"stage{path.suffix.lower()}")
        stage = usd.Usd.Stage.CreateNew(str(part))
        usd.UsdGeom.SetStageUpAxis(stage, usd.UsdGeom.Tokens.y)
        usd.UsdGeom.SetStageMetersPerUnit(stage, 0.01)
        stage.SetTimeCodesPerSecond(fps)
        stage.SetFramesPerSecond(fps)
        fill(stage)
        stage.GetRootLayer().Save()
        del stage
        write_bytes(path, part.read_bytes())


def to_centimetres(stage: Any) -> NDArray[np.float64]:
    """(3, 3) that turns a row vector of the stage's units and axes into centimetres, Y up."""
    usd = pxr()
    scale = round(float(usd.UsdGeom.GetStageMetersPerUnit(stage)) * 100.0, 6)  # 0.01 is a float32 in some files
    if usd.UsdGeom.GetStageUpAxis(stage) == usd.UsdGeom.Tokens.z:
        return np.array([[scale, 0, 0], [0, 0, -scale], [0, scale, 0]])
    return np.diag([scale] * 3)


def sfumato_data(prim: Any, key: str, default: str = "") -> str:
    """What a writer of ours left in a prim's custom data."""
    value = prim.GetCustomDataByKey(f"sfumato:{key}") if prim else None
    return default if value is None else str(value)
