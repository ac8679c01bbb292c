"""A trained folder's weights as the beginning of another training."""

import random
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from sfumato.models.load_files import read_json
from sfumato.models.training.captions import caption, make_tokenizer
from sfumato.models.training.codec import make_codec
from sfumato.models.training.grounding_shots import GroundedShots
from sfumato.models.training.network import EMBEDDED, Design, Networks
from sfumato.models.training.placement import placed_scenes
from sfumato.models.training.words import begin_near


def carried(folder: Path, design: Design) -> Networks:
    """The networks of a folder by `save_folder`, as those of a design that differs in its encoder of words at most.

    Where words saw all before them and now see neighbours, each begins as the mean of what it used to become.
    """
    networks = Networks(design=design)
    _load(networks.transformer, folder / "transformer" / "diffusion_pytorch_model.safetensors")
    if read_json(folder / "text_encoder" / "config.json")["model_type"] == "t5":
        _load_near(networks.words, folder)
        return networks
    old = Networks(design=EMBEDDED)
    _load(old.words, folder / "text_encoder" / "model.safetensors")
    begin_near(networks.words, _means(old.words))
    return networks


def carried_shots(folder: Path, design: Design) -> GroundedShots:
    """The networks of a folder by `save_shots`."""
    networks = GroundedShots(Networks(design=design))
    _load(networks.transformer, folder / "transformer" / "diffusion_pytorch_model.safetensors")
    _load_near(networks.words, folder)
    return networks


def carried_codec(folder: Path) -> Any:
    """The codec of a folder by `save_folder`, at rest."""
    codec = make_codec()
    _load(codec, folder / "vae" / "diffusion_pytorch_model.safetensors")
    return codec.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def _load(network: Any, file: Path) -> None:
    network.load_state_dict({name: weight.float() for name, weight in load_file(file).items()})


def _load_near(words: Any, folder: Path) -> None:
    weights = {k: weight.float() for k, weight in load_file(folder / "text_encoder" / "model.safetensors").items()}
    words.load_state_dict({**weights, "encoder.embed_tokens.weight": weights["shared.weight"]})


@torch.no_grad()
def _means(words: Any, count: int = 2000) -> Tensor:
    """What each word became on average in captions, (V, width); of those that did not occur, nothing."""
    rng = random.Random(0)
    filled = make_tokenizer()(
        [caption(scene, rng) for scene in islice(placed_scenes(0), count)],
        padding="max_length",
        return_tensors="pt",
    )
    mask = filled.attention_mask.bool()
    told = words(filled.input_ids, attention_mask=mask).last_hidden_state[mask]
    sums = torch.zeros(words.config.vocab_size, told.shape[-1]).index_add_(0, filled.input_ids[mask], told)
    seen: Tensor = torch.bincount(filled.input_ids[mask], minlength=len(sums)).unsqueeze(1)
    return sums / seen.clamp(min=1)
