"""One picture and its trimap in, one matte out."""

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sfumato.matte.classical import solve_classical
from sfumato.matte.settings import MatteSettings
from sfumato.report import Report, silent
from sfumato.shapes import expect


@dataclass(frozen=True)
class Matte:
    """What a solve gives back, on the CPU.

    alpha: (1, H, W) float32 in 0..1, exactly 0 and 1 where the trimap is.
    foreground, background: (3, H, W) float32, straight, in the picture's own light.
    confidence: (1, H, W) float32 in 0..1, 1 where the trimap is known.
    stats: Numbers and words for the frame's record: iterations, residual, seconds, device.
    """

    alpha: Tensor
    foreground: Tensor
    background: Tensor
    confidence: Tensor
    stats: dict[str, float | int | str] = field(default_factory=dict)


def solve_matte(
    image: Tensor,
    trimap: Tensor,
    settings: MatteSettings,
    generator: torch.Generator | None = None,
    report: Report = silent,
    *,
    clean_plate: Tensor | None = None,
) -> Matte:
    """Solve I = alpha F + (1 - alpha) B for one picture.

    Args:
        image: (3, H, W) float32, finite, in the light where compositing holds: unclipped scene-linear for plates.
        trimap: (1, H, W) float32 of exactly 0, 0.5 and 1.
        settings: See `preset`.
        generator: Where the prior's first noise comes from; None is seed 0.
        report: Who is told; may raise `Cancelled`.
        clean_plate: (3, H, W) the background, where it is known.

    Raises:
        ShapeError: sizes do not agree.
    """
    n = expect("image", image, "C H W", C=3)
    expect("trimap", trimap, "C H W", C=1, H=n["H"], W=n["W"])
    began = time.perf_counter()
    # A stand-in for colours until exposure and encoding are settled: the picture in units of its own upper range.
    unit = torch.quantile(image.flatten()[:: max(1, image.numel() // 100_000)], 0.95).clamp_min(1e-6)
    picture = (image / unit)[None]
    solved = solve_classical(picture, picture, trimap[None], settings.classical, report)
    from sfumato.matte.foreground import estimate_foreground

    foreground, background = estimate_foreground(image, solved.alpha[0], trimap, background=clean_plate)
    confidence = 1 - (solved.alpha - solved.sampled).abs()[0] * ((trimap > 0) & (trimap < 1))
    stats: dict[str, float | int | str] = {"iterations": solved.iterations, "seconds": time.perf_counter() - began}
    return Matte(solved.alpha[0], foreground, background, confidence, stats)
