"""Noise that goes along with the boxes, so that a clip's object has the same beginnings in every frame."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sfumato.place.cast import Cast
from sfumato.place.trailblazer import published_places

LOW = 0.25  # of the band below which frequencies are taken from noise that flows


def flowing(noise: Tensor, cast: Cast, seed: int) -> Tensor:
    """Noise in which what lies in an object's box is the same patch in every frame, in its low frequencies.

    Qiu et al., "FreeTraj", 2024, section 3.2: one patch of noise follows the path; low frequencies, in space and in
    time, are those of the noise so composed, high ones fresh. Variance is 1 at every place before and after.

    # Differs from the paper: a box that changes its size takes the patch by nearest places, which keeps its variance;
    # the filter is a Gaussian of three dimensions.

    Args:
        noise: (1, C, F, h, w) as drawn; a still's is returned as it is.
        cast: Who is where.
        seed: Of the patches.
    """
    if noise.dim() != 5 or noise.shape[2] < 2:
        return noise
    generator = torch.Generator().manual_seed(seed ^ 0x5F0)
    laid = noise.clone()
    for actor in cast.actors:
        patch = torch.randn(1, noise.shape[1], *noise.shape[-2:], generator=generator).to(noise.device)
        for frame, boxes in enumerate(actor.boxes):
            if boxes:
                left, top, right, bottom = published_places(boxes[0], *noise.shape[-2:])
                laid[0, :, frame, top:bottom, left:right] = interpolate(
                    patch, (bottom - top, right - left), mode="nearest-exact"
                )[0]
    low = _low(noise)
    mixed = torch.fft.fftn(laid, dim=(2, 3, 4)) * low + torch.fft.fftn(noise, dim=(2, 3, 4)) * (1 - low)
    found: Tensor = torch.fft.ifftn(mixed, dim=(2, 3, 4)).real
    return found.mul(noise.std() / found.std()).to(noise.dtype)


def _low(noise: Tensor) -> Tensor:
    """1 at frequency 0 and falling as a Gaussian of width `LOW`, cycles a place over the highest, (F, h, w)."""
    time, down, across = (torch.fft.fftfreq(n, device=noise.device) / 0.5 for n in noise.shape[2:])
    squares = time[:, None, None] ** 2 + down[:, None] ** 2 + across**2
    low: Tensor = torch.exp(-squares / (2 * LOW**2))
    return low
