"""Pixels that look alike, wherever they are: the non-local part of the classical solve.

After Aksoy, Aydin, Pollefeys, "Designing Effective Inter-Pixel Information Flow for Natural Image Matting", 2017.
"""

import torch
from torch import Tensor

from sfumato.matte.color_line import symmetric_inverse

BLOCK = 1 << 26  # distances held at once by the exhaustive search on a GPU


def nearest(points: Tensor, queries: Tensor, k: int) -> Tensor:
    """The k nearest points of each query, by Euclidean distance.

    Args:
        points: float32 (N, D).
        queries: float32 (M, D).
        k: How many; fewer come back where there are fewer points.

    Returns:
        int64 (M, min(k, N)) indices into points, nearest first.
    """
    k = min(k, points.shape[0])
    if points.device.type != "cpu":
        parts = [
            torch.cdist(part, points, compute_mode="use_mm_for_euclid_dist_if_necessary").topk(k, largest=False).indices
            for part in queries.split(max(1, BLOCK // points.shape[0]))
        ]
        return torch.cat(parts)
    from scipy.spatial import cKDTree

    tree = cKDTree(points.numpy(), balanced_tree=False, compact_nodes=False)
    found = tree.query(queries.numpy(), k, workers=-1)[1]
    return torch.from_numpy(found).view(queries.shape[0], k)


def blend_weights(target: Tensor, neighbours: Tensor, ridge: float) -> Tensor:
    """Weights that rebuild each target from its neighbours and sum to one.

    Roweis and Saul, "Nonlinear Dimensionality Reduction by Locally Linear Embedding", 2000: minimise
    |x - sum w_j x_j|^2 + r |w|^2 subject to sum w_j = 1. With D the differences as rows, w is (D D^T + r 1)^-1 1
    scaled; D D^T has rank D, so the inverse costs a small matrix, not a k x k one (Woodbury).

    Args:
        target: float32 (N, D).
        neighbours: float32 (N, k, D).
        ridge: r as a share of the trace of D D^T.

    Returns:
        float32 (N, k), each row summing to one.
    """
    d = neighbours - target[:, None]
    gram = d.transpose(1, 2) @ d
    trace = gram.diagonal(dim1=1, dim2=2).sum(1).clamp_min(1e-12)
    r = (ridge * trace)[:, None, None]
    small = gram + r * torch.eye(d.shape[2], device=d.device)
    inverse = symmetric_inverse(small) if d.shape[2] == 3 else torch.linalg.inv(small)
    w = 1 - (d @ (inverse @ d.sum(1)[:, :, None]))[..., 0]
    return w / w.sum(1, keepdim=True)
