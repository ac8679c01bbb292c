"""What a page shows of a solve in numbers: under its heading, for every sample, for every marker."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato_plugins.takes import plain

if TYPE_CHECKING:
    from sfumato_plugins.facing.solution import Solution

MM = 10.0  # of a centimetre


def facts(one: Solution) -> Mapping[str, Any]:
    """What stands under the heading."""
    import torch

    first, last = one.frames[0], one.frames[-1]
    residual = one.residual[one.residual.isfinite()] * MM
    mean = f"{float(residual.mean()):.2f} mm, 95 % below {float(torch.quantile(residual[: 10**6], 0.95)):.2f} mm"
    return {
        "take": os.path.basename(one.input("markers")),
        "rig": f"{os.path.basename(one.input('rig'))}, {len(one.rig.controls)} controls",
        "frames": f"{first:g}-{last:g} ({len(one.frames)}) at {one.curves.fps:g}",
        "markers": f"{len(one.binding.names)}, seen {float(one.seen.double().mean()):.1%}",
        "stage": one.said["stage"],
        "method": one.said["method"],
        "residual": mean,
        "fixed keys": one.said.get("edits", 0) or "",
        "solver": one.said.get("solver", ""),
        "version": one.said.get("version", ""),
    }


def rows(one: Solution) -> list[dict[str, Any]]:
    """Numbers of every sample."""
    residual = one.residual * MM
    worst = residual.nan_to_num(-1.0).max(1)
    found = []
    for at, frame in enumerate(one.frames):
        known = residual[at][residual[at].isfinite()]
        row: dict[str, Any] = {
            "frame": plain(frame),
            "residual": float(known.mean()) if len(known) else None,
            "worst": float(worst.values[at]) if len(known) else None,
            "worst_marker": one.binding.names[int(worst.indices[at])] if len(known) else None,
            "seen": 100 * float(one.seen[at].double().mean()),
        }
        if one.rigid is not None:
            row["drift"] = float(one.rigid[at, 3:].norm()) * MM
        for name in ("saturated", "ambiguous"):
            words = one.said.get(name, {}).get(f"{frame:g}")
            row[name] = ", ".join(words) if words else None
        found.append(row)
    return found


def marker_rows(one: Solution) -> list[dict[str, Any]]:
    """Numbers of every marker, the worst first."""
    residual = one.residual * MM
    found = []
    for column, name in enumerate(one.binding.names):
        known = residual[:, column][residual[:, column].isfinite()]
        row = {"marker": name, "seen %": f"{100 * float(one.seen[:, column].double().mean()):.0f}"}
        if len(known):
            at = int(residual[:, column].nan_to_num(-1.0).argmax())
            row["residual mm"], row["worst mm"] = f"{float(known.mean()):.3f}", f"{float(known.max()):.2f}"
            row["at frame"] = f"{one.frames[at]:g}"
        if one.offsets is not None:
            row["offset mm"] = f"{float(one.offsets[column].norm()) * MM:.2f}"
        found.append(row)
    return sorted(found, key=lambda row: -float(row.get("residual mm", 0)))
