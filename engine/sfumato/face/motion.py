"""How the controls of a clip accelerate: heavy-tailed at first, then as the clip itself does.

At first each control for itself is quiet or not: w'' has the penalty smooth calm sqrt(w''^2 + calm^2), reweighted.
Then accelerations are normal with a covariance over controls, C, and a scale for every frame, a: A_f = (a_f C)^-1. Both
come from the accelerations of the last round, so that what moves together in this performance is asked for less
evidence than what never does (empirical Bayes).
"""

from typing import Any

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor

ALONE = 4  # rounds after which activity counts
LEARN = 6  # rounds after which the covariance is learned
NEAR, WIDE = 5, 9  # samples over which activity is one
SHARE = 3.5  # by how much smoothed accelerations understate the clip's
FLOOR = 0.1  # of the mean activity: no frame is quieter
ENOUGH = 4  # accelerations for each control, to learn from


class Motion:
    """Weights of second differences, in the units of data over noise^2.

    smooth: Of a control's, for 60 samples a second. calm: Second differences up to that are quiet, at that rate.
    """

    def __init__(self, smooth: float, calm: float, fps: float, learn: bool) -> None:
        self._pace = (60 / fps) ** 2
        self._smooth, self._calm, self._learn = smooth / self._pace**2, calm * self._pace, learn

    def learned(self, done: int) -> bool:
        """Whether nothing new will come."""
        return done > (LEARN + 2 if self._learn else ALONE + 2)

    def weight(self, values: Tensor, done: int) -> Tensor:
        """A of each second difference of values (F, K): (F - 2, K, K); done: rounds."""
        bent = values[2:] - 2 * values[1:-1] + values[:-2]
        if done >= LEARN and self._learn and len(bent) >= ENOUGH * bent.shape[1]:
            return self._together(bent)
        weight = torch.full_like(bent, self._smooth)
        if done >= ALONE and len(bent):
            size = (_over(bent.square(), NEAR) + self._calm**2).sqrt()
            weight = weight * self._calm / size
        return torch.diag_embed(weight)

    def _together(self, bent: Tensor) -> Tensor:
        # Differs from expectation-maximisation: SHARE stands for the posterior covariance, which it would add.
        active = _over(bent.square().mean(1, keepdim=True), WIDE)
        active = (active + FLOOR**2 * active.mean()).sqrt()
        active = active / active.mean()
        even = bent / active.sqrt()
        least = 0.05 * self._calm**2 * torch.eye(bent.shape[1], dtype=bent.dtype)
        covariance = SHARE * even.T @ even / len(even) + least
        found: Tensor = torch.linalg.inv(covariance) / active[..., None]
        return found


def pulled(along: Tensor, values: Tensor) -> Tensor:
    """D'A D v of the second differences D over time, (F, N)."""
    found = torch.zeros_like(values)
    if len(values) > 2:
        bent = values[2:] - 2 * values[1:-1] + values[:-2]
        pull = (along @ bent[..., None])[..., 0]
        found[2:] += pull
        found[1:-1] -= 2 * pull
        found[:-2] += pull
    return found


def along_time(along: Tensor, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """D'A D as blocks: on its diagonal (F, N, N), one and two frames below it."""
    width = along.shape[-1]
    own = torch.zeros(frames, width, width, dtype=along.dtype)
    first = torch.zeros(max(frames - 1, 0), width, width, dtype=along.dtype)
    if frames > 2:
        own[2:] += along
        own[1:-1] += 4 * along
        own[:-2] += along
        first[1:] -= 2 * along
        first[:-1] -= 2 * along
    return own, first, along


def laid_in_bands(own: Tensor, first: Tensor, second: Tensor) -> Any:
    """The lower bands of a symmetric block-pentadiagonal matrix, as scipy's solveh_banded wants them."""
    frames, width = own.shape[:2]
    band = np.zeros((3 * width, frames * width))
    middle, below, lowest = own.numpy(), first.numpy(), second.numpy()
    for column in range(width):  # band[i - j, j] = a[i, j]
        for row in range(column, width):
            band[row - column, column::width] = middle[:, row, column]
        for row in range(width):
            band[width + row - column, column : len(below) * width : width] += below[:, row, column]
            band[2 * width + row - column, column : len(lowest) * width : width] += lowest[:, row, column]
    return band


def _over(values: Tensor, samples: int) -> Tensor:
    """The running mean over time."""
    return torch.from_numpy(uniform_filter1d(values.numpy(), samples, axis=0, mode="nearest"))
