"""A plate's grain: measured where nothing else moves, and made again where an edit took it away."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from sfumato.device import seeded

PATCH = 16  # pixels a side of what grain is measured on
REACH = 3  # pixels to each side over which grains are alike; film's at 4K are
LEVELS = 8  # brightnesses at most for which grain is measured apart
_SLACK = 1.2  # how much noisier a darker brightness may be measured all the same
_FLAT = 1.25  # a patch is grain and nothing else up to so much more than the grain of the flattest


@dataclass(frozen=True)
class Grain:
    """How strong and how coarse.

    light: (L,) rising, mean of three channels. strength: (L, 3) standard deviation of each channel there.
    together: (3, 3) lower triangle, its square the correlation of channels. kernel: (2 REACH + 1,) * 2, of unit power.
    """

    light: Tensor
    strength: Tensor
    together: Tensor
    kernel: Tensor

    def strength_at(self, light: Tensor) -> Tensor:
        """(3, H, W) for (H, W): straight between brightnesses measured, held beyond the first and last."""
        at = torch.bucketize(light.contiguous(), self.light).clamp(1, max(len(self.light) - 1, 1))
        low, high = at - 1, at.clamp(max=len(self.light) - 1)
        share = ((light - self.light[low]) / (self.light[high] - self.light[low]).clamp_min(1e-12)).clamp(0, 1)
        ends = self.strength.T
        return ends[:, low] * (1 - share) + ends[:, high] * share


def made_grain(grain: Grain, rows: range, columns: range, width: int, seed: int, frame: int) -> Tensor:
    """Grain of unit strength over rows and columns of a plate `width` pixels wide, (3, H, W).

    Each row of each frame has noise of its own, so a pixel's grain does not depend on what else is edited.
    """
    shown = slice(columns.start, columns.stop + 2 * REACH)
    noise = torch.stack(
        [
            torch.randn(width + 2 * REACH, 3, generator=seeded(seed, "grain", frame, row))[shown]
            for row in range(rows.start - REACH, rows.stop + REACH)
        ]
    )
    fields = noise.permute(2, 0, 1)[:, None]
    alike = conv2d(fields, grain.kernel[None, None])[:, 0]
    return torch.einsum("ij,jhw->ihw", grain.together, alike)


def patches_of(fine: Tensor, light: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Up to `most` patches of what is finer than the model's pixels, (n, 3, PATCH^2), and their mean light, (n,).

    Slow changes (a quadratic surface) are taken out. Patches with a hole or without any variation are left out.

    Args:
        fine: (3, H, W), NaN in holes: the plate less what the model sees of it.
        light: (H, W) mean of the plate's channels, for brightness.
    """
    high, wide = fine.shape[1] // PATCH, fine.shape[2] // PATCH
    if not high * wide:
        return fine.new_zeros(0, 3, PATCH**2), fine.new_zeros(0)
    which = torch.arange(0, high * wide, max(1, -(-high * wide // most)))
    found = _cut(fine, high, wide)[:, which].transpose(0, 1)
    means = _cut(light[None], high, wide)[0, which].mean(1)
    found = found - (found @ _surface().to(found)) @ _surface().to(found).T
    sound = found.isfinite().flatten(1).all(1) & (found.square().flatten(1).sum(1) > 0) & means.isfinite()
    return found[sound], means[sound]


def measured(patches: Tensor, light: Tensor) -> Grain | None:
    """The grain of patches (n, 3, PATCH^2) at their light (n,); None where there is none, or too little to tell by.

    How strong it is, is told by the flattest patches of each brightness: texture only adds. How coarse, and how alike
    in the three channels, by the brightness at which most are as flat as the flattest.
    """
    if len(patches) < 4:
        return None
    groups = light.argsort(stable=True).tensor_split(max(1, min(LEVELS, len(light) // 32)))
    flat = [group[_flattest(patches[group].square().sum((1, 2)))] for group in groups]
    flat = [which for which in flat if not _patterned(_spectrum(patches[which]))]
    if not flat:
        return None
    power = torch.stack([patches[which].square().mean((0, 2)) for which in flat])
    plain = patches[max(flat, key=len)]
    spectrum, levels = _spectrum(plain), torch.stack([light[which].mean() for which in flat])
    full = _filled(spectrum)
    return Grain(
        levels,
        _rising((power * full.sum() / spectrum.sum().clamp_min(1e-20)).sqrt(), levels),
        _together(plain / plain.square().mean((0, 2), keepdim=True).sqrt().clamp_min(1e-20)),
        _kernel(full),
    )


def _flattest(power: Tensor) -> Tensor:
    """Which of (n,) patches hold grain and nothing else.

    Clipping from below: those up to `_FLAT` times as strong as the flattest of all, and thrice again as the mean of
    those. Pure grain is taken whole that way; texture, which has patches of any strength, is not climbed far.
    """
    limit = torch.quantile(power, 0.005)
    for _ in range(3):
        limit = power[power <= limit * _FLAT**2].mean()
    return (power <= limit * _FLAT**2).nonzero()[:, 0]


def _together(patches: Tensor) -> Tensor:
    """Lower triangle whose square is the correlation of the three channels."""
    channels = patches.transpose(0, 1).flatten(1)
    likeness = channels @ channels.T / channels.square().sum(1).mean().clamp_min(1e-20)
    triangle: Tensor = torch.linalg.cholesky_ex(likeness + 1e-4 * torch.eye(3))[0]
    return triangle / triangle.square().sum(1, keepdim=True).sqrt().clamp_min(1e-20)


def _rising(strength: Tensor, light: Tensor) -> Tensor:
    """(L, 3) less the texture that gives itself away: no sensor or film is noisier, in light, where it gets less.

    A brightness that is all but clean was clipped, or rendered, and says nothing of the others.
    """
    alive = strength > 1e-3 * light[:, None]
    brighter = strength.where(alive, strength.new_tensor(torch.inf)).flip(0).cummin(0).values.flip(0)
    return torch.minimum(strength, _SLACK * brighter)


def _spectrum(patches: Tensor) -> Tensor:
    """Mean power spectrum of (n, 3, PATCH^2), channels as strong as each other, (PATCH, PATCH)."""
    alike = patches / patches.square().mean((0, 2), keepdim=True).sqrt().clamp_min(1e-20)
    found: Tensor = torch.fft.fft2(alike.mean(1).reshape(-1, PATCH, PATCH)).abs().square().mean(0)
    return found


def _patterned(spectrum: Tensor) -> bool:
    """Whether a few frequencies hold most of the power: stripes, weave, a screen; the coarsest grain stays below."""
    return float(spectrum.flatten().topk(8).values.sum()) > 0.6 * float(spectrum.sum())


def _filled(spectrum: Tensor) -> Tensor:
    """A power spectrum (PATCH, PATCH) with what taking a surface out took out put back: as much as lies beside it."""
    away = torch.fft.fftfreq(PATCH, 1 / PATCH).abs()
    away = torch.maximum(away[:, None], away)
    return torch.where(away <= 1, spectrum[away == 2].mean(), spectrum)


def _kernel(spectrum: Tensor) -> Tensor:
    """The kernel of zero phase whose noise has this power spectrum, cut to REACH, of unit power."""
    middle, size = PATCH // 2, slice(PATCH // 2 - REACH, PATCH // 2 + REACH + 1)
    kernel = torch.fft.ifft2(spectrum.sqrt()).real.roll((middle, middle), (0, 1))[size, size]
    unit: Tensor = kernel / kernel.square().sum().sqrt().clamp_min(1e-20)
    return unit


def _surface() -> Tensor:
    """An orthonormal basis of quadratic surfaces over a patch, (PATCH^2, 6)."""
    line = torch.linspace(-1, 1, PATCH)
    y, x = (part.flatten() for part in torch.meshgrid(line, line, indexing="ij"))
    basis: Tensor = torch.linalg.qr(torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], 1))[0]
    return basis


def _cut(x: Tensor, high: int, wide: int) -> Tensor:
    """(C, H, W) as patches (C, n, PATCH^2)."""
    whole = x[:, : high * PATCH, : wide * PATCH].reshape(len(x), high, PATCH, wide, PATCH)
    return whole.transpose(2, 3).reshape(len(x), high * wide, PATCH**2)
