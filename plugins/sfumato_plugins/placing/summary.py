"""What the records of a job's frames say together: how well each object was placed over the shot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato_plugins.job import Job
    from sfumato_plugins.tool import Tool


def stats_of(job: Job, tool: Tool) -> dict[int, dict[str, Any]]:
    """The numbers of every frame of a complete job of one view, as its records have them."""
    from sfumato_plugins.shot import main_output

    output = main_output(tool, job)
    found = {}
    for frame in job.written:
        with open(output.sidecar(frame), encoding="utf-8") as file:
            found[frame] = json.load(file)["stats"]
    return found


def summary_of(job: Job, tool: Tool) -> Mapping[str, Any]:
    """Mean IoU, centroid error and presence, of all and of each object; nothing where nobody measured."""
    frames = stats_of(job, tool)
    rows = [(name, row) for stats in frames.values() for name, row in stats.get("objects", {}).items() if row["asked"]]
    if not rows:
        return {}
    each = {name: _means([row for one, row in rows if one == name]) for name, _ in rows}
    return {**_means([row for _, row in rows]), "objects": each}


def _means(rows: list[Mapping[str, Any]]) -> dict[str, float | None]:
    centroids = [row["centroid_error"] for row in rows if row["centroid_error"] is not None]
    return {
        "iou": sum(row["iou"] for row in rows) / len(rows),
        "centroid_error": sum(centroids) / len(centroids) if centroids else None,
        "presence": sum(row["present"] for row in rows) / len(rows),
    }
