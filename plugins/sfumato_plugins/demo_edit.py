"""`sfumato demo edit`: make a plate with a red ball in it, ask for a blue one, show what changed and what did not."""

from __future__ import annotations

import os
from typing import Any

from sfumato_plugins.frames import Pattern
from sfumato_plugins.job import Job
from sfumato_plugins.report import Teller


def demo_edit(out: str, *, quick: bool, model: str, seed: int, teller: Teller) -> dict[str, Any]:
    """Make, edit, look, show. Running it again computes nothing that is there.

    Args:
        out: Folder; made if need be.
        quick: A smaller plate and fewer steps, for a first look.
        model: "embedded", or a diffusers folder.

    Returns:
        page and edit (paths); seen: what a detector sees where the ball was, before and after; kept: the share of
        pixels outside the mask that are the plate's own bits; exact, calls: of the trip; computed (frames).
    """
    from sfumato.demo.edit import SOURCE, TARGET, make_plate
    from sfumato_plugins.run import run

    out = os.path.abspath(out)
    size = (480, 270) if quick else (960, 540)
    teller.say(f"demo: drawing a plate of {size[0]} x {size[1]} into {out}")
    shot = make_plate(os.path.join(out, "plate"), size, seed)
    held = {"attention": "replace", "layout": 0.6}  # so small a model forgets where a thing was, unless it is told
    params = {"source": SOURCE, "target": TARGET, **held, **({"steps": 20} if quick else {})}
    job = Job(
        tool="edit",
        frames=shot.frames,
        inputs={"plate": shot.plate, "mask": shot.mask},
        outputs={"edit": os.path.join(out, "edit", "edit.####.exr"), "page": os.path.join(out, "page.html")},
        params={**params, **({} if model == "embedded" else {"model": os.path.abspath(model)})},
        seed=seed,
        names={"shot": "red ball to blue ball"},
        base=out,
    )
    job.save(os.path.join(out, "job.json"))
    done = run(job, teller=teller)
    stats = done["frames"][0]["stats"]
    found = {
        "page": os.path.join(out, "page.html"),
        "edit": job.outputs["edit"],
        **_looked_at(job, shot.mask),
        "exact": stats.get("exact"),
        "calls": stats.get("calls"),
        "computed": done["computed"]["main"],
    }
    before, after = found["seen"]["before"], found["seen"]["after"]
    teller.say(f"demo: asked for {TARGET!r} instead of {SOURCE!r}; a detector saw {before} there, and sees {after}")
    teller.say(f"demo: {found['kept']:.2%} of the pixels outside the mask are the plate's own bits")
    return found


def _looked_at(job: Job, mask: str) -> dict[str, Any]:
    """What a detector sees where the mask is, before and after, and how many pixels outside of it are untouched."""
    import torch

    from sfumato.diffusion.display import display_of
    from sfumato.io import read_image
    from sfumato.models.training.detect import find_things

    frame = job.frames[0]
    plate, edit = (read_image(Pattern(p).at(frame)) for p in (job.inputs["plate"], job.outputs["edit"]))
    let = read_image(Pattern(mask).at(frame)).matte()
    rows, columns = (torch.nonzero(let[0].amax(axis))[:, 0] for axis in (1, 0))
    margin = int(len(rows) // 4)
    where = (
        slice(int(rows[0]) - margin, int(rows[-1]) + margin),
        slice(int(columns[0]) - margin, int(columns[-1]) + margin),
    )

    def seen(rgb: torch.Tensor) -> str:
        display = display_of(plate)
        things = find_things(display.encode(display.light(rgb[(slice(None), *where)].nan_to_num(0.0))))
        return f"a {things[0].colour} {things[0].shape}" if things else "nothing"

    before, after = plate.rgb(), edit.rgb()
    same = (before.view(torch.int32) == after.view(torch.int32)).all(0, keepdim=True)
    return {"seen": {"before": seen(before), "after": seen(after)}, "kept": float(same[let == 0].float().mean())}
