"""A model's folder in the diffusers layout: its parts, read from the disk and from nowhere else, and never run."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from sfumato.errors import RequestError

_STEMS = {"diffusers": "diffusion_pytorch_model", "transformers": "model"}
_LAYOUT = "give a folder in the diffusers layout: model_index.json beside a folder for each part"


@dataclass(frozen=True)
class Folder:
    """A folder that may be read: a model index, no code.

    path: Of the folder.
    index: Its model_index.json: (library, class) by part, and a few settings.
    device, dtype: Where its networks go, and as what.
    """

    path: Path
    index: Mapping[str, Any]
    device: torch.device
    dtype: torch.dtype

    def kind(self, part: str) -> str | None:
        """The class that the index names for a part; None where there is no such part."""
        named = self.index.get(part)
        return named[1] if isinstance(named, list) and len(named) == 2 and named[0] else None

    def config(self, part: str) -> dict[str, Any]:
        """A part's configuration. Raises RequestError where it is missing or broken."""
        return _json(self.path / part / ("scheduler_config.json" if part == "scheduler" else "config.json"))

    def network(self, part: str, *kinds: str, dtype: torch.dtype | None = None) -> Any:
        """A part's network, weights and all, at rest: it learns nothing and drops nothing out.

        Args:
            part: As "unet".
            kinds: Classes it may be of.
            dtype: Another than the folder's.

        Raises:
            RequestError: another class, or weights that are missing, cut short, of another shape or only in pickles.
        """
        library = self._library(part, kinds)
        files = weight_files(self.path, part)
        options: dict[str, Any] = {"variant": _variant(files[0].name)}
        options["torch_dtype" if library.__name__ == "diffusers" else "dtype"] = dtype or self.dtype
        try:
            network, found = getattr(library, self.kind(part) or "").from_pretrained(
                self.path / part, local_files_only=True, use_safetensors=True, output_loading_info=True, **options
            )
        except torch.OutOfMemoryError:
            raise
        except (ValueError, OSError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise RequestError(
                f"the {part} of {self.path} cannot be loaded: {_first_line(error)}",
                "its weights do not fit its config.json: copy the model again",
            ) from error
        if found["missing_keys"]:
            names = sorted(found["missing_keys"])
            raise RequestError(
                f"the {part} of {self.path} lacks {len(names)} of its weights, the first {names[0]}",
                "copy the model again",
            )
        return network.to(self.device).eval().requires_grad_(False)

    def tokenizer(self, part: str) -> Any:
        """A part's tokenizer. Raises RequestError where it is missing, broken or tells no offsets."""
        import transformers

        kind = getattr(transformers, self.kind(part) or "", None)
        if kind is None or not (self.path / part).is_dir() or not hasattr(kind, "from_pretrained"):
            raise RequestError(f"{self.path} has no {part}, so prompts cannot be read", "copy the whole model")
        try:
            found = kind.from_pretrained(self.path / part, local_files_only=True)
        except Exception as error:  # what a broken file raises here is not written down anywhere
            raise RequestError(
                f"the {part} of {self.path} cannot be loaded: {_first_line(error)}", "copy the model again"
            ) from error
        if not found.is_fast:
            raise RequestError(
                f"the {part} of {self.path} cannot say where in a prompt its tokens are",
                "save it with its tokenizer.json",
            )
        return found

    def _library(self, part: str, kinds: tuple[str, ...]) -> Any:
        import diffusers
        import transformers

        if self.kind(part) not in kinds:
            found = self.kind(part) or "nothing"
            raise RequestError(
                f"the {part} of {self.path} is {found}, where a {' or '.join(kinds)} was expected",
                "choose a model of another kind; see --help for those that can be loaded",
            )
        library = {"diffusers": diffusers, "transformers": transformers}.get(self.index[part][0])
        if library is None:
            raise RequestError(
                f"the {part} of {self.path} comes from {self.index[part][0]}, code that sfumato does not have",
                "choose a model made of diffusers' and transformers' own parts",
            )
        return library


def open_folder(path: Path, device: torch.device, dtype: torch.dtype) -> Folder:
    """Look at a model's folder.

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
        raise RequestError(
            f"{path} holds code ({code[0]}), and sfumato runs none that comes with a model",
            "choose a model of an architecture that diffusers knows by itself",
        )
    return Folder(path, _json(path / "model_index.json"), device, dtype)


def weight_files(path: Path, part: str) -> list[Path]:
    """The safetensors files of a part's network, whole; the plain ones before a variant such as fp16.

    Raises:
        RequestError: there are none, one of several is missing, or one is cut short.
    """
    folder = path / part
    for stem in _STEMS.values():
        indices = sorted(folder.glob(f"{stem}.safetensors.index*.json"), key=lambda p: (len(p.name), p.name))
        single = sorted(folder.glob(f"{stem}*.safetensors"), key=lambda p: (len(p.name), p.name))
        single = [p for p in single if "-of-" not in p.name]
        if single and not (indices and _variant(indices[0].name) is None and _variant(single[0].name)):
            return _whole(single[:1])
        if indices:
            return _whole(sorted({folder / name for name in _json(indices[0])["weight_map"].values()}))
    others = sorted(p.name for p in folder.glob("*") if p.suffix in (".bin", ".pt", ".pth", ".ckpt"))
    if others:
        raise RequestError(
            f"the {part} of {path} has its weights only as {others[0]}, a pickle, which can run anything when opened",
            "get the model's safetensors files, or have somebody you trust save it as safetensors",
        )
    raise RequestError(f"the {part} of {path} has no weights", "copy the whole model, safetensors files included")


def _whole(files: list[Path]) -> list[Path]:
    for file in files:
        if not file.is_file():
            raise RequestError(f"the weights {file} are missing", "copy the whole model")
        try:
            with safe_open(file, "pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise RequestError(
                f"the weights {file} are damaged or cut short: {_first_line(error)}", "copy the file again"
            ) from error
    return files


def _variant(name: str) -> str | None:
    """A file's variant: fp16 of model.fp16.safetensors and of model.safetensors.index.fp16.json."""
    known = {"safetensors", "index", "json"}
    found = [part for part in name.split(".")[1:] if part not in known]
    return found[0] if found else None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}", "copy the whole model") from error
    except ValueError as error:
        raise RequestError(f"{path} is damaged: it is not JSON", "copy the model again") from error
    if not isinstance(found, dict):
        raise RequestError(f"{path} is damaged: it should hold names and values", "copy the model again")
    return found


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """diffusers and transformers ask no server and say nothing while inside; what was set before comes back after."""
    import diffusers
    import huggingface_hub
    import transformers

    hub, logs = huggingface_hub.constants, (diffusers.utils.logging, transformers.utils.logging)
    before = hub.HF_HUB_OFFLINE, hub.HF_HUB_DISABLE_TELEMETRY, [log.get_verbosity() for log in logs]
    bars = [log.is_progress_bar_enabled() for log in logs]
    hub.HF_HUB_OFFLINE = hub.HF_HUB_DISABLE_TELEMETRY = True
    for log in logs:
        log.set_verbosity(log.CRITICAL)
        log.disable_progress_bar()
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE, hub.HF_HUB_DISABLE_TELEMETRY, levels = before
        for log, level, bar in zip(logs, levels, bars, strict=True):
            log.set_verbosity(level)
            if bar:
                log.enable_progress_bar()
