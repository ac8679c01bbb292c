"""`sfumato demo matte`: make a shot with known truth, solve it as any other, evaluate it, write the page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sfumato_plugins.evaluate import evaluate_matte
from sfumato_plugins.frames import Pattern
from sfumato_plugins.job import Job
from sfumato_plugins.report import Progress, Teller


def demo_matte(out: str, *, quick: bool, quality: str | None, seed: int, teller: Teller) -> dict[str, Any]:
    """Make, solve, evaluate, show. Running it again computes nothing that is there.

    Args:
        out: Folder; made if need be.
        quick: Three small frames at preview quality, for a first look in seconds.
        quality: A preset; default standard, preview when quick.

    Returns:
        page and matte (paths), errors (as `evaluate matte`), computed and kept (frames).
    """
    from sfumato.demo.matte import make_shot
    from sfumato_plugins.run import run

    out = os.path.abspath(out)
    frames, size = (3, (320, 180)) if quick else (8, (640, 360))
    teller.say(f"demo: drawing {frames} frames of {size[0]} x {size[1]} into {out}")
    shot = make_shot(os.path.join(out, "shot"), frames, size, seed, Progress(teller, 10**6).step)
    job = Job(
        tool="matte",
        frames=shot.frames,
        inputs={"plate": shot.plate, "trimap": shot.trimap},
        outputs={"matte": os.path.join(out, "matte", "matte.####.exr")},
        params={"quality": quality or ("preview" if quick else "standard")},
        seed=seed,
        base=out,
    )
    job.save(os.path.join(out, "job.json"))
    done = run(job, teller=teller)
    teller.say(f"demo: {len(done['computed']['main'])} frames computed, {len(done['kept']['main'])} kept from before")
    errors = evaluate_matte(job.outputs["matte"], shot.truth, shot.trimap)
    _page(job, done, shot.truth, teller)
    teller.say("demo: against the truth  " + "  ".join(f"{k} {v:.4g}" for k, v in errors.items() if v is not None))
    return {
        "page": os.path.join(out, "page.html"),
        "matte": job.outputs["matte"],
        "errors": errors,
        "computed": done["computed"]["main"],
        "kept": done["kept"]["main"],
    }


def _page(job: Job, done: Mapping[str, Any], truth: str, teller: Teller) -> None:
    """The page, with the truth that a real shot does not have."""
    import json

    from sfumato_plugins.colour import config_of
    from sfumato_plugins.matting.review import make_page
    from sfumato_plugins.place import Place
    from sfumato_plugins.tools.matte import MATTE

    with open(done["result"], encoding="utf-8") as file:
        result = json.load(file)
    place = Place(None, config_of(job), None, lambda frame: {}, lambda text: None)
    report = Progress(teller, 1).step
    make_page(MATTE, job, result, report, place, page=os.path.join(job.base, "page.html"), truth=Pattern(truth))
