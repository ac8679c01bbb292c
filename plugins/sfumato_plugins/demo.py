"""`sfumato demo matte`: make a shot with known truth, solve it as any other, evaluate it, write the page."""

from __future__ import annotations

import os
from typing import Any

from sfumato_plugins.evaluate import evaluate_matte
from sfumato_plugins.job import Job
from sfumato_plugins.report import Teller


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
    from sfumato_plugins.report import Progress
    from sfumato_plugins.run import run

    out = os.path.abspath(out)
    frames, size = (3, (320, 180)) if quick else (8, (640, 360))
    teller.say(f"demo: drawing {frames} frames of {size[0]} x {size[1]} into {out}")
    shot = make_shot(os.path.join(out, "shot"), frames, size, seed, Progress(teller, 10**6).step)
    job = Job(
        tool="matte",
        frames=shot.frames,
        inputs={"plate": shot.plate, "trimap": shot.trimap},
        outputs={"matte": os.path.join(out, "matte", "matte.####.exr"), "page": os.path.join(out, "page.html")},
        params={"quality": quality or ("preview" if quick else "standard")},
        seed=seed,
        base=out,
    )
    job.save(os.path.join(out, "job.json"))
    done = run(job, teller=teller)
    errors = evaluate_matte(job.outputs["matte"], shot.truth, shot.trimap)
    teller.say("demo: against the truth  " + "  ".join(f"{k} {v:.4g}" for k, v in errors.items() if v is not None))
    return {
        "page": job.outputs["page"],
        "matte": job.outputs["matte"],
        "errors": errors,
        "computed": done["computed"]["main"],
        "kept": done["kept"]["main"],
    }
