"""Scene-linear light to what a diffusion model was trained to see, and back."""

import torch
from torch import Tensor

CEILING = 1.0  # scene-linear; a model's picture ends at white


def to_display(linear: Tensor) -> Tensor:
    """Scene-linear, any shape, to display-referred 0..1: clipped, then the curve of IEC 61966-2-1 (sRGB)."""
    light = linear.clamp(0, CEILING)
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp_min(1e-9) ** (1 / 2.4) - 0.055)


def to_light(display: Tensor) -> Tensor:
    """Display-referred to scene-linear: the inverse of `to_display` on 0..1, carried on above and clipped below 0.

    A decoder may answer a little more than white; the curve goes on through it, so that nothing is clipped twice.
    """
    code = display.clamp_min(0)
    return torch.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
