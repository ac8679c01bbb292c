"""Distance to a mask, in pixels: the exact Euclidean one, and what growing and shrinking a mask by true discs needs."""

import torch
from torch import Tensor

from sfumato.shapes import expect


def distance_to(mask: Tensor, limit: float) -> Tensor:
    """Euclidean distance from every pixel centre to the nearest True pixel centre, exact up to `limit`.

    Two passes (Saito and Toriwaki 1994): along columns by running maxima, then along rows as the lower envelope of
    parabolas, min over dx of g(x + dx)^2 + dx^2, with |dx| <= limit.

    Args:
        mask: (H, W) bool.
        limit: Pixels. What is farther away, or everything when the mask is empty, gets this value. Time grows with it.

    Returns:
        (H, W) float32, 0 on the mask.
    """
    size = expect("mask", mask, "H W")
    if limit <= 0:
        return torch.zeros(mask.shape, device=mask.device)
    columns = _along_columns(mask, limit)
    reach = min(int(limit), size["W"] - 1)
    squared = columns.square()
    best = squared.clone()
    for dx in range(1, reach + 1):
        torch.minimum(best[:, dx:], squared[:, :-dx] + dx * dx, out=best[:, dx:])
        torch.minimum(best[:, :-dx], squared[:, dx:] + dx * dx, out=best[:, :-dx])
    return best.sqrt_().clamp_(max=limit)


def _along_columns(mask: Tensor, limit: float) -> Tensor:
    """Distance to the nearest True pixel of the same column, at most `limit` (rounded up), (H, W) float32."""
    rows = torch.arange(mask.shape[0], device=mask.device, dtype=torch.int32)[:, None]
    far = 1 << 24
    above = torch.where(mask, rows, -far).cummax(0).values
    below = -torch.where(mask, -rows, -far).flip(0).cummax(0).values.flip(0)
    return torch.minimum(rows - above, below - rows).clamp_(max=int(limit) + 1).float()


def dilate(mask: Tensor, radius: float) -> Tensor:
    """Grow a mask (H, W) bool by a disc of `radius` pixels. 0 leaves it as it is."""
    return distance_to(mask, radius + 1) <= radius if radius > 0 else mask.clone()


def erode(mask: Tensor, radius: float) -> Tensor:
    """Shrink a mask (H, W) bool by a disc of `radius` pixels. Outside the frame counts as inside the mask."""
    return ~dilate(~mask, radius)
