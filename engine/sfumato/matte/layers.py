"""Foreground and background of a given matte: least squares over the frame, coarse to fine, and the exact end."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from sfumato.matte.surroundings import shrink
from sfumato.report import Report, Step, silent

DATA_NOISE = 1e-2  # how exactly colours explain the plate, in units of what their roughness allows
ALPHA_NOISE = 0.1  # alpha's standard deviation at 0.5 in the unknown band; none at 0 and 1
FLAT, EDGE = 1e-2, 1.0  # smoothness where alpha is flat, and more of it across alpha's edges: alpha explains those
COARSE = 64  # levels up to this size get twice the sweeps


@dataclass(frozen=True)
class Beliefs:
    """What is believed of both layers before the plate is looked at. Images (3, H, W), variances (1, H, W).

    foreground, background: First guess, of any size. A background that is `given` is a measured clean plate, full size.
    foreground_roughness, background_roughness: Variance between neighbouring pixels; of a given background, its error.
    brightest_foreground, brightest_background: Upper ends of the range, per channel.
    darkest: Lower end of both, per channel (3, 1, 1); below 0 only if the plate has negative values.
    """

    foreground: Tensor
    background: Tensor
    foreground_roughness: Tensor
    background_roughness: Tensor
    brightest_foreground: Tensor
    brightest_background: Tensor
    darkest: Tensor
    given: bool

    def at(self, where: Tensor | slice) -> "Beliefs":
        """What `explain` needs, as columns (C, N) of the pixels of a mask (H, W), or a run of columns."""
        return replace(
            self,
            foreground_roughness=self.foreground_roughness[:, where],
            background_roughness=self.background_roughness[:, where],
            brightest_foreground=self.brightest_foreground[:, where],
            brightest_background=self.brightest_background[:, where],
            darkest=self.darkest.reshape(3, 1),
        )


def solve_layers(
    image: Tensor, alpha: Tensor, unknown: Tensor, beliefs: Beliefs, sweeps: int = 6, report: Report = silent
) -> tuple[Tensor, Tensor]:
    """Most probable smooth F and B under I = alpha F + (1 - alpha) B, at every pixel.

    Minimises per channel, over F and B together,
        sum_i (I - a F - b B)^2 / n_i  +  sum_ij w_ij ((F_i - F_j)^2 / f_i + (B_i - B_j)^2 / g_i),   b = 1 - a,
    with f, g the roughness of each layer, w_ij = FLAT + EDGE |a_i - a_j| over four neighbours, and
    n_i = DATA_NOISE^2 (a^2 f + b^2 g) + ALPHA_NOISE^2 a b |F - B|^2: an error in alpha is an error in colour that grows
    with the contrast of the layers. So a bright, rough background explains what a dim, smooth foreground cannot.
    Blockwise Jacobi sweeps inside the range of each layer, on a pyramid from a few pixels up to the frame.

    The pyramid, the smoothness across alpha's edges and few sweeps a level follow Germer, Uelwer, Conrad and Harmeling,
    "Fast Multi-Level Foreground Estimation", 2020. Differs from it: weights by roughness, noise by contrast, ranges by
    the known surroundings instead of 0..1.

    Args:
        image: (3, H, W), linear or coded, unclipped.
        alpha, unknown: (1, H, W); alpha in 0..1, unknown 1 where the trimap is.
    """
    sizes = [tuple(alpha.shape[-2:])]
    while min(sizes[-1]) > 4:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    foreground, background = (shrink(x, *sizes[-1]) for x in (beliefs.foreground, beliefs.background))
    for level, size in enumerate(reversed(sizes)):
        report(Step("foreground", level, len(sizes)))
        if foreground.shape[-2:] != size:
            foreground, background = (interpolate(x[None], size)[0] for x in (foreground, background))
        rounds = sweeps * (2 if max(size) <= COARSE else 1)
        i, a, u = (shrink(x, *size) for x in (image, alpha, unknown))
        _sweep(foreground, background, i, a, u, beliefs, rounds)
    report(Step("foreground", len(sizes), len(sizes)))
    return foreground, background


def _sweep(
    foreground: Tensor, background: Tensor, image: Tensor, alpha: Tensor, unknown: Tensor, beliefs: Beliefs, rounds: int
) -> None:
    """Improve both layers of one level in place. Channel by channel: at UHD one channel's scratch is 33 MB a piece."""
    size = tuple(alpha.shape[-2:])
    f, g = (shrink(x, *size)[0] for x in (beliefs.foreground_roughness, beliefs.background_roughness))
    a, b = alpha[0], 1 - alpha[0]
    weights = [(near - a).abs_().mul_(EDGE).add_(FLAT) for near in _neighbours(a)]
    total = weights[0] + weights[1] + weights[2] + weights[3]
    spread_f = f / total  # variance of F once its neighbours are known
    spread_b = g if beliefs.given else g / total
    allowed = spread_f * a * a + spread_b * b * b + DATA_NOISE**2 * (a * a * f + b * b * g)
    doubt = ALPHA_NOISE**2 / 3 * a * b * unknown[0]
    ranges = [_range(image, alpha, beliefs, c, size) for c in range(3)]
    for _ in range(rounds):
        evidence = (foreground - background).square_().sum(0).mul_(doubt).add_(allowed).reciprocal_()
        gain_f, gain_b = spread_f * a * evidence, spread_b * b * evidence
        for c in range(3):
            from_f = _mean_of_neighbours(foreground[c], weights, total)
            from_b = (
                shrink(beliefs.background[c : c + 1], *size)[0]
                if beliefs.given
                else _mean_of_neighbours(background[c], weights, total)
            )
            rest = image[c] - a * from_f - b * from_b
            low_f, high_f, low_b, high_b = ranges[c]
            foreground[c] = from_f.addcmul_(gain_f, rest).maximum(low_f).minimum(high_f)
            background[c] = (from_b + gain_b * rest).maximum(low_b).minimum(high_b)


