"""The matting Laplacian: in a small window, colours of foreground and background lie on two lines."""

import itertools

import torch
from torch import Tensor

from sfumato.shapes import expect

CHUNK = 1 << 17  # windows worked on at once: bounds the memory at any picture size


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
        values: float32 (N,), in the order of rows and of columns within a row, one to a place.
    """
    n = expect("image", image, "T C H W", C=3)
    width = n["W"]
    flat = unknown.flatten()
    place = torch.where(flat, torch.cumsum(flat, 0) - 1, int(flat.sum()))  # known pixels share one row, thrown away
    stencil = torch.zeros(25, int(flat.sum()) + 1, device=image.device)
    channels = image.transpose(0, 1).reshape(3, -1)
    around = [(dy, dx, dy * width + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    for centres in torch.split(_centres(unknown), CHUNK):
        # A window on one colour line has a covariance that float32 cannot invert.
        colours = [channels[:, centres + step].double() for *_, step in around]
        mean = torch.stack(colours).mean(0)
        colours = [c - mean for c in colours]
        solved = _solved(colours, epsilon)
        rows = [place[centres + step] for *_, step in around]
        for i, j in itertools.combinations_with_replacement(range(9), 2):
            value = (float(i == j) - (1 + (solved[i] * colours[j]).sum(0)) / 9).float()
            # A pair of pixels meets in up to nine windows: added up by their offset they are 25 values a row, not 81.
            slot = 12 + 5 * (around[j][0] - around[i][0]) + around[j][1] - around[i][1]
            stencil[slot].index_add_(0, rows[i], value)
            if i != j:
                stencil[24 - slot].index_add_(0, rows[j], value)
    values = stencil[:, :-1].t().contiguous()
    reach = torch.arange(25, device=image.device)
    pixels = torch.nonzero(flat)
    kept = values != 0
    columns = pixels + (reach // 5 - 2) * width + reach % 5 - 2
    return pixels.expand(-1, 25)[kept], columns[kept], values[kept]


def _centres(unknown: Tensor) -> Tensor:
    """Pixels (n,) of the flattened (T, H, W) whose window lies in the frame and holds an unknown pixel."""
    near = torch.nn.functional.max_pool2d(unknown[:, None].float(), 3, 1, 1)[:, 0] > 0
    near[:, (0, -1)] = False
    near[:, :, (0, -1)] = False
    return torch.nonzero(near.flatten())[:, 0]


def _solved(colours: list[Tensor], epsilon: float) -> list[Tensor]:
    """(S + eps/9 1)^-1 c for the nine centred colours c, (3, n) each, of every window with covariance S."""
    r, g, b = torch.stack(colours).unbind(1)
    pairs = ((r, r), (r, g), (r, b), (g, g), (g, b), (b, b))
    rr, rg, rb, gg, gb, bb = ((x * y).sum(0) / 9 for x, y in pairs)
    rr, gg, bb = rr + epsilon / 9, gg + epsilon / 9, bb + epsilon / 9
    covariance = torch.stack([rr, rg, rb, rg, gg, gb, rb, gb, bb], 1).view(-1, 3, 3)
    inverse = symmetric_inverse(covariance).permute(1, 2, 0).contiguous()
    return [(inverse * c).sum(1) for c in colours]
