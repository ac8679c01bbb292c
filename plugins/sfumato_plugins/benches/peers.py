"""The peers, through PyMatting (Germer et al., 2020): each gets the settings that are best for it.

On photographs PyMatting's defaults on coded values. On linear plates its default epsilon of 1e-7 can break the
incomplete Cholesky on flat or very bright regions, and up to 10,000 iterations burn without result: at most 1500
everywhere, epsilon 1e-5 on clips. Measured, MSE x 1e3 with epsilon 1e-7 / 1e-6 / 1e-5: beachball 2.30 / 2.39 / 2.23,
leopard 25.1 / 25.1 / 25.3, leaves 2.36 / 2.45 / 3.54 (so a linear still keeps 1e-7). Exposure did not matter.
"""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sfumato_plugins.benches.cases import Case, Frame

if TYPE_CHECKING:
    from torch import Tensor

STILLS = ("closed-form", "knn", "lbdm")
CLIPS = ("closed-form", "cf-srgb")  # knn and lbdm take 10 to 60 s a frame at native resolution: --full
SLOW = ("knn", "lbdm")


def load() -> ModuleType:
    """PyMatting, or a sentence that says how to get it. Its first import compiles for about a minute.

    Raises:
        RequestError: it is not installed.
    """
    from sfumato.errors import RequestError

    try:
        with contextlib.redirect_stdout(sys.stderr):
            import pymatting
    except ImportError as error:
        raise RequestError(
            "the bench compares with PyMatting, which is not installed here",
            'pip install "sfumato[bench]" (or: pip install pymatting)',
        ) from error
    module: ModuleType = pymatting
    return module


def version() -> str:
    """PyMatting's version, for the record of a row."""
    import importlib.metadata

    return importlib.metadata.version("pymatting")


def methods(case: Case, full: bool) -> tuple[str, ...]:
    """Which peers a case is measured with. On photographs cf-srgb would be closed-form again."""
    if not case.linear:
        return STILLS
    return CLIPS + SLOW if full else CLIPS


def solve(method: str, case: Case, frame: Frame) -> tuple[Tensor, float]:
    """Alpha (1, H, W) 0..1 and the seconds from pixels in memory to alpha in memory."""
    import numpy as np
    import torch

    pymatting = load()
    image = srgb(frame.image) if method == "cf-srgb" and case.linear else frame.image
    values = np.ascontiguousarray(image.permute(1, 2, 0).double().numpy())
    trimap = frame.trimap[0].double().numpy()
    estimate, settings = _estimate(pymatting, method, case)
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        alpha = estimate(values, trimap, **settings)
        seconds = time.perf_counter() - start
    return torch.from_numpy(np.asarray(alpha)).float()[None].clamp(0, 1), seconds


def _estimate(pymatting: ModuleType, method: str, case: Case) -> tuple[Any, dict[str, Any]]:
    iterations: dict[str, Any] = {"cg_kwargs": {"maxiter": 1500}} if case.linear else {}
    if method in ("closed-form", "cf-srgb"):
        guard = {"laplacian_kwargs": {"epsilon": 1e-5}} if case.linear and case.clip else {}
        return pymatting.estimate_alpha_cf, {**iterations, **guard}
    if method == "knn":
        return pymatting.estimate_alpha_knn, iterations
    if method == "lbdm":
        return pymatting.estimate_alpha_lbdm, iterations
    raise ValueError(f"no peer {method}")


def srgb(linear: Tensor) -> Tensor:
    """What an 8-bit tool sees of light: clipped to 0..1 and coded (IEC 61966-2-1). (3, H, W) -> (3, H, W)."""
    x = linear.clamp(0, 1)
    return (12.92 * x).where(x <= 0.0031308, 1.055 * x.clamp_min(1e-9) ** (1 / 2.4) - 0.055)


def foreground(image: Tensor, alpha: Tensor) -> Tensor:
    """Germer's multi-level foreground, (3, H, W) straight, from an image (3, H, W) and alpha (1, H, W)."""
    import numpy as np
    import torch

    values = np.ascontiguousarray(image.permute(1, 2, 0).double().numpy())
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        found = load().estimate_foreground_ml(values, alpha[0].double().numpy())
    return torch.from_numpy(np.asarray(found)).float().permute(2, 0, 1).contiguous()
