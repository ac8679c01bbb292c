"""`sfumato demo place`: the same words and noise without boxes and with them, then a story of panels, measured."""

from __future__ import annotations

import json
import os
from typing import Any

from sfumato_plugins.job import Job
from sfumato_plugins.report import Teller

PROMPT = "a red ball and a blue box on grass"
BOXES = "red ball:0.06,0.45,0.5,0.95; blue box:0.55,0.08,0.95,0.55"
STORY = {
    "schema": "sfumato.story/1",
    "objects": {"ball": "red ball", "box": "blue box"},
    "panels": [
        {"prompt": "a red ball on grass", "boxes": {"ball": [0.05, 0.5, 0.4, 0.9]}},
        {"prompt": PROMPT, "boxes": {"ball": [0.3, 0.45, 0.65, 0.9], "box": [0.65, 0.1, 0.95, 0.45]}},
        {"prompt": PROMPT, "boxes": {"ball": [0.58, 0.5, 0.95, 0.95], "box": [0.06, 0.1, 0.5, 0.55]}},
        {"prompt": "a blue box on grass", "boxes": {"box": [0.25, 0.25, 0.75, 0.75]}},
    ],
}


def demo_place(out: str, *, quick: bool, model: str, seed: int, teller: Teller) -> dict[str, Any]:
    """Make a picture without boxes and with them, and a story. Running it again computes nothing that is there.

    Args:
        out: Folder; made if need be.
        quick: Fewer steps.
        model: "embedded", or another as `sfumato place --model` takes it.

    Returns:
        page, story (paths of pages), picture (path); iou: of the boxes without placement, with it, and in the story;
        presence: the same; computed (pictures made now).
    """
    out = os.path.abspath(out)
    os.makedirs(out, exist_ok=True)
    story = os.path.join(out, "story.json")
    with open(story, "w", encoding="utf-8") as file:
        json.dump(STORY, file, indent=1)
    common: dict[str, Any] = {**({"steps": 16} if quick else {}), **({} if model == "embedded" else {"model": model})}
    words = {"prompt": PROMPT, "box": BOXES, **common}
    plain = Job(
        "place", (1,), {}, _outputs(out, "plain", "plain.exr"), {**words, "method": "none"}, seed=seed, base=out
    )
    placed = Job("place", (1,), {}, _outputs(out, "page", "placed.exr"), words, seed=seed, base=out)
    panels = tuple(range(1, len(STORY["panels"]) + 1))
    told = Job("place", panels, {"story": story}, _outputs(out, "story", "story.####.exr"), common, seed=seed, base=out)
    placed.save(os.path.join(out, "job.json"))
    told.save(os.path.join(out, "story_job.json"))
    done = {name: run_one(job, teller) for name, job in (("without", plain), ("with", placed), ("story", told))}
    found = {name: {key: mean(rows, key) for key in ("iou", "presence")} for name, (rows, _) in done.items()}
    teller.say("demo: IoU of the boxes: " + ", ".join(f"{name} {said(row['iou'])}" for name, row in found.items()))
    return {
        "page": os.path.join(out, "page.html"),
        "story": os.path.join(out, "story.html"),
        "picture": placed.outputs["picture"],
        "iou": {name: row["iou"] for name, row in found.items()},
        "presence": {name: row["presence"] for name, row in found.items()},
        "computed": sum(count for _, count in done.values()),
    }


def _outputs(out: str, page: str, picture: str) -> dict[str, str]:
    return {"picture": os.path.join(out, picture), "page": os.path.join(out, f"{page}.html")}


def run_one(job: Job, teller: Teller) -> tuple[list[dict[str, Any]], int]:
    """Every frame's numbers, and how many were made now."""
    from sfumato_plugins.run import run

    done = run(job, teller=teller)
    return [frame["stats"] for frame in done["frames"]], len(done["computed"]["main"])


def mean(rows: list[dict[str, Any]], key: str) -> float | None:
    """Of the frames that have a number of that name; None where nothing is measured."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return sum(values) / len(values) if values else None


def said(value: float | None) -> str:
    """A number for people."""
    return "not measured" if value is None else f"{value:.2f}"
