"""How the controls of a clip accelerate: heavy-tailed at first, then as the clip itself does.

At first each control for itself is quiet or not: w'' has the penalty smooth calm sqrt(w''^2 + calm^2), reweighted.
Then accelerations are normal with a covariance over controls, C, and a scale for every frame and control, a:

    A_f = diag(a_f)^-1 C^-1 diag(a_f)^-1

C comes from the accelerations of the last round, a from those around the frame, of a control and of what moves with it
(empirical Bayes): what moves together in this performance, and when, is asked for less evidence than what does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor

ALONE = 4  # rounds after which activity counts
LEARN = 6  # rounds after which the covariance is learned
NEAR, WIDE = 5, 9  # samples over which activity is one
SHARE = 5.4  # by how much smoothed accelerations understate the clip's
FLOOR = 0.05  # of the mean activity: no frame is quieter
ENOUGH = 4  # accelerations for each control, to learn from


@dataclass(frozen=True)
class Habits:
    """What a clip tells of how its controls accelerate, so that a part of it is solved as it was in the whole.

    precision: (K, K), C^-1. alike: (K, K), how much of each control's activity is in every other's; rows sum to 1.
    spread: (K,), mean squares of second differences. scale: (K,), means of activities.
    """

    precision: Tensor
    alike: Tensor
    spread: Tensor
    scale: Tensor

    @staticmethod
    def pooled(several: Sequence["Habits"]) -> "Habits":
        """Those of several clips of one performance, each counting alike."""
        covariance = torch.stack([torch.linalg.inv(one.precision) for one in several]).mean(0)
        alike, spread, scale = (
            torch.stack([getattr(one, name) for one in several]).mean(0) for name in ("alike", "spread", "scale")
        )
        return Habits(torch.linalg.inv(covariance), alike, spread, scale)


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
            active = _activity(bent, self.habits)
            return self.habits.precision / (active[:, :, None] * active[:, None])
        weight = torch.full_like(bent, self._smooth)
        if done >= ALONE and len(bent):
            size = (_over(bent.square(), NEAR) + self._calm**2).sqrt()
            weight = weight * self._calm / size
        return torch.diag_embed(weight)

    def _learned_from(self, bent: Tensor) -> Habits:
        # Differs from expectation-maximisation: SHARE stands for the posterior covariance, which it would add.
        least = 0.05 * self._calm**2
        spread = bent.square().mean(0) + least
        each = bent / spread.sqrt()
        alike = (each.T @ each / len(each)).square()
        alike = alike / alike.sum(1, keepdim=True).clamp(min=1e-12)
        plain = Habits(torch.empty(0), alike, spread, torch.ones_like(spread))
        scale = _activity(bent, plain).mean(0)
        even = bent / _activity(bent, replace(plain, scale=scale))
        covariance = SHARE * even.T @ even / len(even) + least * torch.eye(bent.shape[1], dtype=bent.dtype)
        return Habits(torch.linalg.inv(covariance), alike, spread, scale)


def _activity(bent: Tensor, habits: Habits) -> Tensor:
    """The scales a (F - 2, K) of frames and controls, 1 on the mean of the clip that the habits are of."""
    around = _over(bent.square() / habits.spread @ habits.alike.T, WIDE)
    found: Tensor = (around + FLOOR**2).sqrt() / habits.scale
    return found


def _over(values: Tensor, samples: int) -> Tensor:
    """The running mean over time."""
    return torch.from_numpy(uniform_filter1d(values.numpy(), samples, axis=0, mode="nearest"))
