"""A trained network as a model's folder: everything else is the base model's, and a card says what it has seen."""

import datetime
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from sfumato.atomic import write_bytes
from sfumato.models.load_files import folder_name, folder_path, kind_of, read_index, weight_files
from sfumato.models.load_licence import read_licence
from sfumato.train.checkpoints import write_safetensors

CARD, ABOUT = "README.md", "training.json"
WORK = "training"  # folder of checkpoints, of no use to whoever loads the model
WEIGHTS = "diffusion_pytorch_model.safetensors"


def write_folder(base: str | Path, network: nn.Module, out: Path, about: Mapping[str, Any]) -> Path:
    """Write a diffusers folder that loads wherever the base model does; its index comes last, so it is whole or none.

    Args:
        base: The folder or embedded name that was trained from. network: Trained; kept in the base's own dtype.
        about: Of the training, JSON values: for training.json, and in short for the card.
    """
    source = folder_path(base)
    index = read_index(source)
    part = "transformer" if kind_of(index, "transformer") else "unet"
    out.mkdir(parents=True, exist_ok=True)
    (out / "model_index.json").unlink(missing_ok=True)  # of a training that went on for longer
    for path in _beside(source, part):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, out / path)  # not their modes: they follow the umask here
    dtype = _dtype(weight_files(source, part)[0])
    weights = {name: value.detach().to("cpu", dtype).contiguous() for name, value in network.state_dict().items()}
    write_safetensors(out / part / WEIGHTS, weights, {"format": "pt"})
    whole = {**about, "base": folder_name(base), "licence": read_licence(source, index), "date": _today()}
    write_bytes(out / ABOUT, (json.dumps(whole, indent=1) + "\n").encode())
    write_bytes(out / CARD, _card(out.name, whole).encode())
    write_bytes(out / "model_index.json", (json.dumps(index, indent=2) + "\n").encode())
    return out


def parameters_of(base: str | Path) -> int:
    """How many numbers the denoising network of a model's folder has, without loading one.

    Raises:
        RequestError: no such folder, or no whole safetensors weights in it.
    """
    source = folder_path(base)
    part = "transformer" if kind_of(read_index(source), "transformer") else "unet"
    count = 0
    for file in weight_files(source, part):
        with safe_open(file, "pt") as stored:
            shapes = [stored.get_slice(name).get_shape() for name in stored.keys()]  # noqa: SIM118  (no mapping)
        count += sum(int(torch.Size(shape).numel()) for shape in shapes)
    return count


def _beside(source: Path, part: str) -> list[Path]:
    """The files of a model that stay as they are, by their path inside it."""
    inside = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    own = ((CARD,), (ABOUT,), ("model_index.json",))
    kept = [path for path in inside if path.parts not in own and path.parts[0] not in (part, WORK)]
    return [*kept, Path(part) / "config.json"]


def _dtype(file: Path) -> torch.dtype:
    with safe_open(file, "pt") as stored:
        return torch.float32 if not stored.keys() else stored.get_tensor(next(iter(stored.keys()))).dtype


def _today() -> str:
    return datetime.date.today().isoformat()


def _card(name: str, about: Mapping[str, Any]) -> str:
    """What people read of it; the licence stands where every tool looks for it."""
    settings: Mapping[str, Any] = about.get("settings", {})
    rows = [
        ("trained from", f"{about['base']}, weights sha256 {about.get('base_digest', 'unknown')}"),
        ("licence", f"{about['licence']}, as the model it was trained from"),
        ("pictures", f"{about.get('pictures', 0)}, of which {about.get('held_out', 0)} were only looked at"),
        ("whose", str(about.get("note") or "not said")),
        ("steps", f"{about.get('best', 0)} of {about.get('steps', 0)}, {settings.get('batch', '?')} pictures each"),
        ("held-out error", _errors(about)),
        ("device", str(about.get("device", ""))),
        ("date", str(about["date"])),
    ]
    table = "\n".join(f"| {key} | {value} |" for key, value in rows)
    files: Sequence[Mapping[str, str]] = about.get("files", ())
    listed = "\n".join(f"- `{one['name']}` blake2b {one['digest']}" for one in files)
    return (
        f"---\nlicense: {about['licence']}\nlibrary_name: diffusers\n---\n\n# {name}\n\n"
        f"{about['base']}, trained further by sfumato on a folder of pictures.\n\n| | |\n|---|---|\n{table}\n\n"
        f"## What it was trained on\n\n{listed}\n"
    )


def _errors(about: Mapping[str, Any]) -> str:
    before, after = about.get("before"), about.get("after")
    return (
        "not measured: too few pictures"
        if before is None or after is None
        else f"{before:.4g} before, {after:.4g} after"
    )
