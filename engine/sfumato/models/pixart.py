"""PixArt, and the embedded model, which is one on pixels: a transformer that looks at words by cross attention.

Chen et al., "PixArt-alpha", 2023, arXiv 2310.00426.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.diffusion.protocols import Context, Prediction
from sfumato.diffusion.schedule import Node
from sfumato.models.codecs import load_codec
from sfumato.models.load_folder import Folder
from sfumato.models.load_parts import Parts
from sfumato.models.text import Encoder, Slots, Worded, clip_encoder, t5_encoder


@dataclass(frozen=True)
class PixArtDenoiser:
    """diffusers' PixArtTransformer2DModel.

    factor: Pixels a side for one place of the latent: some of these networks are told the picture's size.
    """

    network: Any
    prediction: Prediction
    factor: int

    def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        """See `Denoiser`."""
        rows, channels, height, width = latent.shape
        dtype, device = self.network.dtype, latent.device
        told: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
        if self.network.use_additional_conditions:
            sides = [height * self.factor, width * self.factor]
            told["resolution"] = torch.tensor([sides] * rows, dtype=dtype, device=device)
            told["aspect_ratio"] = torch.tensor([[height / width]] * rows, dtype=dtype, device=device)
        out: Tensor = self.network(
            latent.to(dtype),
            encoder_hidden_states=context.tokens.to(dtype),
            encoder_attention_mask=context.mask,
            timestep=torch.full((rows,), node.time, device=device),
            added_cond_kwargs=told,
            return_dict=False,
        )[0]
        return out[:, :channels]  # a learned variance, where there is one, comes after the answer


@dataclass(frozen=True)
class PixArtEmbedder(Worded):
    """One text encoder, T5 or our own CLIP, its empty slots masked."""

    encoder: Encoder

    @property
    def slots(self) -> Slots:
        """See `Worded`."""
        return self.encoder.slots

    def one(self, prompt: str) -> Context:
        """See `Worded`."""
        found, mask = self.encoder(prompt, masked=True)
        return Context(found.last_hidden_state, mask)


def pixart(folder: Folder, prediction: Prediction) -> Parts:
    """PixArt-alpha, PixArt-Sigma, or ours."""
    if folder.kind("text_encoder") == "CLIPTextModel":
        encoder = clip_encoder(folder)
    else:
        sigma = "Sigma" in str(folder.index.get("_class_name"))
        encoder = t5_encoder(folder, 300 if sigma else 120, lower=True)
    network = folder.network("transformer", "PixArtTransformer2DModel")
    config = network.config
    codec = load_codec(folder, config.in_channels)
    denoiser = PixArtDenoiser(network, prediction, codec.factor)
    return Parts(denoiser, codec, PixArtEmbedder(encoder), network, config.sample_size, config.patch_size)
