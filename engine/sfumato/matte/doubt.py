"""Foreground colour where alpha may be wrong: a vote over what alpha could have been instead."""

import math

import torch
from torch import Tensor

TEMPER = 0.6  # channels are no independent witnesses
STRETCH = 0.2  # standard deviation of alpha's error
STRANGE = 0.3  # weight of a colour from anywhere in the foreground against one from nearby
CONTRAST = 0.12  # the vote counts where an alpha error of this size would throw F out of the foreground's own spread

Colour = tuple[Tensor, Tensor]
"""Mean and variance per channel."""


def doubted_foreground(
    image: Tensor, alpha: Tensor, solved: Tensor, near: Colour, overall: Colour, behind: Colour
) -> tuple[Tensor, Tensor]:
    """Expected F over several true alphas A in place of the given one, and how much it replaces the solved F.

    For each A, I ~ N(A mu_F + (1-A) mu_B, A^2 var_F + (1-A)^2 var_B) per channel gives its likelihood, and
    F | A = mu_F + A var_F (I - A mu_F - (1-A) mu_B) / (same variance); A = alpha stands for the solved F; A = 1 for
    F = I, because most pixels of a subject are solid; A = 0 knows nothing but mu_F. In front of a sky of 20, an alpha
    of 0.9 in place of 1 would make F negative and one in place of 0.8 a light bulb; neither is like the subject nearby.
    Bayesian matting (Chuang et al. 2001) solves for alpha this way; here alpha stays as it is and only F gives in.

    Args:
        image, solved: (3, N) pixels.
        alpha: (1, N), 0 < alpha < 1.
        near, behind: Colours of known foreground and background near each pixel, (3, N).
        overall: Colours of all known foreground, (3, 1).

    Returns:
        F (3, N), and the share (1, N) in 0..1 of it that no longer comes from `solved`.
    """
    a, b = alpha, 1 - alpha
    mean, variance = near[0], near[1] + (0.1 * near[0].abs() + 1e-3).square()
    mean_b, variance_b = behind[0], behind[1] + (0.1 * behind[0].abs() + 1e-3).square()

    as_given = _fit(image - a * mean - b * mean_b, a * a * variance + b * b * variance_b)
    strange = _fit(
        image - a * overall[0] - b * mean_b, a * a * (2 * overall[1] + 1e-4) + b * b * variance_b
    ) + math.log(STRANGE)
    votes = [(torch.logaddexp(as_given, strange), solved)]
    towards_one, towards_none = ((a + b * x for x in (1 / 3, 2 / 3)), (a * x for x in (1 / 3, 2 / 3)))
    for A in (*towards_one, *towards_none):
        spread = A * A * variance + (1 - A) ** 2 * variance_b
        rest = image - A * mean - (1 - A) * mean_b
        prior = -0.5 * ((A - a) / STRETCH).square()
        votes.append((prior + _fit(rest, spread), mean + A * variance / spread * rest))
    votes.append((a.clamp(min=1e-6).log() + _fit(image - mean, variance), image))
    votes.append((b.clamp(min=1e-6).log() + _fit(image - mean_b, variance_b), mean))

    best = torch.stack([v for v, _ in votes]).amax(0)
    weights = [(v - best).exp() for v, _ in votes]
    total = sum(weights[1:], weights[0])
    voted = sum((w * f for w, (_, f) in zip(weights[1:], votes[1:], strict=True)), weights[0] * solved) / total
    throw = CONTRAST * (mean - mean_b) / a.clamp(min=0.5)
    odds = (throw.square() / (variance + overall[1])).mean(0, keepdim=True)
    gate = odds / (1 + odds)
    return torch.lerp(solved, voted, gate), (1 - weights[0] / total) * gate


def _fit(rest: Tensor, variance: Tensor) -> Tensor:
    """Tempered log-likelihood of a residual (3, N) under its variance, summed over channels, (1, N)."""
    return -0.5 * TEMPER * (rest.square() / variance + variance.log()).sum(0, keepdim=True)
