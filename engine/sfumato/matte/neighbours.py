"""Pixels that look alike, wherever they are: the non-local part of the classical solve.

After Aksoy, Aydin, Pollefeys, "Designing Effective Inter-Pixel Information Flow for Natural Image Matting", 2017.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.matte.color_line import symmetric_inverse

BLOCK = 1 << 26  # distances held at once by the exhaustive search on a GPU


def nearest(points: Tensor, queries: Tensor, k: int, slack: float = 0.0) -> Tensor:
    """The k nearest points of each query, by Euclidean distance.

    Args:
        points: float32 (N, D).
        queries: float32 (M, D).
        k: How many; fewer come back where there are fewer points.
        slack: How much farther than the true one a neighbour may be, as a share; on the CPU this saves time.

    Returns:
        int64 (M, min(k, N)) indices into points, nearest first.
    """
    k = min(k, points.shape[0])
    if points.device.type != "cpu":
        parts = [
            torch.cdist(part, points, compute_mode="use_mm_for_euclid_dist_if_necessary").topk(k, largest=False).indices
            for part in torch.split(queries, max(1, BLOCK // points.shape[0]))
        ]
        return torch.cat(parts)
    from scipy.spatial import cKDTree

    tree = cKDTree(points.numpy(), balanced_tree=False, compact_nodes=False)
    found = tree.query(queries.numpy(), k, eps=slack, workers=-1)[1]
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


@dataclass(frozen=True)
class Samples:
    """What the known colours say of n unknown pixels.

    alpha: (n,) in 0..1.
    contrast: (n,) mean squared difference of the two sides' colours, at most 1: how much the alpha can be believed.
    foreground, background: (n, 3) the mean colour of the nearest known pixels of each side.
    """

    alpha: Tensor
    contrast: Tensor
    foreground: Tensor
    background: Tensor


def sample_sides(
    colour: Tensor,
    points: Tensor,
    alpha: Tensor,
    queries: Tensor,
    count: int,
    ridge: float,
    clean: Tensor | None = None,
    slack: float = 0.0,
) -> Samples:
    """Alpha of some pixels from the known colours most like them on either side.

    Aksoy et al. 2017, section 3.2: blend weights over the nearest known foreground and background pixels together;
    the foreground's share is alpha.

    Args:
        colour: (N, 3) in the light where compositing holds.
        points: (N, D) every pixel as the search sees it.
        alpha: (N,) 1 and 0 where known.
        queries: int64 (n,) pixels to estimate.
        count: Known pixels taken from each side.
        ridge: See `blend_weights`.
        clean: (N, 3) the background of every pixel, where it is known.
        slack: See `nearest`.
    """
    sides = []
    for value in (1, 0):
        if value == 0 and clean is not None:
            sides.append(clean[queries][:, None].expand(-1, count, -1))
            continue
        known = torch.nonzero(alpha == value)[:, 0]
        if len(known) == 0:  # nothing known on this side: the pixel's own colour, which says nothing
            sides.append(colour[queries][:, None].expand(-1, count, -1))
            continue
        sides.append(colour[known[nearest(points[known], points[queries], count, slack)]])
    weights = blend_weights(colour[queries], torch.cat(sides, 1), ridge)
    k = sides[0].shape[1]
    share = weights[:, :k].sum(1)
    fore = (weights[:, :k, None] * sides[0]).sum(1) / share[:, None]
    back = (weights[:, k:, None] * sides[1]).sum(1) / (1 - share)[:, None]
    contrast = ((fore - back) ** 2).mean(1)
    return Samples(
        share.clamp(0, 1).nan_to_num(0.5), contrast.nan_to_num(0, 0, 0).clamp(0, 1), sides[0].mean(1), sides[1].mean(1)
    )


def motion_links(
    feature: Tensor,
    unknown: Tensor,
    size: tuple[int, int, int],
    motion: Sequence[tuple[Tensor, Tensor]],
    tolerance: float,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Links of unknown pixels to where they go in the next frame and where they come from in the one before.

    Args:
        feature: (T * H * W, 3).
        unknown: (T * H * W,) bool.
        size: T, H, W.
        motion: For each frame but the last, motion to the next frame and back, (2, H, W) pixels, x first.
        tolerance: Colour difference at which a link weighs one half.

    Yields:
        rows, columns: int64 pixel indices; weights: float32 in 0..1.
    """
    _, height, width = size
    area = height * width
    for t, (ahead, back) in enumerate(motion):
        for here, there, flow in ((t, t + 1, ahead), (t + 1, t, back)):
            pixel = torch.nonzero(unknown[here * area : (here + 1) * area])[:, 0]
            x = (pixel % width + flow[0].flatten()[pixel].round()).long()
            y = (pixel // width + flow[1].flatten()[pixel].round()).long()
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            pixel, target = pixel[inside], (y * width + x)[inside]
            # A motion that does not lead back is no motion: blur, an edge uncovered, a pattern taken for another.
            there_and_back = flow.flatten(1)[:, pixel] + (back if here == t else ahead).flatten(1)[:, target]
            sound = there_and_back.square().sum(0) < 1
            rows, columns = here * area + pixel[sound], there * area + target[sound]
            difference = (feature[rows] - feature[columns]).square().mean(1)
            yield rows, columns, 1 / (1 + difference / tolerance**2) ** 2
