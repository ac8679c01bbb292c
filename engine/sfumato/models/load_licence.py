"""Whose terms a model is under, as its folder says. Needs no torch."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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
