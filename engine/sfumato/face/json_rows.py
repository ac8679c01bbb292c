"""What sfumato.curves/1 and sfumato.markers/1 have in common: a rate, frames, names, a row for each frame."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from sfumato.atomic import replacing
from sfumato.errors import InputError


def read_document(path: Path, schema: str, fields: Sequence[str]) -> dict[str, Any]:
    """The JSON object in a file, after its head is found right.

    Raises:
        InputError: not JSON, another schema, an unknown field, no rate, frames that do not ascend, bad names.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "give the path of a file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not JSON: {error}", "was it cut off, or edited by hand?") from None
    if not isinstance(data, dict) or data.get("schema") != schema:
        said = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise InputError(f"{path.name} says {said!r} where {schema!r} is wanted", "give the file of the right kind")
    unknown = [key for key in data if key not in fields]
    if unknown:
        raise InputError(
            f"{path.name}: {unknown[0]!r} is not a field of {schema}", f"its fields are {', '.join(fields)}"
        )
    fps, frames, names = data.get("fps"), data.get("frames"), data.get("names")
    if not is_number(fps) or fps <= 0:  # type: ignore[operator]
        raise InputError(f"{path.name}: fps is {fps!r}, which is no rate", "frames a second, such as 24 or 59.94")
    if not isinstance(frames, list) or not all(map(is_number, frames)):
        raise InputError(f"{path.name}: frames should be a list of frame numbers", "one for each row")
    back = [(a, b) for a, b in pairwise(frames) if b <= a]
    if back:
        raise InputError(f"{path.name}: frame {back[0][1]:g} comes after {back[0][0]:g}", "frames ascend, each once")
    if not isinstance(names, list) or not all(isinstance(n, str) and n and n == n.strip() for n in names):
        raise InputError(f"{path.name}: names should be a list of names", "none empty, no spaces around them")
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise InputError(f"{path.name}: {twice[0]!r} is there more than once in names", "each name is there once")
    return data


def rows_of(path: Path, data: Mapping[str, Any], key: str) -> list[list[Any]]:
    """The rows under `key`: one for each frame, in it one entry for each name.

    Raises:
        InputError: one is missing, or is of another length; its frame is named.
    """
    rows, frames, names = data.get(key), data["frames"], data["names"]
    if not isinstance(rows, list) or len(rows) != len(frames):
        count = len(rows) if isinstance(rows, list) else "no"
        raise InputError(f"{path.name}: {count} rows of {key} for {len(frames)} frames", "one row for each frame")
    for frame, row in zip(frames, rows, strict=True):
        if not isinstance(row, list) or len(row) != len(names):
            count = len(row) if isinstance(row, list) else "no"
            raise InputError(
                f"{path.name}: frame {frame:g} has {count} entries for {len(names)} names", "one for each name"
            )
    return rows


def all_numbers(values: Sequence[Any]) -> bool:
    """Whether every one `is_number`; quick where all are."""
    return set(map(type, values)) <= {int, float} and all(map(math.isfinite, values))


def write_document(
    path: Path, head: Mapping[str, Any], key: str, rows: Iterable[Any], about: Mapping[str, Any], **more: Any
) -> None:
    """Write a document with one line for each of `rows`; it appears whole or not at all. Empty values are left out."""
    parts = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    lines = ",\n  ".join(json.dumps(row, allow_nan=False) for row in rows)
    parts.append(f"{json.dumps(key)}: [\n  {lines}\n ]" if lines else f"{json.dumps(key)}: []")
    parts += [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in {**more, "about": about}.items() if value]
    with replacing(path) as part:
        part.write_text("{\n " + ",\n ".join(parts) + "\n}\n", encoding="utf-8", newline="\n")


def plain(number: float) -> float:
    """1001 rather than 1001.0."""
    return int(number) if float(number).is_integer() else number


def is_number(value: object) -> bool:
    """A finite number, and no true or false."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, int) or math.isfinite(value)
