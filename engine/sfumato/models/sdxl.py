"""Stable Diffusion XL: two CLIP encoders side by side, one vector for the whole prompt, and the picture's size.

Podell et al., "SDXL", 2023, arXiv 2307.01952.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.diffusion.protocols import Context, Prediction
from sfumato.diffusion.schedule import Node
from sfumato.models.load_folder import Folder
from sfumato.models.load_parts import Parts
from sfumato.models.text import Encoder, Slots, Worded, clip_encoder
from sfumato.models.unet import load_unet


@dataclass(frozen=True)
class XlDenoiser:
    """diffusers' UNet2DConditionModel, told that the picture is an original of its own size, uncropped.

    factor: Pixels a side for one place of the latent.
    """

    network: Any
    prediction: Prediction
    factor: int

    def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        """See `Denoiser`."""
        dtype, device = self.network.dtype, latent.device
        assert context.pooled is not None
        size = [latent.shape[-2] * self.factor, latent.shape[-1] * self.factor]
        sizes = torch.tensor([[*size, 0, 0, *size]] * len(latent), dtype=dtype, device=device)  # original, crop, target
        out: Tensor = self.network(
            latent.to(dtype),
            torch.full((len(latent),), node.time, device=device),
            encoder_hidden_states=context.tokens.to(dtype),
            added_cond_kwargs={"text_embeds": context.pooled.to(dtype), "time_ids": sizes},
            return_dict=False,
        )[0]
        return out


@dataclass(frozen=True)
class XlEmbedder(Worded):
    """The last layer but one of both encoders, joined along the channels; the second's projection is the vector.

    zeros: No prompt is all zeros, as the base model was trained, not what the encoders make of "".
    """

    first: Encoder
    second: Encoder
    zeros: bool

    @property
    def slots(self) -> Slots:
        """See `Worded`."""
        return self.first.slots

    def one(self, prompt: str) -> Context:
        """See `Worded`."""
        first, second = self.first(prompt)[0], self.second(prompt)[0]
        tokens, pooled = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1), second.text_embeds
        if self.zeros and not prompt:
            return Context(torch.zeros_like(tokens), pooled=torch.zeros_like(pooled))
        return Context(tokens, pooled=pooled)


def sdxl(folder: Folder, prediction: Prediction) -> Parts:
    """Stable Diffusion XL, the base model. Its refiner has one encoder only, and is refused for it."""
    first, second = clip_encoder(folder), clip_encoder(folder, "_2", projected=True)
    network, codec = load_unet(folder, "text_time")
    embedder = XlEmbedder(first, second, bool(folder.index.get("force_zeros_for_empty_prompt", True)))
    denoiser = XlDenoiser(network, prediction, codec.factor)
    return Parts(denoiser, codec, embedder, network, network.config.sample_size or 128, 1)
