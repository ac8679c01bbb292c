"""What known pixels say about the pixels around them: colour, roughness and range, everywhere in the frame.

Each function takes an image (C, H, W), a mask (1, H, W) of 0 and 1 that says where it may be believed, and returns
values for every pixel, near ones from near known pixels, far ones from a wider view.
"""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, interpolate, max_pool2d, pad


def shrink(x: Tensor, height: int, width: int) -> Tensor:
    """Average (C, H, W) over the footprint of each pixel of a smaller grid; x itself if the size is the same."""
    return x if x.shape[-2:] == (height, width) else adaptive_avg_pool2d(x[None], (height, width))[0]


def grow(x: Tensor, height: int, width: int) -> Tensor:
    """Bilinear (C, h, w) -> (C, height, width), pixel corners aligned with the frame's corners."""
    return interpolate(x[None], (height, width), mode="bilinear", align_corners=False)[0]


def spread(x: Tensor, weight: Tensor) -> Tensor:
    """Fill x (C, H, W) smoothly from where its weight (1, H, W), 0..1, is positive. Push-pull (Gortler et al. 1996).

    Where the weight is 1, x comes back as it is; where it is 0, a mean over the nearest weighted pixels; zeros if no
    weight is positive.
    """
    height, width = x.shape[-2:]
    if height * width == 1:
        return x * (weight > 0)
    low_size = ((height + 1) // 2, (width + 1) // 2)
    low_weight = shrink(weight, *low_size)
    low = spread(shrink(x * weight, *low_size) / low_weight.clamp(min=1e-6), (4 * low_weight).clamp(max=1))
    return torch.lerp(grow(low, height, width), x, weight)


def roughness(x: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of neighbouring known pixels, over channels and the four directions, (1, H, W)."""
    across, across_known = (x[:, :, 1:] - x[:, :, :-1]).square().mean(0, True), mask[:, :, 1:] * mask[:, :, :-1]
    down, down_known = (x[:, 1:] - x[:, :-1]).square().mean(0, True), mask[:, 1:] * mask[:, :-1]
    total = pad(across * across_known, (0, 1)) + pad(down * down_known, (0, 0, 0, 1))
    count = pad(across_known, (0, 1)) + pad(down_known, (0, 0, 0, 1))
    return spread(total / count.clamp(min=1), (count > 0).float())


def local_maximum(x: Tensor, mask: Tensor, cell: int) -> Tensor:
    """The largest known value per channel within about `cell` pixels, (C, H, W); 0 where nothing at all is known."""
    height, width = x.shape[-2:]
    size = (-(-height // cell), -(-width // cell))
    lowest = torch.finfo(x.dtype).min
    highest = adaptive_max_pool2d(torch.where(mask > 0, x, lowest)[None], size)
    highest = max_pool2d(highest, 3, 1, 1)[0]
    found = (highest[:1] > lowest).to(x.dtype)
    return grow(spread(torch.where(found > 0, highest, 0.0), found), height, width)


def local_colour(x: Tensor, mask: Tensor, cell: int) -> tuple[Tensor, Tensor]:
    """Mean and variance per channel of the known pixels within about `cell` pixels, two (C, H, W)."""
    height, width = x.shape[-2:]
    size = (-(-height // cell), -(-width // cell))

    def around(y: Tensor) -> Tensor:
        return avg_pool2d(shrink(y, *size)[None], 3, 1, 1)[0]

    count = around(mask)
    found = (count > 1e-3).to(x.dtype)
    mean = around(x * mask) / count.clamp(min=1e-3)
    variance = (around(x * x * mask) / count.clamp(min=1e-3) - mean * mean).clamp(min=0)
    return grow(spread(mean * found, found), height, width), grow(spread(variance * found, found), height, width)


def overall_colour(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance per channel of all known pixels, two (C, 1, 1)."""
    count = mask.sum().clamp(min=1)
    mean = (x * mask).sum((1, 2), keepdim=True) / count
    return mean, ((x - mean).square() * mask).sum((1, 2), keepdim=True) / count
