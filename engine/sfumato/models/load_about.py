"""What a model's folder says of itself: whose terms it is under, and which weights exactly it holds."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from sfumato.diffusion.fingerprint import weights_digest


def read_licence(path: Path, index: Mapping[str, Any]) -> str:
    """A model's licence as its card's front matter names it, else its index, else the head of a licence file.

    "unknown" if none does: whoever may only use certain licences should refuse that too.
    """
    card = _front_matter(path / "README.md")
    named = card.get("license_name", "") if card.get("license") in ("other", "", None) else card["license"]
    if named or card.get("license"):
        return named or card["license"]
    if isinstance(index.get("license"), str):
        return str(index["license"])
    for file in sorted(p for p in path.glob("*") if re.fullmatch(r"licen[sc]e(\.md|\.txt)?", p.name, re.IGNORECASE)):
        lines = (line.strip(" #*\t") for line in _text(file).splitlines())
        return next((line for line in lines if line), "unknown")
    return "unknown"


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


def _front_matter(card: Path) -> dict[str, str]:
    """The plain `name: value` lines between the first two `---`; the first of a list of values."""
    head = re.match(r"\A---\s*\n(.*?)\n---", _text(card), re.DOTALL)
    lines = re.findall(r"^(\w+):[ \t]*(?:\n\s*-[ \t]*)?(.*)$", head.group(1), re.MULTILINE) if head else []
    return {name: value.strip().strip("\"'[]") for name, value in lines}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