def _neighbours(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left, right, above and below of (H, W), the border repeated."""
    p = pad(x[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    return p[1:-1, :-2], p[1:-1, 2:], p[:-2, 1:-1], p[2:, 1:-1]


def _mean_of_neighbours(x: Tensor, weights: list[Tensor], total: Tensor) -> Tensor:
    left, right, above, below = _neighbours(x)
    result = left * weights[0]
    result.addcmul_(right, weights[1]).addcmul_(above, weights[2]).addcmul_(below, weights[3])
    return result.div_(total)


def _range(
    image: Tensor, alpha: Tensor, beliefs: Beliefs, c: int, size: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lower and upper ends of F and of B for one channel, (H, W) each, opened just enough to explain the plate."""
    f, b = (shrink(x[c : c + 1], *size)[0] for x in (beliefs.brightest_foreground, beliefs.brightest_background))
    return widened(image[c], alpha[0], beliefs.darkest[c], f, b)


def widened(i: Tensor, a: Tensor, darkest: Tensor, f: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ranges (low F, high F, low B, high B) in which i = a F + (1 - a) B has a solution.

    Upper ends grow by the same factor, lower ends sink by the same amount; both stay as they are where they suffice.
    """
    factor = (i / torch.lerp(b, f, a)).clamp_(min=1)
    low = darkest + (i - darkest).clamp_(max=0)
    return low, f * factor, low, b * factor


def explain(
    image: Tensor, alpha: Tensor, foreground: Tensor, background: Tensor, beliefs: Beliefs, keep: Tensor
) -> tuple[Tensor, Tensor]:
    """The nearest layers that explain the plate exactly: I = alpha F + (1 - alpha) B up to rounding, 0 < alpha < 1.

    What is left of the plate goes to each layer in the measure of its roughness (a^2 f to b^2 g), first within their
    ranges, F last. Images here are columns of pixels, (3, N), alpha and roughness (1, N).

    Args:
        keep: (1, N) in 0..1, how little F may move: where it was settled by other means.
    """
    a, b = alpha, 1 - alpha
    share = a * a * beliefs.foreground_roughness
    share = share / (share + b * b * beliefs.background_roughness).clamp(min=1e-20)
    rest = image - a * foreground - b * background
    foreground = foreground + (1 - keep) * share * rest / a.clamp(min=1e-6)
    low_f, high_f, low_b, high_b = widened(
        image, a, beliefs.darkest, beliefs.brightest_foreground, beliefs.brightest_background
    )
    low_f = torch.maximum(low_f, (image - b * high_b) / a.clamp(min=1e-6))
    high_f = torch.minimum(high_f, (image - b * low_b) / a.clamp(min=1e-6))
    foreground = foreground.maximum(low_f).minimum(high_f)
    background = ((image - a * foreground) / b.clamp(min=1e-6)).maximum(low_b).minimum(high_b)
    # Divide by the larger of the two, so that rounding stays rounding.
    return torch.where(a >= 0.5, (image - b * background) / a.clamp(min=0.5), foreground), background
