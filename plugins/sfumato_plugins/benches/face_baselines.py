"""Solvers the face bench compares with, written for it alone and knowing one linear rig: least squares in three ways.

Lengths are millimetres inside. Residuals count by Huber's rule (reweighted), controls stay within 0 .. 1 (Newton's step
with the variables at a limit they press on held). Parameters are those that give what the published runs of this
protocol gave: `SMOOTH` is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Array = NDArray[Any]

EDGE, FRAME_EDGE = 0.6, 1.0  # mm, where Huber's rule turns linear: in a clip, frame by frame
SMOOTH = 300.0  # weight of the controls' second differences in a clip, per mm^2
STEADY, STILL = 3e4, 1.0  # of the drift's second differences, and of the drift
BEFORE = 35.0  # weight that pulls a control to its value in the frame before
EARLY = 0.1  # frames that a marker's offset is held back by
RIDGE, FRAME_RIDGE = 0.08, 1.2  # weight that pulls a control to 0
LEVER = 60.0  # mm: a turn is counted as the millimetres it moves a point so far from the middle


@dataclass(frozen=True)
class Model:
    """shapes: (M * 3, K) mm. arm: (M * 3, 6) how small turns and shifts move the markers, mm."""

    shapes: Array
    arm: Array

    @property
    def whole(self) -> Array:
        """Controls, then drift."""
        import numpy as np

        return np.concatenate([self.shapes, self.arm], 1)


def model(rest: Tensor, deltas: Tensor) -> Model:
    """Of markers at rest (M, 3) and what each control does to them (K, M, 3), both cm."""
    import numpy as np

    away = (rest - rest.mean(0)).numpy() * 10 / LEVER
    arm = np.zeros((len(away), 3, 6))
    for axis in range(3):
        turn = np.zeros(3)
        turn[axis] = 1
        arm[:, :, axis], arm[:, axis, 3 + axis] = np.cross(turn, away), 1
    shapes = deltas.numpy().reshape(len(deltas), -1).T * 10
    return Model(shapes, arm.reshape(-1, 6))


def frame_by_frame(known: Model, moved: Tensor, rigid: bool, offsets: bool = False) -> Tensor:
    """Causal: each frame against its own markers and the controls of the frame before.

    Args:
        known: The rig at its markers.
        moved: (F, M, 3) cm, markers less where they rest, NaN where unseen.
        rigid: Also six unknowns of drift a frame.
        offsets: Each marker sits where the frames so far say: the running mean of what was left at it.
    """
    import numpy as np
    import torch

    data, weight = _data(moved)
    sides = known.whole if rigid else known.shapes
    count = known.shapes.shape[1]
    ties = np.concatenate([np.full(count, BEFORE), np.full(sides.shape[1] - count, 0.5)])
    now, found = np.zeros(sides.shape[1]), []
    own, counts = np.zeros(len(sides)), np.zeros(len(sides))
    for row, seen in zip(data, weight):
        row, last, size = row - own, now, None
        for _ in range(4):
            here = seen if size is None else seen * np.minimum(FRAME_EDGE / np.maximum(size, 1e-9), 1).repeat(3)
            normal = sides.T @ (here[:, None] * sides) + np.diag(ties + FRAME_RIDGE)
            now = _boxed(normal, sides.T @ (here * row) + ties * last, now, count)
            size = np.linalg.norm(((row - sides @ now) * seen).reshape(-1, 3), axis=1)
        if offsets:
            counts += here
            own += here * (row - sides @ now) / (counts + EARLY)
        found.append(now[:count])
    return torch.from_numpy(np.stack(found))


def whole_clip(known: Model, moved: Tensor, prior: tuple[Tensor, Tensor] | None = None, rounds: int = 12) -> Tensor:
    """All frames at once, with drift, controls and drift accelerating little.

    Args:
        known, moved: As in `frame_by_frame`.
        prior: Mean (K,) and precision (K, K) of the controls, per mm^2.
        rounds: Steps of reweighting.
    """
    import numpy as np
    import torch

    data, weight = _data(moved)
    sides, count = known.whole, known.shapes.shape[1]
    frames, width = len(data), sides.shape[1]
    along = np.array([SMOOTH] * count + [STEADY] * 6)
    tie = np.diag(np.array([RIDGE] * count + [STILL] * 6))
    toward = np.zeros(width)
    if prior is not None:
        tie[:count, :count] += prior[1].numpy()
        toward[:count] = prior[1].numpy() @ prior[0].numpy()
    now = np.zeros((frames, width))
    for _ in range(rounds):
        size = np.linalg.norm(((data - now @ sides.T) * weight).reshape(frames, -1, 3), axis=2)
        here = weight * np.minimum(EDGE / np.maximum(size, 1e-9), 1).repeat(3, axis=1)
        blocks = np.stack([sides.T @ (row[:, None] * sides) for row in here]) + tie
        pull = (here * data) @ sides + toward
        slope = np.einsum("fij,fj->fi", blocks, now) - pull + along * _curved(now)
        fixed = np.zeros((frames, width), bool)
        fixed[:, :count] = ((now <= 0) & (slope >= 0) | (now >= 1) & (slope <= 0))[:, :count]
        now = now - _banded(blocks, along, np.where(fixed, 0, slope), fixed)
        now[:, :count] = now[:, :count].clip(0, 1)
    return torch.from_numpy(now[:, :count].copy())


def _data(moved: Tensor) -> tuple[Array, Array]:
    """Markers (F, M * 3) mm with 0 where unseen, and 1 where seen."""
    import numpy as np

    rows = moved.reshape(len(moved), -1).numpy() * 10
    return np.nan_to_num(rows), np.isfinite(rows).astype(float)


def _boxed(normal: Array, pull: Array, start: Array, count: int) -> Array:
    """argmin x' normal x / 2 - pull' x with the first `count` in 0 .. 1."""
    import numpy as np

    now = start.copy()
    for _ in range(12):
        slope = normal @ now - pull
        fixed = np.zeros(len(now), bool)
        fixed[:count] = ((now <= 0) & (slope > 0) | (now >= 1) & (slope < 0))[:count]
        free = np.nonzero(~fixed)[0]
        step = np.zeros(len(now))
        step[free] = np.linalg.solve(normal[np.ix_(free, free)], -slope[free])
        after = now + step
        after[:count] = after[:count].clip(0, 1)
        done = np.abs(after - now).max() < 1e-6
        now = after
        if done:
            break
    return now


def _curved(values: Array) -> Array:
    import numpy as np

    second = np.diff(values, 2, axis=0)
    found = np.zeros_like(values)
    found[2:] += second
    found[1:-1] -= 2 * second
    found[:-2] += second
    return found


def _banded(blocks: Array, along: Array, slope: Array, fixed: Array) -> Array:
    """Newton's step: blocks on the diagonal, second differences along time; fixed variables stay."""
    import numpy as np
    from scipy.linalg import solveh_banded

    frames, width = slope.shape
    loose = (~fixed).astype(float)
    marks = np.diff(np.eye(frames), 2, axis=0)
    marks = marks.T @ marks
    dense = blocks * loose[:, :, None] * loose[:, None, :]
    index = np.arange(width)
    dense[:, index, index] += np.diag(marks)[:, None] * along * loose + fixed
    band = np.zeros((2 * width + 1, frames * width))
    for apart in range(width):  # the lower form: band[i - j, j] = a[i, j]
        for column in range(width - apart):
            band[apart, column::width] = dense[:, column + apart, column]
    for apart in (1, 2):
        beside = np.diag(marks, -apart)[:, None] * along * loose[apart:] * loose[:-apart]
        band[apart * width, : (frames - apart) * width] += beside.reshape(-1)
    found: Array = solveh_banded(band, slope.reshape(-1), lower=True, check_finite=False)
    return found.reshape(frames, width)
