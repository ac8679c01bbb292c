"""Cells of text files: what is a number, what is empty, and which file, line and column is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from sfumato.errors import InputError

EMPTY = frozenset(("", "nan", "na", "n/a", "null", "none", "-", "1.#qnan", "-nan(ind)"))


def read_text(path: Path) -> str:
    """The text of a file, without a byte-order mark.

    Raises:
        InputError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "give the path of a file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is no text file", "was it exported as another format under this name?") from None


def number_in(path: Path, row: Sequence[str], column: int) -> float:
    """The number in a cell; NaN where it is empty, missing or says so.

    Raises:
        InputError: the cell holds something else; the row's first cell says where.
    """
    cell = row[column].strip() if column < len(row) else ""
    if cell.lower() in EMPTY:
        return math.nan
    try:
        return float(cell)
    except ValueError:
        hint = "a decimal comma? export with points" if "," in cell else "was the file cut off, or edited by hand?"
        raise InputError(
            f"{path.name}: {cell[:30]!r} in the row of {row[0]!r}, column {column + 1}, is no number", hint
        ) from None
