"""Which weights exactly a model's folder holds."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from sfumato.diffusion.fingerprint import weights_digest


def read_digest(files: Mapping[str, Iterable[Path]]) -> str:
    """`weights_digest` of the safetensors files of several parts, as they are on disk; nothing is held in memory."""
    stamps = ((part, str(file), file.stat().st_mtime_ns, file.stat().st_size) for part in files for file in files[part])
    return _digest(tuple(stamps))


@lru_cache(maxsize=8)
def _digest(stamps: tuple[tuple[str, str, int, int], ...]) -> str:
    return weights_digest(_Tensors([(part, Path(file)) for part, file, _, _ in stamps]))


class _Tensors(Mapping[str, Tensor]):
    """The tensors of many files by name, "unet.conv_in.weight", each read when it is asked for."""

    def __init__(self, files: Iterable[tuple[str, Path]]) -> None:
        opened: list[tuple[str, Any]] = [(part, safe_open(file, "pt")) for part, file in files]
        self._places = {f"{part}.{name}": (file, name) for part, file in opened for name in file.keys()}  # noqa: SIM118

    def __getitem__(self, name: str) -> Tensor:
        file, inner = self._places[name]
        found: Tensor = file.get_tensor(inner)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
