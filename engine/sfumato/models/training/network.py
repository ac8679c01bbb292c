"""The embedded model's networks, before they know anything, and the folder they are kept in."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sfumato.models.training.begin import begin
from sfumato.models.training.captions import make_tokenizer
from sfumato.models.training.codec import CHANNELS, SHARE
from sfumato.models.training.words import hold_near, make_causal, make_near

BETAS = (0.0001, 0.02)
TIMES = 1000


@dataclass(frozen=True)
class Design:
    """What a model of ours is built like.

    size: Height and width of its pictures, pixels. share: Pixels of a code's side; 1 where the codes are the pixels.
    channels: Numbers in a code. patch: Codes of the side of a place. width, heads, depth: Of the transformer.
    words, layers: Width and depth of the encoder of prompts. near: Its words see their neighbours only.
    finer: How many of its places lie where one lay on the grid its weights began on, along a side.
    """

    size: int
    share: int = SHARE
    channels: int = CHANNELS
    patch: int = 1
    width: int = 192
    heads: int = 4
    depth: int = 6
    words: int = 128
    layers: int = 2
    near: bool = False
    finer: int = 1

    @property
    def side(self) -> int:
        """Of a latent, in codes."""
        return self.size // self.share


EMBEDDED = Design(32)
COARSE = Design(32, layers=1, near=True)  # its pictures come out of a larger codec, of 64
PLACE = Design(64, layers=1, near=True, finer=2)
MICRO = Design(16, share=1, channels=3, patch=2, width=64, depth=4, words=64, layers=1)


class Networks(nn.Module):
    """A cross-attention transformer over a picture's codes, and the encoder of its prompts, trained together.

    transformer: diffusers' PixArtTransformer2DModel; answers v.
    words: transformers' CLIPTextModel or T5EncoderModel, small.
    """

    def __init__(self, seed: int = 0, design: Design = EMBEDDED) -> None:
        super().__init__()
        self.design = design
        from diffusers import PixArtTransformer2DModel

        self.transformer: Any = PixArtTransformer2DModel(
            num_attention_heads=design.heads,
            attention_head_dim=design.width // design.heads,
            in_channels=design.channels,
            out_channels=design.channels,
            num_layers=design.depth,
            cross_attention_dim=design.width,
            sample_size=design.side,
            interpolation_scale=design.finer,
            patch_size=design.patch,
            caption_channels=design.words,
            use_additional_conditions=False,
        )
        self.words: Any = (make_near if design.near else make_causal)(design.words, design.layers)
        begin(self, seed, "embedded")
        if design.near:
            hold_near(self.words)
        _start_as_nothing(self.transformer)

    def forward(self, latent: torch.Tensor, time: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """v of latents (B, channels, side, side) at training times (B,), under prompts (B, SLOTS), mask (B, SLOTS)."""
        context = self.words(ids, attention_mask=mask).last_hidden_state
        found: torch.Tensor = self.transformer(
            latent, context, time, encoder_attention_mask=mask.to(latent.dtype), return_dict=False
        )[0]
        return found


def save_folder(networks: Networks, codec: Any, folder: str | Path) -> None:
    """Write a diffusers folder: float16 weights, tokenizer, schedule, index.

    codec: None where the network's codes are pixels.
    """
    from diffusers import DDIMScheduler

    folder = Path(folder)
    half = Networks(design=networks.design)
    half.load_state_dict(networks.state_dict())
    half.half()
    half.transformer.save_pretrained(folder / "transformer", variant=None)
    half.words.save_pretrained(folder / "text_encoder")
    if codec is not None:
        copy.deepcopy(codec).half().save_pretrained(folder / "vae")
    make_tokenizer().save_pretrained(folder / "tokenizer")
    low, high = BETAS
    scheduler = DDIMScheduler(
        num_train_timesteps=TIMES,
        beta_start=low,
        beta_end=high,
        beta_schedule="linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
    )
    scheduler.save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "SfumatoDemoPipeline",
        "transformer": ["diffusers", "PixArtTransformer2DModel"],
        "text_encoder": ["transformers", type(networks.words).__name__],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        **({} if codec is None else {"vae": ["diffusers", "AutoencoderTiny"]}),
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def _start_as_nothing(transformer: Any) -> None:
    """Every block begins as the identity, the answer as 0: Peebles and Xie, "DiT", 2022, section 3.2 (adaLN-Zero)."""
    for layer in (transformer.adaln_single.linear, transformer.proj_out):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    nn.init.zeros_(transformer.scale_shift_table)
    for block in transformer.transformer_blocks:
        nn.init.zeros_(block.scale_shift_table)
        nn.init.zeros_(block.attn2.to_out[0].weight)
