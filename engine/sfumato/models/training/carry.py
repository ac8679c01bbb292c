"""A trained folder's weights as the beginning of another training: of larger pictures, or of shots."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from sfumato.models.training.codec import make_codec
from sfumato.models.training.network import Design, Networks


def carried(folder: Path, design: Design) -> Networks:
    """The networks of a folder by `save_folder`, its places now of more codes each.

    A place of p x p codes begins as what the old network would make of their mean, and answers them all alike.
    """
    networks = Networks(design=design)
    weights = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    kernel = weights["pos_embed.proj.weight"].float()
    if kernel.shape[-1] != design.patch:
        part = design.patch // kernel.shape[-1]
        weights["pos_embed.proj.weight"] = kernel.repeat(1, 1, part, part) / part**2
        for name in ("proj_out.weight", "proj_out.bias"):
            weights[name] = _spread(weights[name].float(), part**2)
    networks.transformer.load_state_dict({name: weight.float() for name, weight in weights.items()})
    words = load_file(folder / "text_encoder" / "model.safetensors")
    networks.words.load_state_dict({name: weight.float() for name, weight in words.items()})
    return networks


def carried_codec(folder: Path) -> Any:
    """The codec of a folder by `save_folder`, at rest."""
    codec = make_codec()
    weights = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    codec.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return codec.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def _spread(rows: Tensor, parts: int) -> Tensor:
    """Rows of an answer once for each code of a place: diffusers lays out codes before channels."""
    return rows.repeat(parts, *([1] * (rows.ndim - 1)))
