"""Pictures and prompts as a model's own codes, made once and kept in a file: training then needs only the network."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sfumato.diffusion.protocols import Context
from sfumato.errors import InputError
from sfumato.models.model import Model
from sfumato.report import Report, Step, silent
from sfumato.train.checkpoints import write_safetensors
from sfumato.train.pictures import Captioned, read_picture

_PARTS = ("tokens", "mask", "pooled")


@dataclass(frozen=True)
class Encoded:
    """What `encode` has written; read piece by piece, for contexts of many prompts are large.

    path: A safetensors file: latent.N of picture N, tokens.M, mask.M and pooled.M of prompt M; prompt 0 is none.
    says: The number of each picture's prompt.
    """

    path: Path
    says: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.says)

    def latents(self, rows: Sequence[int]) -> Tensor:
        """(B, C, h, w) float32 of pictures."""
        with safe_open(self.path, "pt") as file:
            return torch.cat([file.get_tensor(f"latent.{row}") for row in rows])

    def context(self, prompts: Sequence[int]) -> Context:
        """Of prompts by number."""
        with safe_open(self.path, "pt") as file:
            there = set(file.keys())
            found = [
                torch.cat([file.get_tensor(f"{part}.{number}") for number in prompts]) if f"{part}.0" in there else None
                for part in _PARTS
            ]
        assert found[0] is not None
        return Context(found[0], *found[1:])


@torch.no_grad()
def encode(model: Model, pictures: Sequence[Captioned], path: Path, report: Report = silent) -> Encoded:
    """Encode pictures and prompts, or take what `path` already holds of these very ones.

    Args:
        model: Its codec and embedder. pictures: Each read as `read_picture` does, at the model's own size.

    Raises:
        InputError: see `read_picture`; the codec answers with what is no number.
    """
    prompts = list(dict.fromkeys(["", *(picture.prompt for picture in pictures)]))
    says = tuple(prompts.index(picture.prompt) for picture in pictures)
    key = _key(model, pictures)
    if _kept(path) == key:
        return Encoded(path, says)
    tensors: dict[str, Tensor] = {}
    device = next(model.network.parameters()).device
    total = len(prompts) + len(pictures)
    for number, prompt in enumerate(prompts):
        report(Step("words", number, total))
        made = zip(_PARTS, model.embedder([prompt]), strict=True)
        tensors |= {f"{part}.{number}": found.cpu().contiguous() for part, found in made if found is not None}
    for number, picture in enumerate(pictures):
        report(Step("pictures", len(prompts) + number, total))
        shown = read_picture(picture.path, model.size)[None].to(device)
        latent = model.codec.encode(shown).float().cpu().contiguous()
        if not latent.isfinite().all():
            raise InputError(
                f"the model's codec makes something that is no number of {picture.path}",
                "leave the picture out; a codec kept in 16 bits may overflow on it",
            )
        tensors[f"latent.{number}"] = latent
    path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(path, tensors, {"sfumato.encoded": key})
    report(Step("pictures", total, total))
    return Encoded(path, says)


def _key(model: Model, pictures: Sequence[Captioned]) -> str:
    told = [model.digest, model.size, [[picture.digest, picture.prompt] for picture in pictures]]
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()


def _kept(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        with safe_open(path, "pt") as file:
            return str((file.metadata() or {}).get("sfumato.encoded", ""))
    except (SafetensorError, OSError):
        return ""
