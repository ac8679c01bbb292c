"""How the controls of a clip accelerate: heavy-tailed at first, then as the clip itself does.

At first each control for itself is quiet or not: w'' has the penalty smooth calm sqrt(w''^2 + calm^2), reweighted.
Then accelerations are normal with a covariance over controls, C, and a scale for every frame, a: A_f = (a_f C)^-1. Both
come from the accelerations of the last round, so that what moves together in this performance is asked for less
evidence than what never does (empirical Bayes).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor

ALONE = 4  # rounds after which activity counts
LEARN = 6  # rounds after which the covariance is learned
NEAR, WIDE = 5, 9  # samples over which activity is one
SHARE = 3.5  # by how much smoothed accelerations understate the clip's
FLOOR = 0.1  # of the mean activity: no frame is quieter
ENOUGH = 4  # accelerations for each control, to learn from


@dataclass(frozen=True)
class Habits:
    """What a clip tells of how its controls accelerate, so that a part of it is solved as it was in the whole.

    precision: (K, K), C^-1. activity: Mean square of second differences. scale: Mean of the frames' activities.
    """

    precision: Tensor
    activity: float
    scale: float

    @staticmethod
    def pooled(several: Sequence["Habits"]) -> "Habits":
        """Those of several clips of one performance, each counting alike."""
        scale = fmean(one.scale for one in several)
        covariances = torch.stack([torch.linalg.inv(one.precision) / one.scale for one in several])
        activity = fmean(one.activity for one in several)
        return Habits(torch.linalg.inv(scale * covariances.mean(0)), activity, scale)


class Motion:
    """Weights of second differences, in the units of data over noise^2.

    smooth: Of a control's, for 60 samples a second. calm: Second differences up to that are quiet, at that rate.
    habits: Those of the whole that this clip is a part of; default: its own, if it has any.
    """

    def __init__(self, smooth: float, calm: float, fps: float, learn: bool, habits: Habits | None = None) -> None:
        self._pace = (60 / fps) ** 2
        self._smooth, self._calm, self._learn = smooth / self._pace**2, calm * self._pace, learn
        self.habits, self._given = habits, habits is not None

    def learned(self, done: int) -> bool:
        """Whether nothing new will come."""
        return done > (LEARN + 2 if self._learn or self._given else ALONE + 2)

    def weight(self, values: Tensor, done: int) -> Tensor:
        """A of each second difference of values (F, K): (F - 2, K, K); done: rounds."""
        bent = values[2:] - 2 * values[1:-1] + values[:-2]
        if done >= LEARN and self._learn and not self._given and len(bent) >= ENOUGH * bent.shape[1]:
            self.habits = self._learned_from(bent)
        if done >= LEARN and self.habits is not None:
            return self.habits.precision / _activity(bent, self.habits)[..., None]
        weight = torch.full_like(bent, self._smooth)
        if done >= ALONE and len(bent):
            size = (_over(bent.square(), NEAR) + self._calm**2).sqrt()
            weight = weight * self._calm / size
        return torch.diag_embed(weight)

    def _learned_from(self, bent: Tensor) -> Habits:
        # Differs from expectation-maximisation: SHARE stands for the posterior covariance, which it would add.
        activity = float(bent.square().mean())
        active = _activity(bent, Habits(torch.empty(0), activity, 1.0))
        scale = float(active.mean())
        even = bent / (active / scale).sqrt()
        least = 0.05 * self._calm**2 * torch.eye(bent.shape[1], dtype=bent.dtype)
        covariance = SHARE * even.T @ even / len(even) + least
        return Habits(torch.linalg.inv(covariance), activity, scale)


def _activity(bent: Tensor, habits: Habits) -> Tensor:
    """The frames' scales a (F - 2, 1), 1 on the mean of the whole clip."""
    active = _over(bent.square().mean(1, keepdim=True), WIDE)
    found: Tensor = (active + FLOOR**2 * habits.activity).sqrt() / habits.scale
    return found


def _over(values: Tensor, samples: int) -> Tensor:
    """The running mean over time."""
    return torch.from_numpy(uniform_filter1d(values.numpy(), samples, axis=0, mode="nearest"))
