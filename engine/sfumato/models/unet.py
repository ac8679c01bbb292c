"""Stable Diffusion 1 and 2: a U-Net that looks at one CLIP encoder's words by cross attention.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", 2022, arXiv 2112.10752.
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
from sfumato.models.text import Encoder, Slots, Worded, clip_encoder

_WANTS = ("class_embed_type", "num_class_embeds", "addition_embed_type", "encoder_hid_dim_type", "time_cond_proj_dim")


@dataclass(frozen=True)
class UnetDenoiser:
    """diffusers' UNet2DConditionModel, given nothing but words."""

    network: Any
    prediction: Prediction

    def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        """See `Denoiser`."""
        dtype = self.network.dtype
        out: Tensor = self.network(
            latent.to(dtype),
            torch.full((len(latent),), node.time, device=latent.device),
            encoder_hidden_states=context.tokens.to(dtype),
            return_dict=False,
        )[0]
        return out


@dataclass(frozen=True)
class UnetEmbedder(Worded):
    """The last layer of one CLIP encoder, every slot shown."""

    encoder: Encoder

    @property
    def slots(self) -> Slots:
        """See `Worded`."""
        return self.encoder.slots

    def one(self, prompt: str) -> Context:
        """See `Worded`."""
        masked = bool(getattr(self.encoder.network.config, "use_attention_mask", False))
        return Context(self.encoder(prompt, masked)[0].last_hidden_state)


def unet(folder: Folder, prediction: Prediction) -> Parts:
    """Stable Diffusion 1.x and 2.x."""
    embedder = UnetEmbedder(clip_encoder(folder))
    network, codec = load_unet(folder)
    return Parts(UnetDenoiser(network, prediction), codec, embedder, network, network.config.sample_size or 64, 1)


def load_unet(folder: Folder, given: str | None = None) -> tuple[Any, Any]:
    """A U-Net and its codec, if nothing is wanted of us but words, and what is `given` besides.

    Raises:
        RequestError: the U-Net wants something else as well: classes, pictures, a guidance weight.
    """
    network = folder.network("unet", "UNet2DConditionModel")
    config = network.config
    wants = [f"{name} {config[name]}" for name in _WANTS if config.get(name) not in (None, given)]
    if wants:
        raise RequestError(
            f"the unet of {folder.path} wants more than words: {', '.join(wants)}",
            "take a plain text-to-image model",
        )
    return network, load_codec(folder, config.in_channels)
