"""A denoiser of small pictures in the design space of Karras et al., "Elucidating the Design Space", 2022 (EDM).

D(z; sigma) = c_skip z + c_out F(c_in z, c_noise): a network F whose input and target are of unit size at every level.
F is a transformer over patches, after Peebles and Xie, "Scalable Diffusion Models with Transformers", 2023: among what
was tried here it learns most in an hour of a CPU.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfumato.diffusion.protocols import Prediction
from sfumato.diffusion.schedule import Node

SIGMA_DATA = 0.5  # the standard deviation of pictures in -1 .. 1, as in the paper
CLASSES = 10


@dataclass(frozen=True)
class Size:
    """The shape of the network."""

    side: int = 32  # pixels of a picture's side
    patch: int = 4  # of a token's side
    width: int = 128
    depth: int = 8
    heads: int = 4
    hidden: int = 352  # of the gated layer in each block
    classes: int = CLASSES


@dataclass(frozen=True)
class Preconditioning:
    """c_skip, c_out, c_in, c_noise of levels sigma (B,), each (B,): table 1 of the paper, right column."""

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor

    @classmethod
    def at(cls, sigma: Tensor, data: float = SIGMA_DATA) -> "Preconditioning":
        """sigma (B,) > 0, any float dtype; data the standard deviation of pictures."""
        total = sigma**2 + data**2
        return cls(data**2 / total, sigma * data / total.sqrt(), 1 / total.sqrt(), sigma.log() / 4)


class Transformer(nn.Module):
    """F: scaled pictures (B, 3, side, side), c_noise (B,), labels (B,) int64 -> (B, 3, side, side)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        tokens, values = (size.side // size.patch) ** 2, 3 * size.patch**2
        self.enter = nn.Linear(values, size.width)
        self.places = nn.Parameter(torch.empty(tokens, size.width))
        self.level = nn.Sequential(nn.Linear(size.width, size.width), nn.SiLU(), nn.Linear(size.width, size.width))
        self.label = nn.Embedding(size.classes, size.width)
        self.shared = nn.Linear(size.width, 6 * size.width)
        self.blocks = nn.ModuleList(_Block(size) for _ in range(size.depth))
        self.last = nn.Linear(size.width, 2 * size.width)
        self.leave = nn.Linear(size.width, values)

    def forward(self, z: Tensor, noise: Tensor, label: Tensor) -> Tensor:
        """See the class."""
        told = nn.functional.silu(self.level(_waves(noise, self.size.width)) + self.label(label))
        changes = self.shared(told)
        x = self.enter(_patches(z, self.size.patch)) + self.places
        for block in self.blocks:
            x = block(x, changes)
        shift, scale = self.last(told).chunk(2, -1)
        return _pictures(self.leave(_modulated(x, shift, scale)), self.size.patch)

    def initialise(self, generator: torch.Generator) -> "Transformer":
        """Fresh weights: every block, and the answer, begin as nothing."""
        for name, weight in self.named_parameters():
            if weight.ndim == 1 or name.startswith(("leave", "shared", "last")) or name.endswith("changes"):
                nn.init.zeros_(weight)
            elif name in ("places", "label.weight"):  # a label as loud as a level, or it is heard too late
                nn.init.normal_(weight, std=0.02 if name == "places" else 1.0, generator=generator)
            else:
                nn.init.xavier_uniform_(weight, generator=generator)
        return self


class _Block(nn.Module):
    """Attention and a gated layer; what the level and the label ask for shifts, scales and gates both."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads = size.heads
        self.mixed = nn.Linear(size.width, 3 * size.width)
        self.merged = nn.Linear(size.width, size.width)
        self.widened = nn.Linear(size.width, 2 * size.hidden)
        self.narrowed = nn.Linear(size.hidden, size.width)
        self.changes = nn.Parameter(torch.empty(6 * size.width))  # what this block adds to the shared changes

    def forward(self, x: Tensor, changes: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (changes + self.changes).chunk(6, -1)
        x = x + gate_a[:, None] * self.attended(_modulated(x, shift_a, scale_a))
        gate, value = self.widened(_modulated(x, shift_m, scale_m)).chunk(2, -1)
        narrowed: Tensor = self.narrowed(nn.functional.silu(gate) * value)
        return x + gate_m[:, None] * narrowed

    def attended(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = self.mixed(x).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each (B, H, T, C / H)
        weights = (q * (width / self.heads) ** -0.5) @ k.transpose(-1, -2)
        merged: Tensor = self.merged((weights.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, width))
        return merged


def make_network(size: Size, generator: torch.Generator) -> Transformer:
    """A network with fresh weights, drawn from the generator and nothing else."""
    with torch.device("meta"):
        network = Transformer(size)
    return network.to_empty(device="cpu").initialise(generator)


def denoise(network: nn.Module, z: Tensor, sigma: Tensor, label: Tensor) -> Tensor:
    """D(z; sigma): the expected clean picture. Eq. (7).

    Args:
        network: F, as `Transformer`.
        z: (B, 3, H, W), pictures in -1 .. 1 plus noise of deviation sigma.
        sigma: (B,), > 0.
        label: (B,) int64.

    Returns:
        (B, 3, H, W), dtype of z.
    """
    c = Preconditioning.at(sigma)
    answer: Tensor = network(c.into[:, None, None, None] * z, c.noise, label)
    return c.skip[:, None, None, None] * z + c.out[:, None, None, None] * answer.to(z.dtype)


@dataclass(frozen=True)
class LabelledDenoiser:
    """A Predictor: the network, and what each picture of the batch is to show.

    network: F.
    label: (B,) int64, one for each latent of a walk.
    bfloat16: Whether matrix products are; four times faster on processors that have them. Latents stay as they are.
    """

    network: nn.Module
    label: Tensor
    bfloat16: bool = False
    prediction: Prediction = "x0"

    @torch.no_grad()
    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        """D(latent; sigma of node), (B, 3, H, W), dtype of latent."""
        sigma = latent.new_full((len(latent),), node.sigma)
        with torch.autocast(latent.device.type, torch.bfloat16, enabled=self.bfloat16):
            return denoise(self.network, latent, sigma, self.label)


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return nn.functional.layer_norm(x, x.shape[-1:]) * (1 + scale[:, None]) + shift[:, None]


def _waves(noise: Tensor, width: int) -> Tensor:
    """Sines and cosines of c_noise (B,), a quarter of a turn to eight turns a unit: (B, width).

    A unit of c_noise is a factor of 55 in sigma; finer waves would let the answer jump between neighbouring levels.
    """
    turns = 2 * math.pi * 2.0 ** torch.linspace(-2, 3, width // 2, device=noise.device, dtype=noise.dtype)
    angle = noise[:, None] * turns
    return torch.cat([angle.cos(), angle.sin()], -1)


def _patches(z: Tensor, patch: int) -> Tensor:
    return nn.functional.pixel_unshuffle(z, patch).flatten(2).transpose(1, 2)  # (B, T, 3 patch^2)


def _pictures(tokens: Tensor, patch: int) -> Tensor:
    side = math.isqrt(tokens.shape[1])
    return nn.functional.pixel_shuffle(tokens.transpose(1, 2).reshape(len(tokens), -1, side, side), patch)
