"""Stable Diffusion 3: a transformer in which words and picture attend to each other; two CLIPs, and T5 where present.

Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", 2024, arXiv 2403.03206.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sfumato.diffusion.protocols import Context, Prediction
from sfumato.diffusion.schedule import Node
from sfumato.errors import RequestError
from sfumato.models.codecs import load_codec
from sfumato.models.load_folder import Folder
from sfumato.models.load_parts import Parts
from sfumato.models.text import Encoder, Slots, Tokens, Worded, clip_encoder, t5_encoder

T5_SLOTS = 256


@dataclass(frozen=True)
class Sd3Denoiser:
    """diffusers' SD3Transformer2DModel. It is told times 0..1000."""

    network: Any
    prediction: Prediction

    def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        """See `Denoiser`. Raises RequestError for a picture larger than the network has places for."""
        config, dtype = self.network.config, self.network.dtype
        most = config.pos_embed_max_size * config.patch_size
        if max(latent.shape[-2:]) > most:
            raise RequestError(
                f"a latent of {latent.shape[-1]} x {latent.shape[-2]} for a network that ends at {most}",
                "scale the picture down",
            )
        assert context.pooled is not None
        out: Tensor = self.network(
            hidden_states=latent.to(dtype),
            timestep=torch.full((len(latent),), 1000 * node.time, device=latent.device),
            encoder_hidden_states=context.tokens.to(dtype),
            pooled_projections=context.pooled.to(dtype),
            return_dict=False,
        )[0]
        return out


@dataclass(frozen=True)
class Sd3Embedder(Worded):
    """Both CLIPs' last layers but one, side by side and filled up with zeros to T5's width; then T5's slots.

    long: T5; zeros stand for it where it was left out.
    width: Of the context, in channels.
    """

    first: Encoder
    second: Encoder
    long: Encoder | None
    width: int

    @property
    def slots(self) -> Slots:
        """See `Worded`. T5's where it is; the CLIPs' end at 77 tokens."""
        return (self.long or self.first).slots

    def tokens(self, prompt: str) -> Tokens:
        """See `Model.tokens`."""
        empty: Tokens = [("", 0, 0)] * T5_SLOTS
        return self.first.slots.tokens(prompt) + (self.long.slots.tokens(prompt) if self.long else empty)

    def one(self, prompt: str) -> Context:
        """See `Worded`."""
        first, second = self.first(prompt)[0], self.second(prompt)[0]
        short = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1)
        short = pad(short, (0, self.width - short.shape[-1]))
        long = self.long(prompt)[0].last_hidden_state if self.long else short.new_zeros(1, T5_SLOTS, self.width)
        return Context(torch.cat([short, long], 1), pooled=torch.cat([first.text_embeds, second.text_embeds], -1))


def sd3(folder: Folder, prediction: Prediction) -> Parts:
    """Stable Diffusion 3 and 3.5, with T5 or without."""
    first, second = (clip_encoder(folder, number, projected=True) for number in ("", "_2"))
    long = t5_encoder(folder, T5_SLOTS, "_3") if folder.kind("text_encoder_3") else None
    network = folder.network("transformer", "SD3Transformer2DModel")
    config = network.config
    codec = load_codec(folder, config.in_channels)
    embedder = Sd3Embedder(first, second, long, config.joint_attention_dim)
    return Parts(Sd3Denoiser(network, prediction), codec, embedder, network, config.sample_size, config.patch_size)
