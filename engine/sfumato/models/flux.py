"""Flux: words by T5, one vector by CLIP, and latents packed two by two into the places of a sequence.

Black Forest Labs, "FLUX.1", 2024. The dev model is distilled: it is told the guidance weight, and asked once a step.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from sfumato.diffusion.protocols import Context, Prediction
from sfumato.diffusion.schedule import Node
from sfumato.models.codecs import load_codec
from sfumato.models.load_folder import Folder
from sfumato.models.load_parts import Parts
from sfumato.models.text import Encoder, Slots, Worded, clip_encoder, t5_encoder

SIDE = 128  # of the native latent; nowhere in the folder


@dataclass(frozen=True)
class FluxDenoiser:
    """diffusers' FluxTransformer2DModel without a guidance input (schnell)."""

    network: Any
    prediction: Prediction

    def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        """See `Denoiser`. The latent's sides must be even."""
        return self.ask(latent, node, context, None)

    def ask(self, latent: Tensor, node: Node, context: Context, weight: float | None) -> Tensor:
        """The answer of a network that is told a guidance weight, or None."""
        rows, _, height, width = latent.shape
        dtype, device = self.network.dtype, latent.device
        assert context.pooled is not None
        # the time is rounded to the network's dtype before it is divided, as the pipeline does
        time = torch.full((rows,), 1000 * node.time, device=device).to(dtype) / 1000
        out: Tensor = self.network(
            hidden_states=pack(latent.to(dtype)),
            timestep=time,
            guidance=None if weight is None else torch.full((rows,), weight, device=device),
            pooled_projections=context.pooled.to(dtype),
            encoder_hidden_states=context.tokens.to(dtype),
            txt_ids=torch.zeros(context.tokens.shape[1], 3, dtype=dtype, device=device),
            img_ids=places(height // 2, width // 2).to(device, dtype),
            return_dict=False,
        )[0]
        return unpack(out, height, width)


@dataclass(frozen=True)
class DistilledFluxDenoiser(FluxDenoiser):
    """One that is told the guidance weight (dev); see `Distilled`."""

    weight: float = 1.0

    def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        """See `Denoiser`. The latent's sides must be even."""
        return self.ask(latent, node, context, self.weight)

    def told(self, weight: float) -> "DistilledFluxDenoiser":
        """See `Distilled`."""
        return replace(self, weight=weight)


def pack(latent: Tensor) -> Tensor:
    """(B, C, 2 h, 2 w) -> (B, h w, 4 C): row by row, each place with its channels, four corners a channel."""
    return pixel_unshuffle(latent, 2).flatten(2).transpose(1, 2).contiguous()


def unpack(packed: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pack`, to (B, C, height, width)."""
    corners = packed.transpose(1, 2).reshape(len(packed), -1, height // 2, width // 2)
    return pixel_shuffle(corners, 2)


def places(height: int, width: int) -> Tensor:
    """(height width, 3) float32: 0, row and column of each place of a packed latent."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], -1).flatten(0, 1).float()


@dataclass(frozen=True)
class FluxEmbedder(Worded):
    """T5's last layer, and the vector that CLIP makes of a prompt."""

    short: Encoder
    long: Encoder

    @property
    def slots(self) -> Slots:
        """See `Worded`. T5's; CLIP's end at 77 tokens."""
        return self.long.slots

    def one(self, prompt: str) -> Context:
        """See `Worded`."""
        return Context(self.long(prompt)[0].last_hidden_state, pooled=self.short(prompt)[0].pooler_output)


def flux(folder: Folder, prediction: Prediction) -> Parts:
    """FLUX.1 dev (512 slots, guidance as an input) and schnell (256 slots, none)."""
    distilled = bool(folder.config("transformer").get("guidance_embeds"))
    embedder = FluxEmbedder(clip_encoder(folder), t5_encoder(folder, 512 if distilled else 256, "_2"))
    network = folder.network("transformer", "FluxTransformer2DModel")
    codec = load_codec(folder, network.config.in_channels // 4)
    denoiser = (DistilledFluxDenoiser if distilled else FluxDenoiser)(network, prediction)
    return Parts(denoiser, codec, embedder, network, SIDE, 2)
