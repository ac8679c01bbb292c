"""`sfumato demo face`: a head and a performance of our own, solved in stages with a key fixed between them, a page."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sfumato_plugins.facing.folder import fix
from sfumato_plugins.job import Job
from sfumato_plugins.report import Progress, Teller

if TYPE_CHECKING:
    from sfumato.face.curves import Curves
    from sfumato.face.rig import NativeRig


def demo_face(out: str, *, quick: bool, seed: int, teller: Teller) -> dict[str, Any]:
    """Make, train, solve to the jaw, fix a key, solve the rest, show. Running it again computes nothing that is there.

    Args:
        out: Folder; made if need be.
        quick: A shorter take and a coarser head, and no training: the whole clip solved classically.

    Returns:
        page and curves (paths); errors against the truth; fixed: the key that was fixed, before and after; seconds.
    """
    from sfumato_plugins.run import run

    out = os.path.abspath(out)
    teller.say(f"demo: making a head, a performance and its markers in {out}")
    rig, truth, files = _made(out, quick, seed)
    if not quick:
        files["solver"] = _trained(out, files, seed, teller)
    solve, page = os.path.join(out, "solve"), os.path.join(out, "page.html")
    job = Job(
        tool="face",
        frames=(1,),
        inputs=files,
        outputs={"solve": os.path.join(solve, "solve.json")},
        params={"stage": "jaw", "actor": "demo"},
        seed=seed,
        names={"shot": "demo", "version": "v001"},
        base=out,
    )
    key = _fixed(solve)
    seconds = 0.0
    if key is None:
        seconds += run(job, teller=teller)["seconds"]
        key = _worst_key(os.path.join(solve, "curves.json"), truth)
        teller.say(f"demo: {key['control']} at frame {key['frame']:g} is {key['was']:.3f}; fixed to {key['value']:.3f}")
        fix(solve, key["control"], key["frame"], key["value"], lock=True)
    whole = replace(job, params={"actor": "demo"}, outputs={**job.outputs, "page": page})
    whole.save(os.path.join(out, "job.json"))
    done = run(whole, teller=teller)
    errors = _errors(os.path.join(solve, "curves.json"), truth, rig)
    teller.say("demo: against the truth  " + "  ".join(f"{name} {value:.4g}" for name, value in errors.items()))
    return {
        "page": page,
        "curves": os.path.join(solve, "curves.json"),
        "errors": errors,
        "fixed": key,
        "seconds": seconds + done["seconds"],
        "computed": done["computed"]["main"],
    }


def _made(out: str, quick: bool, seed: int) -> tuple[NativeRig, Curves, dict[str, str]]:
    """The rig, what it truly does, and the files of a job: the same for the same seed."""
    from sfumato.face.curves import save_curves
    from sfumato.face.demo_performance import demo_performance
    from sfumato.face.demo_rig import demo_rig
    from sfumato.face.markers import save_markers
    from sfumato.face.rig_files import save_rig

    os.makedirs(out, exist_ok=True)
    rig = demo_rig(52, 56) if quick else demo_rig()
    truth, markers, _ = demo_performance(rig, seed, 120 if quick else 480)
    files = {"rig": os.path.join(out, "head.npz"), "markers": os.path.join(out, "take.json")}
    if not all(map(os.path.isfile, files.values())):
        save_rig(rig, files["rig"])
        save_curves(truth, os.path.join(out, "truth.json"))
        save_markers(markers, files["markers"])
    return rig, truth, files


def _trained(out: str, files: dict[str, str], seed: int, teller: Teller) -> str:
    """A solver that has learned this head from another take of it, solved classically and approved."""
    from sfumato.face.demo_performance import demo_performance
    from sfumato.face.markers import save_markers
    from sfumato.face.rig_files import load_rig
    from sfumato_plugins.facing.training import train
    from sfumato_plugins.run import run

    solver, take = os.path.join(out, "solver.safetensors"), os.path.join(out, "approved.json")
    if os.path.isfile(solver):
        return solver
    teller.say("demo: another take of the same head, solved and approved, for a solver to learn from")
    _, markers, _ = demo_performance(load_rig(files["rig"]), seed + 1, 240, start=5001.0)
    save_markers(markers, take)
    approved = os.path.join(out, "approved")
    outputs = {"solve": os.path.join(approved, "solve.json")}
    run(Job("face", (1,), {**files, "markers": take}, outputs, {"actor": "demo"}, base=out), teller=teller)
    train(
        files["rig"],
        [approved],
        solver,
        actor="demo",
        consent="none needed: made by formulas",
        other_actor=False,
        samples=2000,
        epochs=15,
        seed=seed,
        report=Progress(teller, 1).step,
        say=teller.say,
    )
    return solver


def _worst_key(curves: str, truth: Curves) -> dict[str, Any]:
    """The frame at which the jaw is furthest from the truth: what an artist would fix."""
    from sfumato.face.curves import load_curves

    found, right = load_curves(curves).of("jawOpen"), truth.of("jawOpen")
    at = int((found - right).abs().argmax())
    return {
        "control": "jawOpen",
        "frame": truth.frames[at],
        "was": float(found[at]),
        "value": round(float(right[at]), 4),
    }


def _fixed(solve: str) -> dict[str, Any] | None:
    """The key that an earlier run has fixed."""
    from sfumato_plugins.facing.folder import edits_of

    edits = edits_of(solve)
    return {"control": edits[0].control, "frame": edits[0].frame, "value": edits[0].value} if edits else None


def _errors(curves: str, truth: Curves, rig: NativeRig) -> dict[str, float]:
    """RMS of all controls and of the jaw; mean distance of vertices, mm."""
    from sfumato.face.curves import load_curves

    found = load_curves(curves)
    apart = found.values - truth.values
    some = slice(None, None, 6)
    mesh = (rig.mesh(found.values[some]) - rig.mesh(truth.values[some])).norm(dim=-1)
    jaw = found.of("jawOpen") - truth.of("jawOpen")
    rms = {"weights": apart, "jawOpen": jaw}
    return {**{name: float(e.square().mean().sqrt()) for name, e in rms.items()}, "mesh_mm": 10 * float(mesh.mean())}
