"""Where markers sit on a rig, kept in the folder of a solve (sfumato.binding/1), so that it is found only once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sfumato_plugins.errors import wrong
from sfumato_plugins.takes import read_json
from sfumato_plugins.text_file import write_text

if TYPE_CHECKING:
    from sfumato.face.binding import Binding

SCHEMA = "sfumato.binding/1"


def save_binding(path: str, binding: Binding, of: str) -> None:
    """Write it, a marker a line; `of` stands for what it was made from."""
    corners, weights = binding.corners.tolist(), binding.weights.tolist()
    rows = [json.dumps([name, *row]) for name, *row in zip(binding.names, corners, weights)]
    lines = ",\n  ".join(rows)
    write_text(path, f'{{"schema": "{SCHEMA}", "of": {json.dumps(of)}, "markers": [\n  {lines}\n]}}\n')


def load_binding(path: str, of: str | None = None) -> Binding:
    """Read it.

    Raises:
        JobError: not there (exit 3), not such a file, or made from something other than `of` (exit 2).
    """
    import torch

    from sfumato.face.binding import Binding

    found: Any = read_json(path)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise wrong("", f"{path} is not {SCHEMA}", "remove it and solve again")
    if of is not None and found.get("of") != of:
        raise wrong("", f"{path} was made from another rig or take", "solve again")
    names, corners, weights = zip(*found["markers"])
    return Binding(tuple(names), torch.tensor(corners), torch.tensor(weights, dtype=torch.float64))
