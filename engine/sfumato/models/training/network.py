"""The embedded model's networks, before they know anything, and the folder they are kept in."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sfumato.models.training.begin import begin
from sfumato.models.training.captions import SLOTS, make_tokenizer
from sfumato.models.training.codec import CHANNELS, SHARE, make_codec

SIZE = 32  # pixels
BETAS = (0.0001, 0.02)
TIMES = 1000
WIDTH, HEADS, DEPTH = 192, 4, 6
WORDS_WIDTH = 128


class Networks(nn.Module):
    """A cross-attention transformer over the codec's 8 x 8 codes, and the encoder of its prompts, trained together.

    transformer: diffusers' PixArtTransformer2DModel; answers v.
    words: transformers' CLIPTextModel, two small layers.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        from diffusers import PixArtTransformer2DModel
        from transformers import CLIPTextConfig, CLIPTextModel

        self.transformer: Any = PixArtTransformer2DModel(
            num_attention_heads=HEADS,
            attention_head_dim=WIDTH // HEADS,
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            num_layers=DEPTH,
            cross_attention_dim=WIDTH,
            sample_size=SIZE // SHARE,
            patch_size=1,
            caption_channels=WORDS_WIDTH,
            use_additional_conditions=False,
        )
        config = CLIPTextConfig(
            vocab_size=len(make_tokenizer()),
            hidden_size=WORDS_WIDTH,
            intermediate_size=4 * WORDS_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=SLOTS,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
        self.words: Any = CLIPTextModel(config)
        begin(self, seed, "embedded")
        _start_as_nothing(self.transformer)

    def forward(self, latent: torch.Tensor, time: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """v of a latent (B, CHANNELS, 8, 8) at training times (B,), under prompts (B, SLOTS) with mask (B, SLOTS)."""
        context = self.words(ids, attention_mask=mask).last_hidden_state
        found: torch.Tensor = self.transformer(
            latent, context, time, encoder_attention_mask=mask.to(latent.dtype), return_dict=False
        )[0]
        return found


def save_folder(networks: Networks, codec: Any, folder: str | Path) -> None:
    """Write a diffusers folder: float16 weights, tokenizer, schedule, index."""
    from diffusers import DDIMScheduler

    folder = Path(folder)
    half = Networks()
    half.load_state_dict(networks.state_dict())
    half.half()
    half.transformer.save_pretrained(folder / "transformer", variant=None)
    half.words.save_pretrained(folder / "text_encoder")
    small = make_codec()
    small.load_state_dict(codec.state_dict())
    small.half().save_pretrained(folder / "vae")
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
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "vae": ["diffusers", "AutoencoderTiny"],
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
