"""What a solver finds a take to be of, kept in the folder of its solve (sfumato.quality/1): it is looked at once."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from sfumato.atomic import write_bytes
from sfumato.face.binding import Binding
from sfumato.face.markers import Markers
from sfumato.face.quality import Quality, look
from sfumato.face.rig import Rig
from sfumato.face.solver_file import SolverFile

NAME, SCHEMA = "quality.json", "sfumato.quality/1"


def looked(
    folder: Path,
    of: Sequence[str],
    solver: SolverFile,
    clean: Markers,
    confidence: Tensor,
    rig: Rig,
    binding: Binding,
) -> Quality:
    """`look`, or what it said the last time.

    of: Digests of everything it depends on.
    """
    known = _read(folder / NAME, of, len(binding.names))
    if known is not None:
        return known
    found = look(solver, clean, confidence, rig, binding)
    said = {"schema": SCHEMA, "of": list(of), "sentence": found.sentence, "bias": found.bias, "scatter": found.scatter}
    said |= {"another_day": found.another_day, "offsets": found.offsets.tolist()}
    write_bytes(folder / NAME, (json.dumps(said, indent=1) + "\n").encode())
    return found


def _read(path: Path, of: Sequence[str], markers: int) -> Quality | None:
    """What the file says; None where there is none, or one of something else."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["schema"] != SCHEMA or said["of"] != list(of):
            return None
        offsets = torch.tensor(said["offsets"], dtype=torch.float64).reshape(markers, 3)
        return Quality(float(said["bias"]), float(said["scatter"]), offsets, bool(said["another_day"]))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None
