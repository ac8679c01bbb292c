"""Latte, and the embedded model of shots, which is one: PixArt's blocks, and after each one that looks along time.

Ma et al., "Latte: Latent Diffusion Transformer for Video Generation", 2024, arXiv 2401.03048.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.diffusion.protocols import Context, Prediction
from sfumato.diffusion.schedule import Node
from sfumato.errors import RequestError
from sfumato.models.codecs import load_codec
from sfumato.models.load_folder import Folder
from sfumato.models.load_parts import Parts
from sfumato.models.pixart import PixArtEmbedder
from sfumato.models.text import clip_encoder, t5_encoder


@dataclass(frozen=True)
class LatteDenoiser:
    """diffusers' LatteTransformer3DModel, on latents (B, C, F, h, w)."""

    network: Any
    prediction: Prediction

    def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        """See `Denoiser`. Raises RequestError for a clip of another length than the network's own."""
        rows, channels, frames = latent.shape[:3]
        own = self.network.config.video_length
        if frames != own:
            raise RequestError(f"a clip of {frames} frames for a network that makes {own}", f"ask for {own} frames")
        out: Tensor = self.network(
            latent.to(self.network.dtype),
            timestep=torch.full((rows,), node.time, device=latent.device),
            encoder_hidden_states=context.tokens.to(self.network.dtype),
            encoder_attention_mask=shown(context.mask, frames, self.network.dtype),
            return_dict=False,
        )[0]
        return out[:, :channels]


def shown(mask: Tensor | None, frames: int, dtype: torch.dtype) -> Tensor | None:
    """A mask of words (B, T) as this network takes it, unlike its relatives: (B F, 1, T), added to scores."""
    if mask is None:
        return None
    return ((1 - mask.to(dtype)) * -10000.0).repeat_interleave(frames, 0).unsqueeze(1)


def latte(folder: Folder, prediction: Prediction) -> Parts:
    """Latte, or ours."""
    ours = folder.kind("text_encoder") == "CLIPTextModel"
    encoder = clip_encoder(folder) if ours else t5_encoder(folder, 120, lower=True)
    network = folder.network("transformer", "LatteTransformer3DModel")
    config = network.config
    codec = load_codec(folder, config.in_channels)
    denoiser, embedder = LatteDenoiser(network, prediction), PixArtEmbedder(encoder)
    return Parts(denoiser, codec, embedder, network, config.sample_size, config.patch_size, config.video_length)
