"""A trained folder's weights as the beginning of another training."""

import random
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from sfumato.device import seeded
from sfumato.models.load_files import read_json
from sfumato.models.training.captions import caption, make_tokenizer
from sfumato.models.training.codec import make_codec
from sfumato.models.training.network import Design, Networks
from sfumato.models.training.placement import placed_scenes


def carried(folder: Path, design: Design) -> Networks:
    """The networks of a folder by `save_folder`, as those of a design that differs in its encoder of words at most.

    Where words looked at each other and now do not, each begins as the mean of what it used to become in captions.
    """
    networks = Networks(design=design)
    _load(networks.transformer, folder / "transformer" / "diffusion_pytorch_model.safetensors")
    layers = int(read_json(folder / "text_encoder" / "config.json")["num_hidden_layers"])
    old = networks if layers == design.layers else Networks(design=replace(design, layers=layers))
    _load(old.words, folder / "text_encoder" / "model.safetensors")
    if old is not networks:
        _alone(old.words, networks.words)
    return networks


def carried_codec(folder: Path) -> Any:
    """The codec of a folder by `save_folder`, at rest."""
    codec = make_codec()
    _load(codec, folder / "vae" / "diffusion_pytorch_model.safetensors")
    return codec.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def _load(network: Any, file: Path) -> None:
    network.load_state_dict({name: weight.float() for name, weight in load_file(file).items()})


@torch.no_grad()
def _alone(old: Any, new: Any, count: int = 2000) -> None:
    """Embeddings such that the last normalisation makes each word's mean of them; places in a prompt small at first."""
    rng, norm = random.Random(0), old.final_layer_norm
    filled = make_tokenizer()(
        [caption(scene, rng) for scene in islice(placed_scenes(0), count)],
        padding="max_length",
        return_tensors="pt",
    )
    mask = filled.attention_mask.bool()
    told = old(filled.input_ids, attention_mask=mask).last_hidden_state[mask]
    table = new.embeddings.token_embedding.weight
    sums = torch.zeros_like(table).index_add_(0, filled.input_ids[mask], told)
    seen: Tensor = torch.bincount(filled.input_ids[mask], minlength=len(table)).unsqueeze(1)
    table.copy_(torch.where(seen > 0, (sums / seen.clamp(min=1) - norm.bias) / norm.weight, table))
    new.embeddings.position_embedding.weight.normal_(std=0.2, generator=seeded(0, "places"))
    new.final_layer_norm.load_state_dict(norm.state_dict())
