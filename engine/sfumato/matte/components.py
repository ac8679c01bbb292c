"""Connected regions of a mask, by runs: every row becomes runs of pixels, and runs that touch become one region."""

import numpy as np
from numpy.typing import NDArray


def runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where runs of True start and end (exclusive) along the rows, as flat indices into the mask padded by one column.

    The padding column is False, so no run reaches into the next row.
    """
    height, width = mask.shape
    padded = np.zeros((height, width + 1), dtype=np.int8)
    padded[:, :width] = mask
    edges = np.diff(padded.ravel(), prepend=np.int8(0))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def touching(
    starts: NDArray[np.int64], ends: NDArray[np.int64], stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of runs (above, below) that share a column in neighbouring rows (4-connected)."""
    # Runs of the row above that overlap [s, e) are those with end > s - stride and start < e - stride: a range.
    first = np.searchsorted(ends, starts - stride, side="right")
    last = np.searchsorted(starts, ends - stride, side="left")
    count = np.maximum(last - first, 0)
    below = np.repeat(np.arange(len(starts)), count)
    offset = np.arange(len(below)) - np.repeat(np.cumsum(count) - count, count)
    return first[below] + offset, below


def join(count: int, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Label `count` nodes so that nodes joined by edges (a, b) share a label: the lowest node of their region.

    Hooking and pointer jumping (Shiloach and Vishkin 1982), a handful of vectorised rounds.
    """
    parent = np.arange(count)
    while len(a):
        ra, rb = parent[a], parent[b]
        open_ = ra != rb
        a, b, ra, rb = a[open_], b[open_], ra[open_], rb[open_]
        np.minimum.at(parent, np.maximum(ra, rb), np.minimum(ra, rb))
        while True:
            grand = parent[parent]
            if np.array_equal(grand, parent):
                break
            parent = grand
    return parent


def largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest 4-connected region of a mask (H, W); the first in reading order where two are equal."""
    height, width = mask.shape
    starts, ends = runs(mask)
    if not len(starts):
        return np.zeros_like(mask)
    labels = join(len(starts), *touching(starts, ends, width + 1))
    areas = np.bincount(labels, weights=ends - starts)
    chosen = labels == int(np.argmax(areas))
    marks = np.zeros(height * (width + 1) + 1, dtype=np.int8)
    marks[starts[chosen]] = 1
    marks[ends[chosen]] -= 1
    return np.cumsum(marks, dtype=np.int8)[:-1].reshape(height, width + 1)[:, :width].astype(bool)
