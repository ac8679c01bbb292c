"""Rows of a bench: kept on disk as they are measured, averaged by method, and printed for people."""

from __future__ import annotations

import json
import math
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

Path = pathlib.Path
Row = dict[str, Any]

METRICS = ("sad", "mse", "grad", "conn", "dtssd", "messddt", "seconds")


class Rows:
    """Measured rows in a file, one JSON object a line, appended and flushed one by one. No file: memory only.

    A row is found again by its key: everything that decides its value. A line cut off by a crash is ignored.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.kept: dict[str, Row] = {}
        if path is not None and path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    record = json.loads(line)
                    self.kept[record["key"]] = record["row"]
                except (ValueError, KeyError, TypeError):
                    continue

    @staticmethod
    def key(**parts: object) -> str:
        """A key from everything that decides a row."""
        return json.dumps(parts, sort_keys=True)

    def get(self, key: str) -> Row | None:
        """A row measured before, or None."""
        return self.kept.get(key)

    def put(self, key: str, row: Row) -> None:
        """Keep a row: it is on disk when this returns."""
        self.kept[key] = row
        if self.path is None:
            return
        with self.path.open("a+", encoding="utf-8") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():  # end a line that a crash cut off
                file.seek(file.tell() - 1)
                if file.read(1) != "\n":
                    file.write("\n")
            file.write(json.dumps({"key": key, "row": row}) + "\n")
            file.flush()
            os.fsync(file.fileno())


def means(rows: Iterable[Mapping[str, Any]]) -> dict[str, Row]:
    """Per method, the mean of each number over its cases; None where no case defines it. `cases` says how many."""
    by_method: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_method.setdefault(str(row["method"]), []).append(row)
    found: dict[str, Row] = {}
    for method, measured in by_method.items():
        found[method] = {name: _mean(row.get(name) for row in measured) for name in METRICS}
        found[method]["cases"] = len(measured)
    return found


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined) if defined else None


def target(name: str, value: float | None, sign: str, bound: float) -> Row:
    """A target of a bench, sign >= or <=; one without a value is missed."""
    met = value is not None and (value >= bound if sign == ">=" else value <= bound)
    return {"name": name, "value": None if value is None else round(value, 4), "bound": f"{sign} {bound:g}", "met": met}


def as_table(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> str:
    """Rows as aligned text: words to the left, numbers to the right, a dash where there is none."""
    columns = list(columns)
    cells = [columns] + [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    words = [all(not _number(line[i]) for line in cells[1:]) for i in range(len(columns))]
    lines = [
        "  ".join(text.ljust(width) if word else text.rjust(width) for text, width, word in zip(line, widths, words))
        for line in cells
    ]
    return "\n".join(line.rstrip() for line in [lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:.3g}" if 0 < abs(value) < 0.1 else f"{value:.2f}"
    return str(value)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == "-"
    return True
