"""Foreground colour where alpha may be wrong: a vote over what alpha could have been instead."""

import math

import torch
from torch import Tensor

TEMPER = 0.6  # channels, even opponent ones, are no independent witnesses
STRETCH = 0.4  # standard deviation of alpha's error
GIVEN = 0.3  # weight of the alpha that was given against each of the others
CONTRAST = 0.15  # the vote counts where an alpha error of this size would throw F out of the foreground's own spread
SOLID, HOLLOW = 2.0, 5.0  # log-odds that a pixel is wholly subject: SOLID logit(alpha) - HOLLOW, so even at 0.92
TOWARDS_ONE = (0.2, 0.4, 0.6, 0.75, 0.87, 0.95)  # other alphas, as shares of the way; finer near 1: a bright sky shows
TOWARDS_NONE = (1 / 3, 2 / 3)

Colour = tuple[Tensor, Tensor]
"""Mean and variance per opponent channel."""


def opponent(rgb: Tensor) -> Tensor:
    """RGB (3, ...) as brightness and two colour differences, an orthonormal basis.

    Texture is mostly a change of brightness: here the variance of each channel says what is likely, in RGB it does not.
    """
    r, g, b = rgb
    return torch.stack([(r + g + b) / math.sqrt(3), (r - b) / math.sqrt(2), (r - 2 * g + b) / math.sqrt(6)])


def from_opponent(x: Tensor) -> Tensor:
    """Back to RGB."""
    y, u, v = x[0] / math.sqrt(3), x[1] / math.sqrt(2), x[2] / math.sqrt(6)
    return torch.stack([y + u + v, y - 2 * v, y - u + v])


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
        image, solved: (3, N) pixels in opponent channels.
        alpha: (1, N), 0 < alpha < 1.
        near, behind: Colours of known foreground and background near each pixel, (3, N).
        overall: Colours of all known foreground, (3, 1). A solid pixel, and the solved F, may look like that too.

    Returns:
        F (3, N) in opponent channels, and the share (1, N) in 0..1 of it that no longer comes from `solved`.
    """
    a, b = alpha, 1 - alpha
    mean, variance = near[0], _floored(near)
    mean_b, variance_b = behind[0], _floored(behind)
    anywhere = overall[1] + 1e-4

    as_given = torch.logaddexp(
        _fit(image - a * mean - b * mean_b, a * a * variance + b * b * variance_b),
        _fit(image - a * overall[0] - b * mean_b, a * a * anywhere + b * b * variance_b),
    )
    votes = [(math.log(GIVEN) + as_given, solved)]
    for A in (*(a + b * x for x in TOWARDS_ONE), *(a * x for x in TOWARDS_NONE)):
        spread = A * A * variance + (1 - A) ** 2 * variance_b
        rest = image - A * mean - (1 - A) * mean_b
        prior = -0.5 * ((A - a) / STRETCH).square()
        votes.append((prior + _fit(rest, spread), mean + A * variance / spread * rest))
    solid = torch.logaddexp(_fit(image - mean, variance), _fit(image - overall[0], anywhere))
    votes.append((a.clamp(min=1e-6).log() + solid, image))
    votes.append((b.clamp(min=1e-6).log() + _fit(image - mean_b, variance_b), mean))

    best = torch.stack([v for v, _ in votes]).amax(0)
    weights = [(v - best).exp() for v, _ in votes]
    total = sum(weights[1:], weights[0])
    voted = sum((w * f for w, (_, f) in zip(weights[1:], votes[1:], strict=True)), weights[0] * solved) / total
    throw = CONTRAST * (mean - mean_b) / a.clamp(min=0.5)
    odds = (throw.square() / (variance + overall[1])).mean(0, keepdim=True)
    gate = odds / (1 + odds)
    sure = _solid(a, mean - mean_b, variance, solid - as_given)
    keep = (1 - weights[0] / total) * gate
    return torch.lerp(torch.lerp(solved, voted, gate), image, sure), keep + (1 - keep) * sure


def _solid(alpha: Tensor, contrast: Tensor, variance: Tensor, evidence: Tensor) -> Tensor:
    """Probability (1, N) that a pixel shows the subject alone although alpha says a little less than 1.

    Subjects are mostly solid and mattes mostly a hair below 1 there; taking that hair's share of a bright sky out of a
    dark leaf leaves black. Not where it would show: where that share is more than the subject's own variation.

    Args:
        contrast, variance: Foreground less background, and the foreground's variance, (3, N).
        evidence: Log-likelihood of a solid pixel over that of the given alpha; only held against, never for.
    """
    share = ((1 - alpha) * contrast).square() / variance
    odds = SOLID * torch.logit(alpha, 1e-6) - HOLLOW - share.mean(0, keepdim=True) + evidence.clamp(max=0)
    return odds.sigmoid()


def _floored(colour: Colour) -> Tensor:
    """Variance (3, N), at least that of a tenth of the brightness and a thirtieth of it in colour."""
    level = colour[0][:1].abs()
    return colour[1] + (torch.cat([0.1 * level, 0.03 * level, 0.03 * level]) + 1e-3).square()


def _fit(rest: Tensor, variance: Tensor) -> Tensor:
    """Tempered log-likelihood of a residual (3, N) under its variance, summed over channels, (1, N)."""
    return -0.5 * TEMPER * (rest.square() / variance + variance.log()).sum(0, keepdim=True)
