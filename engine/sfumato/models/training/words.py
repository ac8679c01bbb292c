"""Encoders of prompts for our models, before they know anything: transformers' CLIPTextModel or T5EncoderModel."""

from typing import Any

import torch
from torch import nn

from sfumato.models.training.captions import SLOTS, make_tokenizer

FAR = -100.0  # what is added to the attention of words that do not see each other
BUCKETS = 32


def make_causal(width: int, layers: int) -> Any:
    """Each word sees those before it: CLIP's, small."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(make_tokenizer()),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=SLOTS,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return CLIPTextModel(config)


def make_near(width: int, layers: int) -> Any:
    """Each word sees its neighbours, so "red" and "ball" know of each other, and "on" and the ground of neither.

    Words that know of things elsewhere in the prompt would draw those things wherever they are looked at themselves.
    T5's biases by distance are 0 to a neighbour and `FAR` beyond, and stay so.
    """
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=len(make_tokenizer()),
        d_model=width,
        d_kv=width // 4,
        d_ff=2 * width,
        num_layers=layers,
        num_heads=4,
        relative_attention_num_buckets=BUCKETS,
        dropout_rate=0.0,
        pad_token_id=0,
        eos_token_id=2,
    )
    words = T5EncoderModel(config)
    hold_near(words)
    return words


@torch.no_grad()
def hold_near(words: Any) -> None:
    """Set the biases by distance, and leave training nothing to change in them."""
    table = words.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    table.fill_(FAR)
    table[[0, 1, BUCKETS // 2 + 1]] = 0.0  # the word itself, the one before, the one after
    table.requires_grad_(False)


@torch.no_grad()
def begin_near(words: Any, table: torch.Tensor) -> None:
    """Let each word begin as its row of a table (V, width), and its neighbours add nothing at first."""
    sizes = table.square().mean(-1, keepdim=True).sqrt()
    words.shared.weight.copy_(table)
    words.encoder.embed_tokens.weight = words.shared.weight
    nn.init.constant_(words.encoder.final_layer_norm.weight, float(sizes.mean()))
    for block in words.encoder.block:
        nn.init.zeros_(block.layer[0].SelfAttention.o.weight)
        nn.init.zeros_(block.layer[1].DenseReluDense.wo.weight)
