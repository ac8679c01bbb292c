"""The matting Laplacian: in a small window, colours of foreground and background lie on two lines."""

import torch
from torch import Tensor

from sfumato.shapes import expect

CHUNK = 1 << 18  # windows worked on at once: bounds the memory at any picture size


def symmetric_inverse(m: Tensor) -> Tensor:
    """Inverse of symmetric positive definite 3 x 3 matrices, (N, 3, 3), by cofactors."""
    a, b, c = m[:, 0, 0], m[:, 0, 1], m[:, 0, 2]
    d, e, f = m[:, 1, 1], m[:, 1, 2], m[:, 2, 2]
    aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    dd, ee, ff = a * f - c * c, b * c - a * e, a * d - b * b
    det = (a * aa + b * bb + c * cc).clamp_min(torch.finfo(m.dtype).tiny)
    rows = torch.stack([aa, bb, cc, bb, dd, ee, cc, ee, ff], dim=1)
    return (rows / det[:, None]).view(-1, 3, 3)


def matting_laplacian(image: Tensor, unknown: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """The matting Laplacian over 3 x 3 windows, for the unknown pixels of a stack of pictures.

    Levin, Lischinski, Weiss, "A Closed-Form Solution to Natural Image Matting", 2008, eq. (12):
    L_ij = sum over windows k holding i and j of  delta_ij - 1/9 (1 + (I_i - m_k)^T (S_k + eps/9 1)^-1 (I_j - m_k)).
    Only windows that hold an unknown pixel are visited, so the cost follows the unknown band, not the frame.

    Args:
        image: (T, 3, H, W) float32, finite, in the light where compositing holds. H, W >= 3.
        unknown: (T, H, W) bool.
        epsilon: Regularisation of the colour covariance, in squared units of the picture.

    Returns:
        rows, columns: int64 (N,) pixel indices into the flattened (T, H, W); rows are unknown pixels.
        values: float32 (N,). Entries at the same place add up.
    """
    n = expect("image", image, "T C H W", C=3)
    width = n["W"]
    near = torch.nn.functional.max_pool2d(unknown[:, None].float(), 3, 1, 1)[:, 0] > 0
    inside = torch.zeros_like(near)
    inside[:, 1:-1, 1:-1] = True
    centres = torch.nonzero((near & inside).flatten())[:, 0]
    dy, dx = torch.meshgrid(torch.arange(-1, 2), torch.arange(-1, 2), indexing="ij")
    around = (dy * width + dx).flatten().to(image.device)
    colours = image.permute(0, 2, 3, 1).reshape(-1, 3)
    flat = unknown.flatten()
    # A pair of pixels meets in up to nine windows: adding them up by their offset keeps 25 values a row, not 81.
    offsets = (around[None, :] - around[:, None]).flatten()
    steps = (dy.flatten()[None] - dy.flatten()[:, None]).flatten().to(image.device)
    slot = (steps + 2) * 5 + (offsets - steps * width) + 2
    place = torch.cumsum(flat, 0) - 1
    count = int(flat.sum())
    stencil = torch.zeros(count * 25, device=image.device)
    for chunk in torch.split(centres, CHUNK):
        pixels = chunk[:, None] + around
        c = colours[pixels].double()  # a window on one colour line has a covariance that float32 cannot invert
        c = c - c.mean(1, keepdim=True)
        covariance = c.transpose(1, 2) @ c / 9 + torch.eye(3, dtype=c.dtype, device=c.device) * (epsilon / 9)
        affinity = (1 + c @ symmetric_inverse(covariance) @ c.transpose(1, 2)) / 9
        values = (torch.eye(9, device=c.device) - affinity).float().reshape(-1, 81)
        rows = pixels.repeat_interleave(9, dim=1)
        keep = flat[rows]
        target = place[rows] * 25 + slot
        stencil.index_add_(0, target[keep], values[keep])
    pixels = torch.nonzero(flat)[:, 0]
    reach = torch.arange(25, device=image.device)
    columns = pixels[:, None] + (reach // 5 - 2) * width + reach % 5 - 2
    rows = pixels[:, None].expand(-1, 25)
    kept = stencil.view(-1, 25) != 0
    return rows[kept], columns[kept], stencil.view(-1, 25)[kept]
