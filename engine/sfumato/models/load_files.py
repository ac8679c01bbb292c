"""The files of a model's folder, found and looked at before anything is loaded from them. Needs no torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sfumato.errors import RequestError

EMBEDDED = Path(__file__).parent / "embedded"
EMBEDDED_NAMES = ("embedded", "embedded_place", "embedded_trail", "embedded_micro")
KNOWN = "take Stable Diffusion 1, 2, XL or 3, Flux or PixArt"
_LAYOUT = "give a folder in the diffusers layout: model_index.json beside a folder for each part"
_NETWORKS = ("unet", "transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3")
_STEMS = ("diffusion_pytorch_model", "model")  # diffusers' name for weights, and transformers'
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


def folder_path(where: str | Path) -> Path:
    """The folder that is meant by the name of an embedded model, or by a path."""
    return EMBEDDED.with_name(str(where)) if where in EMBEDDED_NAMES else Path(where)


def folder_name(where: str | Path) -> str:
    """What a model is called: ours "demo", for it shows the way and is not for shots; others by their folder."""
    return "demo" if where == "embedded" else folder_path(where).resolve().name


def read_index(path: Path) -> dict[str, Any]:
    """A model's index.

    Raises:
        RequestError: no such folder, another layout, or code in it.
    """
    if not path.exists():
        raise RequestError(f"there is no model folder {path}", _LAYOUT + ", or “embedded”")
    if not path.is_dir():
        raise RequestError(f"{path} is one file, and a model is a folder", _LAYOUT)
    if not (path / "model_index.json").is_file():
        raise RequestError(f"{path} holds no model: it has no model_index.json", _LAYOUT)
    code = sorted(str(p.relative_to(path)) for pattern in ("*.py", "*/*.py") for p in path.glob(pattern))
    if code:
        raise RequestError(f"{path} holds code ({code[0]}), and sfumato runs none that comes with a model", KNOWN)
    return read_json(path / "model_index.json")


def kind_of(index: Mapping[str, Any], part: str) -> str | None:
    """The class that an index names for a part; None where there is no such part."""
    named = index.get(part)
    return str(named[1]) if isinstance(named, list) and len(named) == 2 and named[0] else None


def network_files(path: Path, index: Mapping[str, Any]) -> dict[str, list[Path]]:
    """The weights of every network that an index names, by part.

    Raises:
        RequestError: see `weight_files`.
    """
    return {part: weight_files(path, part) for part in _NETWORKS if kind_of(index, part)}


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
            with safe_open(file, "np"):  # opens without torch
                pass
        except (SafetensorError, OSError) as error:
            raise RequestError(
                f"the weights {file} are damaged or cut short: {first_line(error)}", "copy the file again"
            ) from error
    return files
