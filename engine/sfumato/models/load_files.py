"""The files of a model's folder, found and looked at before anything is loaded from them."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sfumato.errors import RequestError

_STEMS = ("diffusion_pytorch_model", "model")  # diffusers' name for weights, and transformers'
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


def weight_files(path: Path, part: str) -> list[Path]:
    """The safetensors files of a part's network, whole; the plain ones before a variant such as fp16.

    Raises:
        RequestError: there are none, one of several is missing, or one is cut short.
    """
    folder = path / part
    for stem in _STEMS:
        found = [*folder.glob(f"{stem}.safetensors"), *folder.glob(f"{stem}.*.safetensors")]
        found += folder.glob(f"{stem}.safetensors.index*.json")
        if found:
            first = min(found, key=lambda file: (variant(file) or "", file.suffix == ".json", file.name))
            return _whole(_shards(first) if first.suffix == ".json" else [first])
    others = sorted(p.name for p in folder.glob("*") if p.suffix in _PICKLES)
    if others:
        raise RequestError(
            f"the {part} of {path} has its weights only as {others[0]}, a pickle, which can run anything when opened",
            "get the model's safetensors files, or have somebody you trust save it as safetensors",
        )
    raise RequestError(f"the {part} of {path} has no weights", "copy the whole model, safetensors files included")


def variant(file: Path) -> str | None:
    """A file's variant: fp16 of model.fp16.safetensors, of model.safetensors.index.fp16.json and of the latter's parts.

    None of the plain files.
    """
    marks = [mark for mark in file.name.split(".")[1:] if mark not in ("safetensors", "index", "json")]
    return marks[0].partition("-")[0] if marks else None


def read_json(path: Path) -> dict[str, Any]:
    """An object from a file. Raises RequestError where it is missing, cut short or something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}", "copy the whole model") from error
    except ValueError as error:
        raise RequestError(f"{path} is damaged: it is not JSON", "copy the model again") from error
    if not isinstance(found, dict):
        raise RequestError(f"{path} is damaged: it should hold names and values", "copy the model again")
    return found


def first_line(error: BaseException) -> str:
    """The first sentence of an error of somebody else's library."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return " ".join(line.split()).partition(". ")[0]


def _shards(index: Path) -> list[Path]:
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise RequestError(f"{index} is damaged: it names no files", "copy the model again")
    return sorted({index.parent / str(name) for name in named.values()})


def _whole(files: list[Path]) -> list[Path]:
    for file in files:
        if not file.is_file():
            raise RequestError(f"the weights {file} are missing", "copy the whole model")
        try:
            with safe_open(file, "pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise RequestError(
                f"the weights {file} are damaged or cut short: {first_line(error)}", "copy the file again"
            ) from error
    return files
