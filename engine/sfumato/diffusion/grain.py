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

    Differences between pixels one and two apart hold grain and edges; their medians hold grain alone, as long as edges
    are the smaller half. How the two compare says how soft the grain is.
    """
    light = light.nan_to_num(0.0, 0.0, 0.0)
    near, far = light[:, :, 1:-2] - light[:, :, 2:-1], light[:, :, 1:-2] - light[:, :, 3:]
    mean = avg_pool2d(light.mean(0)[None, None], 5, 1, 2)[0, 0]
    ok = (where[0, :, 1:-2] & where[0, :, 2:-1] & where[0, :, 3:]) if where.shape[2] > 3 else where[0, :, :0]
    values = mean[:, 1:-2][ok]
    if values.numel() < 50 * BINS:
        return Grain(torch.linspace(0, 1, BINS), torch.zeros(3, BINS), 0.0)
    edges = torch.quantile(values[:: max(1, values.numel() // 200_000)], torch.linspace(0, 1, BINS + 1))
    level, sigma, ratios = [], [], []
    for low, high in itertools.pairwise(edges):
        inside = ok & (mean[:, 1:-2] >= low) & (mean[:, 1:-2] <= high)
        level.append(mean[:, 1:-2][inside].mean())
        d1, d2 = (_NORMAL * d[:, inside].abs().median(1).values for d in (near, far))
        ratios.append(float((d1.square().sum() / d2.square().sum().clamp_min(1e-20)).clamp(0, 1)))
        sigma.append(d2)
    soft = _softness(sorted(ratios)[BINS // 2])
    apart = 1 - soft * soft / (1 + 2 * soft * soft)  # 1 - correlation two pixels apart
    return Grain(torch.stack(level), torch.stack(sigma, 1) / (2 * apart) ** 0.5, soft)


def _softness(ratio: float) -> float:
    """The a of a kernel (a, 1, a) whose noise has this variance ratio of differences one and two pixels apart."""
    choices = torch.linspace(0, 0.5, 51)
    total = 1 + 2 * choices.square()
    ratios = (1 - 2 * choices / total) / (1 - choices.square() / total)
    return float(choices[(ratios - ratio).abs().argmin()])
