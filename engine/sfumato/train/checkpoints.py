"""All that a killed training needs to go on, in one file that appears whole or not at all."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sfumato.atomic import replacing
from sfumato.errors import InputError, RequestError

MARK = "sfumato.training/1"
EVERY = 30.0  # seconds of work that a kill may cost
SHARE = 0.05  # of the time, at most, that writing may take


@dataclass
class Pace:
    """When the next checkpoint is due: at every look and every so often, and less often where writing takes long."""

    every: float = EVERY
    _last: float = field(default_factory=time.monotonic)
    _took: float = 0.0

    def due(self, looked: bool) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self._last > max(0.0 if looked else self.every, self._took / SHARE)

    def wrote(self, seconds: float) -> None:
        """It was written, in so many seconds."""
        self._took, self._last = seconds, time.monotonic()


def save_state(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, about: Mapping[str, Any]) -> float:
    """Weights, an Adam's moments, and JSON values. Returns the seconds it took."""
    began = time.monotonic()
    tensors: dict[str, Tensor] = {}
    for name, weight in network.named_parameters():
        tensors[f"weight.{name}"] = weight.detach().contiguous()
        for kind, value in optimiser.state.get(weight, {}).items():
            tensors[f"{kind}.{name}"] = value.contiguous()
    write_tensors(path, tensors, about)
    return time.monotonic() - began


def load_state(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Put weights and moments back where they were; the JSON values.

    Raises:
        InputError: no checkpoint, or a damaged one. RequestError: of another network.
    """
    tensors, about = read_tensors(path)
    names = {name for name, _ in network.named_parameters()}
    if names != {key.removeprefix("weight.") for key in tensors if key.startswith("weight.")}:
        raise RequestError(f"{path} is of another network", "train into another folder")
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.copy_(tensors[f"weight.{name}"])
            kinds = [kind for kind in ("step", "exp_avg", "exp_avg_sq") if f"{kind}.{name}" in tensors]
            if kinds:
                moved = {kind: tensors[f"{kind}.{name}"] for kind in kinds}
                optimiser.state[weight] = {k: v if k == "step" else v.to(weight.device) for k, v in moved.items()}
    return about


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """A safetensors file of ours, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(path, {name: tensor.cpu() for name, tensor in tensors.items()}, {MARK: json.dumps(about)})


def write_safetensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """A safetensors file, whole or not at all, that others may read as the umask says; its own writer says 0600."""
    with replacing(path) as part:
        mode = part.stat().st_mode
        save_file(tensors, part, metadata)
        part.chmod(mode)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_tensors` wrote. Raises InputError where it is missing, damaged or somebody else's."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[MARK])
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118  (no mapping)
    except Exception as error:  # what damaged files raise is not written down anywhere
        raise InputError(f"{path} is no checkpoint of a training: {error}", "begin anew in another folder") from None


def same_settings(path: Path, asked: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Whether a training may go on with what is asked for now.

    Raises:
        RequestError: it was begun with other settings; each is named with both values.
    """
    other = [name for name in sorted({*asked, *kept}) if asked.get(name) != kept.get(name)]
    if other:
        said = "; ".join(f"{name} was {_short(kept.get(name))} and is now {_short(asked.get(name))}" for name in other)
        raise RequestError(
            f"the training in {path} was begun with other settings: {said}",
            "ask for the same as then, or train into another folder",
        )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
