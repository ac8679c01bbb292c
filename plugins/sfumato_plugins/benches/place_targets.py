"""What the placement of stills is held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sfumato_plugins.benches.table import target

Row = dict[str, Any]
LABELS = ("1 object", "2 objects", "3 objects")
LEAST = {"fast": (0.75, 0.65, 0.50), "precise": (0.88, 0.80, 0.65)}  # mIoU
PEERS = {"fast": (("trailblazer-coded", "directed-diffusion"), 0.20), "precise": (("layout-guidance", "boxdiff"), 0.05)}


def targets(rows: Sequence[Row]) -> list[Row]:
    """Those that the rows have numbers for."""
    table = {(row["method"], row["case"]): row for row in rows if "miou" in row}
    found = []
    for label in LABELS:
        if ("none", label) in table:
            found.append(target(f"unedited mIoU, {label}", table["none", label]["miou"], "<=", 0.25))
    for method in LEAST:
        if all((way, label) in table for way in (method, "none") for label in LABELS):
            found += _ours(table, method)
    for row in rows:
        if "met" in row:
            found.append(target(f"{row['method']}, {row['case']}", row["met"], ">=", 0.95))
        if row["method"] == "fast" and "bytes" in row:
            found.append(target("fast peak memory over unedited", row["over_unedited"], "<=", 1.05))
    return found


def _ours(table: Mapping[tuple[str, str], Row], method: str) -> list[Row]:
    found = []
    for label, least in zip(LABELS, LEAST[method]):
        found.append(target(f"{method} mIoU, {label}", table[method, label]["miou"], ">=", least))
    found.append(target(f"{method}, both of two placed", table[method, LABELS[1]]["placed"], ">=", 0.85))
    found += [target(f"{method} {name}", _over(table, method, name), ">=", 0.97) for name in ("presence", "binding")]
    ground, sharp, cost = (
        _over(table, method, name) / _over(table, "none", name) for name in ("background", "sharpness", "seconds")
    )
    found.append(target(f"{method} background over unedited", ground, "<=", 1.25))
    found.append(target(f"{method} sharpness off unedited", abs(sharp - 1), "<=", 0.05))
    found.append(target(f"{method} seconds over unedited", cost, "<=", 1.03 if method == "fast" else 1.7))
    peers, ahead = PEERS[method]
    for peer in peers:
        if (peer, LABELS[0]) not in table:
            continue
        apart = _over(table, method, "miou") - _over(table, peer, "miou")
        found.append(target(f"{method} mIoU over {peer}'s", apart, ">=", ahead))
        if method == "precise":
            dearer = _over(table, method, "seconds") / _over(table, peer, "seconds")
            found.append(target(f"precise seconds over {peer}'s", dearer, "<=", 1.0))
    half = f"{method}, strength 0.5"
    if (half, LABELS[0]) in table:
        middle = (_over(table, method, "miou") + _over(table, "none", "miou")) / 2
        found.append(target(f"{method} at 0.5 off half way", abs(_over(table, half, "miou") - middle), "<=", 0.10))
    return found


def _over(table: Mapping[tuple[str, str], Row], method: str, name: str) -> float:
    """A mean over one, two and three objects."""
    return sum(float(table[method, label][name]) for label in LABELS) / len(LABELS)
