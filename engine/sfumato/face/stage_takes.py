"""A stage's take as two files: JSON that a person reads and changes, and beside it the same numbers, quick to read.

The JSON is the truth. The numbers say of which bytes they are, and count only as long as those lie there.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sfumato.atomic import write_bytes
from sfumato.face.markers import Markers, load_markers, save_markers
from sfumato.face.stale import digest

TAKE = "take"  # of the header: everything of a take but its positions


def save_take(markers: Markers, folder: Path, stage: str, **more: Tensor) -> None:
    """Write a stage's take, and what else it found out, `more`, beside it."""
    save_markers(markers, folder / f"{stage}.json")
    plain = {field.name: getattr(markers, field.name) for field in fields(Markers) if field.name != "positions"}
    said = json.dumps({"of": digest(folder / f"{stage}.json"), **plain})
    tensors = {name: tensor.contiguous() for name, tensor in {"positions": markers.positions, **more}.items()}
    write_bytes(folder / f"{stage}.safetensors", save(tensors, {TAKE: said}))


def load_take(folder: Path, stage: str) -> Markers:
    """Read a stage's take, whichever way is quick.

    Raises:
        InputError: the JSON has to be read, and cannot be.
    """
    path = folder / f"{stage}.json"
    try:
        with safe_open(str(folder / f"{stage}.safetensors"), "pt") as file:
            said: Mapping[str, Any] = json.loads((file.metadata() or {}).get(TAKE, "{}"))
            if said.get("of", "") == digest(path) != "":
                return _take(said, file.get_tensor("positions"))
    except (SafetensorError, OSError, ValueError):
        pass  # not there, cut off or of another take: only the quick way is lost, the JSON has it all
    return load_markers(path)


def _take(said: Mapping[str, Any], positions: Tensor) -> Markers:
    known = {name: value for name, value in said.items() if name != "of"}
    return Markers(**{**known, "names": tuple(known["names"]), "notes": tuple(known["notes"])}, positions=positions)
