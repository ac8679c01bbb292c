"""How far a matte is from the truth: the errors of alphamatting.com and videomatting.com, and the plate's own residual.

Numbers are raw (sums and means of squares in alpha units). `score` gives them in the units that tables use.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sfumato.matte.components import largest_component
from sfumato.matte.displacement import estimate_motion, follow
from sfumato.shapes import expect


@dataclass(frozen=True)
class Scores:
    """Errors in the units of the published tables. None where a number is undefined.

    sad, grad, conn: Sums over the unknown region, in thousands, mean over frames.
    mse: Mean over the unknown region x 1e3, mean over frames.
    dtssd: x 100, over the whole frame. None for a still.
    messddt: Sum over the unknown region, in thousands, mean over pairs of frames. None for a still.
    """

    sad: float
    mse: float
    grad: float
    conn: float
    dtssd: float | None
    messddt: float | None


def score(
    alphas: Sequence[Tensor],
    truths: Sequence[Tensor],
    trimaps: Sequence[Tensor],
    guides: Sequence[Tensor] | None = None,
) -> Scores:
    """All errors of a still (one frame) or a shot, each frame (1, H, W), alpha 0..1, trimap 0 / 0.5 / 1.

    Args:
        guides: What the motion for MESSDdt is estimated from, (C, H, W) a frame: the truth's premultiplied colour and
            alpha where there is one. Default: the true alpha.

    Frames of a shot may differ in unknown area; a frame without unknown pixels counts as error 0.
    """
    frames = list(zip(alphas, truths, trimaps, strict=True))

    def mean(error: Callable[[Tensor, Tensor, Tensor], float]) -> float:
        return math.fsum(error(*frame) for frame in frames) / len(frames)

    moving = len(frames) > 1
    return Scores(
        sad=mean(sad) / 1e3,
        mse=mean(mse) * 1e3,
        grad=mean(gradient_error) / 1e3,
        conn=mean(connectivity_error) / 1e3,
        dtssd=dtssd(alphas, truths) * 100 if moving else None,
        messddt=messddt(alphas, truths, trimaps, guides=guides) / 1e3 if moving else None,
    )


def unknown(trimap: Tensor) -> Tensor:
    """Where the trimap does not know, (1, H, W) bool. Tolerant of half precision: everything strictly inside 0..1."""
    return (trimap > 0) & (trimap < 1)


def _checked(alpha: Tensor, truth: Tensor, trimap: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    size = expect("alpha", alpha, "C H W", C=1)
    expect("truth", truth, "C H W", **size)
    expect("trimap", trimap, "C H W", **size)
    return alpha.detach().double().cpu(), truth.detach().double().cpu(), unknown(trimap.detach().cpu())


def sad(alpha: Tensor, truth: Tensor, trimap: Tensor) -> float:
    """Sum of absolute differences over the unknown region."""
    alpha, truth, band = _checked(alpha, truth, trimap)
    return float((alpha - truth).abs()[band].sum())


def mse(alpha: Tensor, truth: Tensor, trimap: Tensor) -> float:
    """Mean squared difference over the unknown region; 0 where there is none."""
    alpha, truth, band = _checked(alpha, truth, trimap)
    return float(((alpha - truth) ** 2)[band].mean()) if bool(band.any()) else 0.0


def gradient_error(alpha: Tensor, truth: Tensor, trimap: Tensor, sigma: float = 1.4) -> float:
    """Squared difference of gradient magnitudes, summed over the unknown region.

    Rhemann et al., "A Perceptually Motivated Online Benchmark for Image Matting", 2009, section 3: derivatives of a
    Gaussian, the kernels normalised to unit L2 norm, edges replicated.
    """
    alpha, truth, band = _checked(alpha, truth, trimap)
    difference = gradient_magnitude(alpha, sigma) - gradient_magnitude(truth, sigma)
    return float((difference**2)[band].sum())


def gradient_magnitude(alpha: Tensor, sigma: float = 1.4) -> Tensor:
    """Length of the Gaussian-derivative gradient, (1, H, W) -> (1, H, W)."""
    # The benchmark cuts the kernel where the Gaussian falls under 1e-2.
    radius = math.ceil(sigma * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * sigma * 1e-2)))
    x = torch.arange(-radius, radius + 1, dtype=alpha.dtype)
    smooth = torch.exp(-(x**2) / (2 * sigma**2))
    derive = x * smooth
    smooth, derive = smooth / smooth.norm(), derive / derive.norm()  # a separable kernel's norm is the product
    padded = functional.pad(alpha[None], (radius,) * 4, mode="replicate")
    across = functional.conv2d(functional.conv2d(padded, derive.view(1, 1, 1, -1)), smooth.view(1, 1, -1, 1))
    down = functional.conv2d(functional.conv2d(padded, smooth.view(1, 1, 1, -1)), derive.view(1, 1, -1, 1))
    return torch.hypot(across, down)[0]


def connectivity_error(
    alpha: Tensor, truth: Tensor, trimap: Tensor, step: float = 0.1, threshold: float = 0.15
) -> float:
    """How differently pixels hang on to the main body, summed over the unknown region.

    Rhemann et al. 2009, section 3: l(p) is the largest threshold at which p belongs to the largest 4-connected region
    where *both* mattes are at least that opaque; phi = 1 - d [d >= 0.15] with d = alpha - l.
    """
    alpha, truth, band = _checked(alpha, truth, trimap)
    both = torch.minimum(alpha, truth)[0].numpy()
    level = connected_level(both, step)
    return float(np.abs(_phi(alpha, level, threshold) - _phi(truth, level, threshold))[band[0].numpy()].sum())


def _phi(alpha: Tensor, level: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    d = alpha[0].numpy() - level
    phi: NDArray[np.float64] = 1 - d * (d >= threshold)
    return phi


def connected_level(opacity: NDArray[np.float64], step: float = 0.1) -> NDArray[np.float64]:
    """Largest multiple of `step` at which each pixel is still in the largest connected region, (H, W), 0..1."""
    count = round(1 / step)
    level = np.ones_like(opacity)
    held = np.ones(opacity.shape, dtype=bool)  # not yet separated at a lower threshold
    for i in range(1, count + 1):
        inside = largest_component(opacity >= i * step)
        level[held & ~inside] = (i - 1) * step
        held &= inside
    return level


def dtssd(alphas: Sequence[Tensor], truths: Sequence[Tensor], regions: Sequence[Tensor] | None = None) -> float:
    """Flicker: mean over t of sqrt(mean over p of ((a_t - a_t-1) - (g_t - g_t-1))^2).

    Erofeev et al., "Perceptually Motivated Benchmark for Video Matting", 2015, normalised by pixels and frames as in
    the tables of RVM. Over the whole frame; with `regions` (trimaps, (1, H, W)) over the unknown region of frame t.

    Raises:
        ValueError: fewer than two frames.
    """
    if len(alphas) < 2:
        raise ValueError("dtSSD compares neighbours in time: it needs two frames or more")
    errors = [a.double().cpu() - g.double().cpu() for a, g in zip(alphas, truths, strict=True)]
    total = []
    for t, (before, after) in enumerate(pairwise(errors), start=1):
        change = (after - before) ** 2
        if regions is not None:
            change = change[unknown(regions[t].cpu())]
        total.append(math.sqrt(float(change.mean())) if change.numel() else 0.0)
    return math.fsum(total) / len(total)


def messddt(
    alphas: Sequence[Tensor],
    truths: Sequence[Tensor],
    trimaps: Sequence[Tensor],
    flows: Sequence[Tensor] | None = None,
    guides: Sequence[Tensor] | None = None,
) -> float:
    """Change of the squared error along the motion, summed over the unknown region, mean over pairs of frames.

    Erofeev et al. 2015: sum over p of |(a_t(p) - g_t(p))^2 - (a_t+1(p + v) - g_t+1(p + v))^2|. Pixels that leave the
    frame are not counted. An error that travels with the object costs nothing here, and does in dtSSD.

    Args:
        flows: Motion v from frame t to t+1 in pixels, (2, H, W) x right and y down, one less than frames. Estimated
            from `guides` ((C, H, W) a frame; default the true alphas) where not given.

    Raises:
        ValueError: fewer than two frames.
    """
    if len(alphas) < 2:
        raise ValueError("MESSDdt compares neighbours in time: it needs two frames or more")
    seen = truths if guides is None else guides
    total = []
    for t in range(len(alphas) - 1):
        flow = estimate_motion(seen[t], seen[t + 1]) if flows is None else flows[t]
        now = (alphas[t].double().cpu() - truths[t].double().cpu()) ** 2
        then = (alphas[t + 1].double().cpu() - truths[t + 1].double().cpu()) ** 2
        moved, inside = follow(then, flow)
        counted = unknown(trimaps[t].cpu()) & inside
        total.append(float((now - moved).abs()[counted].sum()))
    return math.fsum(total) / len(total)


def recomposite_residual(
    image: Tensor, alpha: Tensor, foreground: Tensor, background: Tensor, region: Tensor | None = None
) -> tuple[float, float]:
    """(rms, max) of |I - (aF + (1 - a)B)|, in the plate's own units.

    Args:
        image, foreground, background: (3, H, W), straight (not premultiplied).
        alpha: (1, H, W).
        region: A trimap (1, H, W); only its unknown pixels are counted. Pixels that are not finite never are.
    """
    a = alpha.double()
    difference = (image.double() - (a * foreground.double() + (1 - a) * background.double())).cpu()
    counted = torch.isfinite(difference).all(dim=0, keepdim=True)
    if region is not None:
        counted = counted & unknown(region.cpu())
    if not bool(counted.any()):
        return 0.0, 0.0
    kept = difference[:, counted[0]]
    return float(kept.square().mean().sqrt()), float(kept.abs().max())


def psnr(picture: Tensor, truth: Tensor, trimap: Tensor) -> float:
    """Peak signal to noise in dB of two display-coded pictures 0..1, (3, H, W), over the unknown region."""
    band = unknown(trimap.cpu())[0]
    error = float((picture.double().cpu() - truth.double().cpu())[:, band].square().mean())
    return math.inf if error == 0 else -10 * math.log10(error)
