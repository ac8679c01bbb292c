"""States kept between runs: keyframes for the frames between them, and checkpoints of a frame in flight."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class FolderStore:
    """safetensors files in a hidden folder beside the output; the engine's `sfumato.matte.shot.Store`.

    A name ends with the number of its frame ("key-1001", "flight.1005"). The file's name carries that frame's
    fingerprint, so that a state made from other inputs is never found. No pickles.
    """

    def __init__(self, folder: str, fingerprint_of: Callable[[int], str]) -> None:
        self.folder = folder
        self._fingerprint_of = fingerprint_of

    def get(self, name: str) -> dict[str, Tensor] | None:
        """The tensors kept under a name; None if there are none, or what is there cannot be read."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(self._path(name))
        except (OSError, SafetensorError):
            return None

    def put(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Keep tensors; they replace what was there in one step. A full disk is not worth stopping for."""
        from safetensors.torch import save

        from sfumato.atomic import write_bytes

        try:
            os.makedirs(self.folder, exist_ok=True)
            write_bytes(self._path(name), save({k: t.detach().cpu().contiguous() for k, t in tensors.items()}))
        except OSError:
            return

    def remove(self) -> None:
        """Forget everything: the job is complete, or was told to start over."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> str:
        match = re.search(r"(-?\d+)$", name)
        if not match:
            raise ValueError(f"the name of a state ends with its frame: {name!r}")
        frame = int(match[1].lstrip("-") if re.search(r"\w-\d+$", name) else match[1])
        plain = re.sub(r"[^\w.-]", "_", name)
        return os.path.join(self.folder, f"{plain}-{self._fingerprint_of(frame)}.safetensors")
