"""`sfumato demo trail`: a ball crosses the picture along its keyed box, past a box that stays; every frame measured."""

from __future__ import annotations

import json
import os
from typing import Any

from sfumato_plugins.demo_place import mean, run_one, said
from sfumato_plugins.job import Job
from sfumato_plugins.report import Teller

FIRST, LAST = 1001, 1024
TRACK = {
    "schema": "sfumato.track/1", "fps": 8, "start": FIRST, "count": LAST - FIRST + 1, "size": [1920, 1080],
    "pixel_aspect": 1.0, "prompts": [[FIRST, "a red ball and a blue box on grass"]],
    "objects": [
        {"name": "ball", "phrases": ["red ball"], "depth": 1.0,
         "keys": [{"frame": FIRST, "box": [0.02, 0.55, 0.38, 0.92], "way": "ease"},
                  {"frame": 1012, "box": [0.3, 0.4, 0.7, 0.82]},
                  {"frame": LAST, "box": [0.6, 0.5, 0.98, 0.9]}]},
        {"name": "box", "phrases": ["blue box"], "depth": 2.0,
         "keys": [{"frame": FIRST, "box": [0.62, 0.08, 0.92, 0.4]}]},
    ],
}  # fmt: skip


def demo_trail(out: str, *, quick: bool, model: str, seed: int, teller: Teller) -> dict[str, Any]:
    """Write a track, render it without and with its boxes. Running it again computes nothing that is there.

    Args:
        out: Folder; made if need be.
        quick: Fewer steps, and with a model of stills fewer frames.
        model: "embedded", or another as `sfumato trail --model` takes it.

    Returns:
        page, plain (paths of pages), clip (pattern), track; iou, centroid_error and presence of the clip, without
        placement and with it; computed (frames made now).
    """
    from sfumato_plugins.placing.models import clip_length
    from sfumato_plugins.tools.trail import span

    out = os.path.abspath(out)
    os.makedirs(out, exist_ok=True)
    track = os.path.join(out, "track.json")
    with open(track, "w", encoding="utf-8") as file:
        json.dump(TRACK, file, indent=1)
    params: dict[str, Any] = {**({"steps": 16} if quick else {}), **({} if model == "embedded" else {"model": model})}
    inputs = {"track": track}
    frames = span(inputs, params)
    if clip_length(Job("trail", frames, inputs, {}, params)) == 1:
        frames = frames[:: 6 if quick else 3]
    done = {}
    for name, page, method in (("without", "plain", {"method": "none"}), ("with", "page", {})):
        outputs = {
            "clip": os.path.join(out, "clip" if name == "with" else "plain", f"{page}.####.exr"),
            "page": os.path.join(out, f"{page}.html"),
        }
        job = Job("trail", frames, inputs, outputs, {**params, **method}, seed=seed, base=out)
        job.save(os.path.join(out, "job.json"))
        done[name] = run_one(job, teller)
    names = ("iou", "centroid_error", "presence")
    found = {key: {name: mean(rows, key) for name, (rows, _) in done.items()} for key in names}
    iou = found["iou"]
    teller.say(f"demo: IoU of {len(frames)} frames: without {said(iou['without'])}, with {said(iou['with'])}")
    return {
        "page": os.path.join(out, "page.html"),
        "plain": os.path.join(out, "plain.html"),
        "clip": os.path.join(out, "clip", "page.####.exr"),
        "track": track,
        **found,
        "computed": sum(count for _, count in done.values()),
    }
