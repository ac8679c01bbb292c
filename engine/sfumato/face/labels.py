"""Labels that two neighbouring markers have exchanged, put back by what the markers around them do."""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBOURS, PARTNERS = 6, 3  # markers that tell where one should be; markers it may have been taken for
LEFT, GAIN = 0.35, 0.1  # a swap leaves less than this share of the squared error, and takes off more cm^2 than this
ROUNDS = 2  # a second look, with the first's labels


def put_back(positions: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Find swaps, however long they last, in a take whose head is still.

    A marker is expected at its usual place in the clip (the median) plus the median of what its neighbours do now. Two
    labels are exchanged back on the frames where that fits them far better.

    Args:
        positions: (F, M, 3) cm, NaN where unseen. rest: (M, 3) cm, the neutral.

    Returns:
        The positions, and (S, 3) int64 of frame, marker, marker.
    """
    if len(rest) < 3:
        return positions, torch.zeros(0, 3, dtype=torch.int64)
    away = positions - rest
    apart = torch.cdist(rest, rest).fill_diagonal_(torch.inf)
    near = apart.topk(min(NEIGHBOURS, len(rest) - 1), largest=False).indices
    pairs = sorted({(min(a, b), max(a, b)) for a, row in enumerate(near.tolist()) for b in row[:PARTNERS]})
    found = []
    for _ in range(ROUNDS):
        typical = away.nanmedian(0).values.nan_to_num(0.0)
        expected = typical + _median_of(away - typical, near)
        for a, b in pairs:
            rows = _exchanged(away[:, a], away[:, b], expected[:, a], expected[:, b], rest[b] - rest[a])
            if len(rows):
                away[rows, a], away[rows, b] = away[rows, b] + rest[b] - rest[a], away[rows, a] - rest[b] + rest[a]
                found.append(torch.stack([rows, torch.full_like(rows, a), torch.full_like(rows, b)], 1))
    return rest + away, torch.cat(found) if found else torch.zeros(0, 3, dtype=torch.int64)


def _exchanged(a: Tensor, b: Tensor, expected_a: Tensor, expected_b: Tensor, offset: Tensor) -> Tensor:
    """Frames on which each of two displacements (F, 3) fits the other marker; one of the two may be unseen."""
    kept, crossed = torch.zeros(len(a)), torch.zeros(len(a))
    told = torch.zeros(len(a), dtype=torch.bool)
    for one, mine, theirs, shift in ((a, expected_a, expected_b, -offset), (b, expected_b, expected_a, offset)):
        own, other = (one - mine).square().sum(-1), (one + shift - theirs).square().sum(-1)
        known = own.isfinite() & other.isfinite()
        kept, crossed = (
            kept + own.where(known, torch.zeros_like(own)),
            crossed + other.where(known, torch.zeros_like(own)),
        )
        told |= known
    return torch.nonzero(told & (crossed < LEFT * kept) & (kept - crossed > GAIN))[:, 0]


def _median_of(away: Tensor, near: Tensor) -> Tensor:
    """(F, M, 3) the median displacement of each marker's neighbours; NaN where none is seen."""
    return away[:, near].nanmedian(2).values
