"""What the placement of shots is held to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sfumato_plugins.benches.place_measure import mean
from sfumato_plugins.benches.table import target

Row = dict[str, Any]
OURS, PEER = ("fast", "precise"), "trailblazer-coded"
TRUTH, ENCODED = "truth", "truth, encoded"


def means(rows: Sequence[Row]) -> dict[str, Row]:
    """By method, over the kinds of shots."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["method"], []).append(row)
    names = ("miou", "centroid", "lag", "presence", "binding", "background", "sharpness", "calls", "seconds")
    return {method: {name: mean(row[name] for row in some) for name in names} for method, some in found.items()}


def targets(rows: Sequence[Row]) -> list[Row]:
    """Those that the rows have numbers for."""
    table = {(row["method"], row["case"]): row for row in rows}
    found = []
    for method in OURS:
        if (method, "linear") not in table:
            continue
        for kind, least in (("linear", 0.65), ("zigzag", 0.55), ("grow", 0.55)):
            found.append(target(f"{method} mIoU, {kind}", table[method, kind]["miou"], ">=", least))
        for kind in ("linear", "zigzag"):
            here = table[method, kind]
            found.append(target(f"{method} centroid error, {kind}", here["centroid"], "<=", 0.05))
            found.append(target(f"{method} lag, {kind}", here["lag"], "<=", 1.0))
            still = table[TRUTH, kind]["jerk"]
            found.append(target(f"{method} jerk over the truth's, {kind}", _over(here["jerk"], still), "<=", 1.3))
            still = table[ENCODED, kind]["jerk"]
            found.append(
                target(f"{method} jerk over the encoded truth's, {kind}", _over(here["jerk"], still), "<=", 1.3)
            )
        found.append(target(f"{method} area follows the box", table[method, "grow"]["grows"], ">=", 0.9))
        found.append(target(f"{method} turns A into B", table[method, "turning"]["turned"], ">=", 0.9))
        if (PEER, "linear") in table:
            apart = means(rows)[method]["miou"] - means(rows)[PEER]["miou"]
            found.append(target(f"{method} mIoU over {PEER}'s", apart, ">=", 0.20))
    return found


def _over(value: float | None, least: float | None) -> float | None:
    return value / least if value is not None and least else None
