"""The slots of this machine: a GPU each, or the CPU."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def slots_of(number: int | None, device: str, environ: Mapping[str, str] = os.environ) -> dict[str, Mapping[str, str]]:
    """Name -> variables for a number of slots; more slots than GPUs share them in turn.

    number: None is one a GPU, or one on the CPU.
    device: The job's: auto, cpu or cuda.
    """
    gpus = [] if device == "cpu" else visible(environ)
    if not gpus:
        names = [f"cpu {i + 1}" for i in range(number)] if number and number > 1 else ["cpu"]
        return {name: {} for name in names}
    count = number or len(gpus)
    shared = [(gpus[i % len(gpus)], i // len(gpus)) for i in range(count)]
    return {f"gpu {gpu}" + (f" ({turn + 1})" if turn else ""): {_VISIBLE: gpu} for gpu, turn in shared}


def visible(environ: Mapping[str, str]) -> list[str]:
    """GPUs this process may use, as CUDA_VISIBLE_DEVICES names them. Asks the driver's own tool, not torch."""
    if _VISIBLE in environ:
        return [name for name in environ[_VISIBLE].replace(" ", "").split(",") if name and name != "-1"]
    ask = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        found = subprocess.run(ask, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in found.stdout.decode().splitlines() if line.strip().isdigit()]
