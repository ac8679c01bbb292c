"""A model's folder in the diffusers layout: its parts, read from the disk and from nowhere else, and never run."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from sfumato.errors import MemoryLimitError, RequestError
from sfumato.models.load_files import KNOWN, first_line, kind_of, read_index, read_json, variant, weight_files


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
        return kind_of(self.index, part)

    def config(self, part: str) -> dict[str, Any]:
        """A part's configuration. Raises RequestError where it is missing or broken."""
        return read_json(self.path / part / ("scheduler_config.json" if part == "scheduler" else "config.json"))

    def network(self, part: str, *kinds: str, dtype: torch.dtype | None = None) -> Any:
        """A part's network, weights and all, at rest: it learns nothing and drops nothing out.

        Args:
            part: As "unet".
            kinds: Classes it may be of.
            dtype: Another than the folder's.

        Raises:
            RequestError: another class, or weights that are missing, cut short, of another shape or only in pickles.
            MemoryLimitError: there is no room for it.
        """
        library = self._library(part, kinds)
        ours = library.__name__ == "diffusers"
        options: dict[str, Any] = {"torch_dtype" if ours else "dtype": dtype or self.dtype}
        if not ours:
            options["ignore_mismatched_sizes"] = True  # so that it names them; diffusers does either way
        with self._reading(part):
            network, found = getattr(library, str(self.kind(part))).from_pretrained(
                self.path / part,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                variant=variant(weight_files(self.path, part)[0]),
                **options,
            )
        wrong = [key[0] if isinstance(key, tuple) else key for key in found["mismatched_keys"]]
        for keys, what in ((found["missing_keys"], "lacks"), (wrong, "has, in another shape than its config.json,")):
            if keys:
                raise RequestError(
                    f"the {part} of {self.path} {what} {len(keys)} of its weights, the first {min(keys)}",
                    "copy the model again",
                )
        with self._reading(part):
            return network.to(self.device).eval().requires_grad_(False)

    def tokenizer(self, part: str) -> Any:
        """A part's tokenizer. Raises RequestError where it is missing, broken or tells no offsets."""
        import transformers

        kind: Any = getattr(transformers, self.kind(part) or "", None)
        known = isinstance(kind, type) and issubclass(kind, transformers.PreTrainedTokenizerBase)
        if not known or not (self.path / part).is_dir():
            raise RequestError(f"{self.path} has no {part}, so prompts cannot be read", "copy the whole model")
        try:
            found = kind.from_pretrained(self.path / part, local_files_only=True)
        except Exception as error:  # what a broken file raises here is not written down anywhere
            raise RequestError(
                f"the {part} of {self.path} cannot be loaded: {first_line(error)}", "copy the model again"
            ) from error
        if not found.is_fast:
            raise RequestError(
                f"the {part} of {self.path} cannot say where in a prompt its tokens are",
                "save it with its tokenizer.json",
            )
        return found

    @contextlib.contextmanager
    def _reading(self, part: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, OSError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
            if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
                raise MemoryLimitError(
                    f"the {part} of {self.path} does not fit into the memory of {self.device}",
                    "load it in half precision, or take a smaller model",
                ) from error
            raise RequestError(
                f"the {part} of {self.path} cannot be loaded: {first_line(error)}",
                "its weights should fit its config.json, and not be quantised: copy the model again",
            ) from error

    def _library(self, part: str, kinds: tuple[str, ...]) -> Any:
        import diffusers
        import transformers

        if self.kind(part) not in kinds:
            found = self.kind(part) or "nothing"
            raise RequestError(
                f"the {part} of {self.path} is {found}, where a {' or '.join(kinds)} was expected",
                KNOWN,
            )
        library = {"diffusers": diffusers, "transformers": transformers}.get(self.index[part][0])
        if library is None:
            raise RequestError(
                f"the {part} of {self.path} comes from {self.index[part][0]}, code that sfumato does not have",
                KNOWN,
            )
        return library


def open_folder(path: Path, device: torch.device, dtype: torch.dtype) -> Folder:
    """Look at a model's folder.

    Raises:
        RequestError: no such folder, another layout, or code in it.
    """
    return Folder(path, read_index(path), device, dtype)


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
