"""Motion between two frames, good enough to compare errors along it: coarse-to-fine least squares."""

import torch
from torch import Tensor
from torch.nn import functional

from sfumato.shapes import expect


def estimate_motion(before: Tensor, after: Tensor, finest: int = 400, rounds: int = 4, window: float = 2.5) -> Tensor:
    """Dense motion from `before` to `after`: after(p + v) ~ before(p).

    Lucas and Kanade, "An Iterative Image Registration Technique", 1981, in a pyramid (Bouguet 2001), all channels
    together, the normal equations summed under a Gaussian window and held down by a small prior for no change.

    Args:
        before, after: (C, H, W), finite, linear or coded; values above 1 are compressed by log(1 + x).
        finest: The frame is first reduced by halves until its long side is under this: motion is smoother than hair.
        rounds: Least-squares steps a level.
        window: Sigma of the window in pixels.

    Returns:
        (2, H, W) float32, x right then y down, in pixels. Flat areas take their surroundings' motion.
    """
    size = expect("before", before, "C H W")
    expect("after", after, "C H W", **size)
    pyramid = [tuple(torch.log1p(x.detach().float().cpu().clamp_min(0))[None] for x in (before, after))]
    while min(pyramid[-1][0].shape[-2:]) >= 24:
        pyramid.append(tuple(functional.avg_pool2d(x, 2, ceil_mode=True) for x in pyramid[-1]))
    flow = torch.zeros(1, 2, *pyramid[-1][0].shape[-2:])
    for a, b in reversed(pyramid):
        if flow.shape[-2:] != a.shape[-2:]:
            flow = 2 * functional.interpolate(flow, size=a.shape[-2:], mode="bilinear", align_corners=False)
        if max(a.shape[-2:]) > finest and a.shape != pyramid[-1][0].shape:
            continue
        for _ in range(rounds):
            flow = _refine(a, b, flow, window)
    return flow[0]


def _refine(before: Tensor, after: Tensor, flow: Tensor, window: float) -> Tensor:
    moved, _ = _sample(after, flow)
    dx, dy = (_derivative((before + moved) / 2, axis) for axis in (3, 2))
    dt = moved - before
    products = torch.cat(
        [(u * v).sum(1, keepdim=True) for u, v in ((dx, dx), (dx, dy), (dy, dy), (dx, dt), (dy, dt))], 1
    )
    xx, xy, yy, xt, yt = _blur(products, window).unbind(1)
    prior = 1e-4 + 1e-2 * (xx + yy).mean()
    xx, yy = xx + prior, yy + prior
    determinant = xx * yy - xy * xy
    step = torch.stack([xy * yt - yy * xt, xy * xt - xx * yt], 1) / determinant[:, None]
    return _blur(flow + step.clamp(-2, 2), 1.0)


def _derivative(x: Tensor, axis: int) -> Tensor:
    return torch.gradient(x, dim=axis)[0]


def _blur(x: Tensor, sigma: float) -> Tensor:
    radius = min(max(1, round(2.5 * sigma)), *(n - 1 for n in x.shape[-2:]))
    t = torch.arange(-radius, radius + 1, dtype=x.dtype)
    kernel = torch.exp(-(t**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)
    x = functional.conv2d(functional.pad(x, (radius, radius, 0, 0), mode="replicate"), kernel, groups=x.shape[1])
    return functional.conv2d(
        functional.pad(x, (0, 0, radius, radius), mode="replicate"), kernel.transpose(2, 3), groups=x.shape[1]
    )


def _sample(x: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    height, width = x.shape[-2:]
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    px, py = xs + flow[:, 0].to(x.dtype), ys + flow[:, 1].to(x.dtype)
    grid = torch.stack([2 * px / max(width - 1, 1) - 1, 2 * py / max(height - 1, 1) - 1], -1)
    inside = (px >= 0) & (px <= width - 1) & (py >= 0) & (py <= height - 1)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True), inside


def follow(after: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """`after` looked up where each pixel of the frame before has gone: (C, H, W), and where that is inside the frame.

    Args:
        after: (C, H, W), any float dtype.
        flow: (2, H, W) in pixels, x right then y down.

    Returns:
        (C, H, W) bilinear, and (1, H, W) bool.
    """
    moved, inside = _sample(after[None], flow[None].cpu())
    return moved[0], inside
