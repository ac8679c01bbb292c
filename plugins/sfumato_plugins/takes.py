"""What files of curves and files of markers have in common: a rate, frames, names, a row for each frame."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Callable

from sfumato_plugins.errors import JobError, Problem, nearest
from sfumato_plugins.text_file import write_text

_NTSC = tuple(n * 1000 / 1001 for n in (24, 30, 48, 60, 120))


def exact_fps(fps: float) -> float:
    """The rate that is meant: 23.98 and 23.976 are 24000/1001; any other number is itself."""
    return next((exact for exact in _NTSC if abs(fps - exact) < 0.005), float(fps))


def on_timeline(frames: Sequence[float], fps: float, timeline_fps: float, start: float | None = None) -> list[float]:
    """Frames of a take as frames of a timeline that may run at another rate; seconds stay seconds.

    start: Where the first lands; default: on its own number.

    >>> on_timeline([1001, 1002, 1003], 48, 24)
    [1001.0, 1001.5, 1002.0]
    """
    first = frames[0]
    ratio = exact_fps(timeline_fps) / exact_fps(fps)
    start = first if start is None else start
    return [round(start + (frame - first) * ratio, 9) for frame in frames]


def read_json(path: str) -> Any:
    """The JSON values in a file.

    Raises:
        JobError: not there, or not JSON (exit 3).
    """
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise JobError(Problem("", f"{path} cannot be read", str(error.strerror), 3)) from None
    except (ValueError, RecursionError) as error:
        raise JobError(Problem("", f"{path} is not JSON: {error}", "was it cut off, or edited by hand?", 3)) from None


def write_rows(
    path: str, head: Mapping[str, Any], name: str, rows: Iterable[Any], locked: list[Any], about: Mapping[str, Any]
) -> None:
    """Write a document with one line for each of `rows`, beside its place and then renamed to it."""
    parts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    lines = ",\n  ".join(json.dumps(row, allow_nan=False) for row in rows)
    parts.append(f"{json.dumps(name)}: [\n  {lines}\n ]")
    parts += [f'"locked": {json.dumps(locked)}'] if locked else []
    parts += [f'"about": {json.dumps(about)}'] if about else []
    write_text(path, "{\n " + ",\n ".join(parts) + "\n}\n")


def plain(number: float) -> float:
    """1001 rather than 1001.0."""
    return int(number) if float(number).is_integer() else number


def is_number(value: Any) -> bool:
    """A finite number, and no true or false."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max  # math.isfinite fails on an integer of 400 digits


def head_problems(data: Any, schema: str, fields: Sequence[str]) -> list[Problem]:
    """What is wrong with everything but the rows: schema, fields, fps, frames, names, about."""
    if not isinstance(data, dict):
        return [Problem("", "is no JSON object", f'it starts with {{"schema": "{schema}", "fps": ...')]
    if data.get("schema") != schema:
        hint = f"a file of {schema} is wanted here; a newer one needs a newer sfumato"
        return [Problem("schema", f"{data.get('schema')!r} is not {schema!r}", hint)]
    found = [Problem(key, "is not a field", nearest(key, fields)) for key in data if key not in fields]
    if not is_number(data.get("fps")) or data["fps"] <= 0:
        found.append(Problem("fps", f"{data.get('fps')!r} is no rate", "frames a second, such as 24 or 59.94"))
    found += _frame_problems(data.get("frames")) + _name_problems(data.get("names"))
    if not isinstance(data.get("about", {}), dict):
        found.append(Problem("about", "should be an object of anything"))
    return found


def _frame_problems(frames: Any) -> list[Problem]:
    if not isinstance(frames, list) or not frames:
        return [Problem("frames", "should be a list of at least one frame number")]
    wrong = [i for i, frame in enumerate(frames) if not is_number(frame)]
    if wrong:
        return [several("frames", "not a frame number", [f"entry {i + 1}: {frames[i]!r}" for i in wrong])]
    back = [f"{b:g} after {a:g}" for a, b in zip(frames, frames[1:]) if b <= a]
    return [several("frames", "not ascending", back)] if back else []


def _name_problems(names: Any) -> list[Problem]:
    if not isinstance(names, list) or not names:
        return [Problem("names", "should be a list of at least one name")]
    bad = [repr(n) for n in names if not isinstance(n, str) or not n or n != n.strip()]
    if bad:
        return [several("names", "not a name", bad)]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    return [several("names", "there more than once", twice)] if twice else []


def row_problems(data: Mapping[str, Any], key: str, right: Callable[[Any], bool], wanted: str) -> list[Problem]:
    """Rows that are missing or of another length, and entries that are not `right`."""
    rows, frames, names = data.get(key), data["frames"], data["names"]
    if not isinstance(rows, list) or len(rows) != len(frames):
        count = len(rows) if isinstance(rows, list) else "no"
        return [Problem(key, f"{count} rows for {len(frames)} frames", "one row for each frame")]
    short = [
        f"frame {frames[i]:g}: {len(row) if isinstance(row, list) else row!r}"
        for i, row in enumerate(rows)
        if not isinstance(row, list) or len(row) != len(names)
    ]
    if short:
        return [several(key, f"not a list of {len(names)}, one for each name", short)]
    bad = [
        f"{names[k]} at frame {frames[i]:g}: {entry!r}"
        for i, row in enumerate(rows)
        for k, entry in enumerate(row)
        if not right(entry)
    ]
    return [several(key, f"not {wanted}", bad)] if bad else []


def refuse(found: Sequence[Problem], where: str) -> None:
    """Say all that is wrong with a file, its name before each; nothing where nothing is.

    Raises:
        JobError: there is something (exit 2 or 3).
    """
    if found:
        raise JobError([replace(p, where=f"{where}: {p.where}" if where else p.where) for p in found])


def several(where: str, what: str, cases: Sequence[str]) -> Problem:
    """One problem that many entries have: the first few are named, the rest counted."""
    more = f" and {len(cases) - 3} more" if len(cases) > 3 else ""
    return Problem(where, f"{what}: {', '.join(cases[:3])}{more}")
