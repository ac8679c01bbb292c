"""A plate's grain: measured where nothing else moves, and made again where an edit took it away."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pad

BINS = 6
_NORMAL = 1.4826  # median absolute deviation to standard deviation


@dataclass(frozen=True)
class Grain:
    """level: (BINS,) mean light of each bin, rising. sigma: (3, BINS) standard deviation there. soft: 0..0.5, how much
    of a grain lies on each neighbour: 0 for noise that is independent from pixel to pixel."""

    level: Tensor
    sigma: Tensor
    soft: float

    def made(self, light: Tensor, generator: torch.Generator) -> Tensor:
        """Grain for a picture (3, H, W) of this light, (3, H, W), as strong as measured at each pixel's brightness."""
        noise = torch.randn(light.shape, generator=generator).to(light.device)
        line = torch.tensor([self.soft, 1.0, self.soft], device=light.device)
        kernel = (line[:, None] * line / line.square().sum())[None, None]
        noise = conv2d(pad(noise[:, None], (1, 1, 1, 1), mode="replicate"), kernel)[:, 0]
        return noise * self._sigma_at(light.mean(0))

    def _sigma_at(self, light: Tensor) -> Tensor:
        """(3, H, W), straight between bins and held beyond the first and last."""
        level = self.level.to(light.device)
        at = torch.bucketize(light, level).clamp(1, len(level) - 1)
        low, high = level[at - 1], level[at]
        share = ((light - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)
        sigma = self.sigma.to(light.device)
        return sigma[:, at - 1] * (1 - share) + sigma[:, at] * share


def measure_grain(light: Tensor, where: Tensor) -> Grain:
    """The grain of a plate (3, H, W), scene-linear, taken where a mask (1, H, W) bool is True.

    Second differences of neighbours and of every other pixel hold grain and edges, and no slopes; their medians hold
    grain alone, as long as edges are the smaller half. How the two compare says how soft the grain is.
    """
    light = light.nan_to_num(0.0, 0.0, 0.0)
    if light.shape[2] < 5:
        return _none(light)
    middle = light[:, :, 2:-2]
    near = light[:, :, 1:-3] - 2 * middle + light[:, :, 3:-1]
    far = light[:, :, :-4] - 2 * middle + light[:, :, 4:]
    mean = avg_pool2d(light.mean(0)[None, None], 5, 1, 2, count_include_pad=False)[0, 0, :, 2:-2]
    ok = where[0, :, :-4] & where[0, :, 1:-3] & where[0, :, 2:-2] & where[0, :, 3:-1] & where[0, :, 4:]
    values = mean[ok]
    if values.numel() < 50 * BINS:
        return _none(light)
    edges = torch.quantile(values[:: max(1, values.numel() // 200_000)], torch.linspace(0, 1, BINS + 1))
    level, sigma, ratios = [], [], []
    for low, high in itertools.pairwise(edges):
        inside = ok & (mean >= low) & (mean <= high)
        level.append(mean[inside].mean())
        d1, d2 = (_NORMAL * d[:, inside].abs().median(1).values for d in (near, far))
        ratios.append(float((d1.square().sum() / d2.square().sum().clamp_min(1e-20)).clamp(0, 1)))
        sigma.append(d2)
    soft = _softness(sorted(ratios)[BINS // 2])
    return Grain(torch.stack(level), torch.stack(sigma, 1) / _powers(torch.tensor(soft))[1] ** 0.5, soft)


def _none(light: Tensor) -> Grain:
    return Grain(torch.linspace(0, 1, BINS), light.new_zeros(3, BINS), 0.0)


def _powers(soft: Tensor) -> tuple[Tensor, Tensor]:
    """Power of the two second differences of grain of power 1, 6 - 8 r_k + 2 r_2k with r its correlation k apart."""
    total = 1 + 2 * soft.square()
    one, two = 2 * soft / total, soft.square() / total
    return 6 - 8 * one + 2 * two, 6 - 8 * two


def _softness(ratio: float) -> float:
    """The a of a kernel (a, 1, a) whose noise has this ratio of the near difference's power to the far one's."""
    choices = torch.linspace(0, 0.5, 51)
    near, far = _powers(choices)
    return float(choices[(near / far - ratio).abs().argmin()])
