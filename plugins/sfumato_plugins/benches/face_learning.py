"""The face bench's second half: learning one actor, the edit loop, live frames, chunks and another rig."""

from __future__ import annotations

import tempfile
import time
from typing import TYPE_CHECKING, Any

from sfumato_plugins.benches import face_methods as methods
from sfumato_plugins.benches.face_protocol import Case, make
from sfumato_plugins.benches.face_rigs import bound, linear_rig
from sfumato_plugins.benches.face_setup import Setup

if TYPE_CHECKING:
    from torch import Tensor

Row = dict[str, Any]
TRAINED = 0.6  # of every take, its beginning
FEW = 200  # approved frames, when there are few
TAKE, CHUNKS = 1500, ((0, 200), (200, 850), (850, 1500))  # frames


def blocks(takes: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """What is trained on, (N, K), and what is tested on: the beginning of each take, and what comes after."""
    import torch

    cut = [round(TRAINED * len(take)) for take in takes]
    return torch.cat([take[:end] for take, end in zip(takes, cut)]), [take[end:] for take, end in zip(takes, cut)]


def few(known: Tensor) -> Tensor:
    """So many frames drawn evenly."""
    import torch

    return known[torch.linspace(0, len(known) - 1, FEW).round().long()]


def edit_loop(setup: Setup, truth: Tensor, fps: float, learned: methods.Learned | None) -> Row:
    """One locked key of the jaw in the middle of a solved take of 1,000 frames: what changes, and how long it takes.

    learned: A solver of the actor; without it every stage is a classical solve.
    """
    import json
    import pathlib

    import torch

    from sfumato.face.curves import load_curves
    from sfumato.face.edits import dependants, window
    from sfumato.face.edits import read_edits as keys_in
    from sfumato.face.markers import save_markers
    from sfumato.face.stages import run_stage
    from sfumato.face.stale import STAGES, stale

    rig, binding = linear_rig(setup), bound(setup)
    solver = learned.solver if learned else None
    case = make(setup, truth, "drift", 0, fps)
    with tempfile.TemporaryDirectory(prefix="sfumato-bench-face-") as folder:
        there = pathlib.Path(folder)
        save_markers(methods.Methods(setup).markers(case.observed - case.rest, fps), there / "ingest.json")
        for stage in STAGES:
            run_stage(there, stage, rig, binding, solver)
        before = load_curves(there / "finetune.json")
        frame = before.frames[len(before.frames) // 2]
        value = round(float(before.of("jawOpen")[len(before.frames) // 2]) * 0.8 + 0.05, 4)
        edits = {"schema": "sfumato.edits/1", "keys": [[frame, "jawOpen", value, True]]}
        (there / "edits.json").write_text(json.dumps(edits), encoding="utf-8")
        began, busy = time.perf_counter(), time.process_time()
        redone = stale(there)
        for stage in redone:
            run_stage(there, stage, rig, binding, solver)
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        after, keys = load_curves(there / "finetune.json"), list(keys_in(there))
    free = torch.tensor([name in dependants(rig, binding, ["jawOpen"]) for name in rig.controls])
    told = window(before.frames, keys)[:, None] & free
    kept = bool((after.values == before.values)[~told].all())
    held = float(after.of("jawOpen")[before.frames.index(frame)]) == value
    return {
        "case": "one jaw key in 1,000 frames",
        "method": "sfumato, stages" + ("" if learned else " without a solver"),
        "seconds": round(seconds, 3),
        "of the processor": round(busy, 3),
        "redone": redone,
        "elsewhere kept": kept,
        "key kept": held,
        "controls": int(free.sum()),
    }


def live(learned: methods.Learned, case: Case, rest: Tensor) -> Row:
    """Milliseconds a frame, one at a time: the median, features and networks."""
    from sfumato.face.live import Live

    solver, frames = Live(learned.solver), (case.observed - case.rest + rest).numpy()
    taken = []
    for frame in frames:
        began = time.perf_counter()
        solver(frame)
        taken.append(time.perf_counter() - began)
    return {"case": "a live frame", "method": methods.LIVE, "seconds": sorted(taken)[len(taken) // 2]}


def chunked(setup: Setup, truth: Tensor, fps: float) -> tuple[Row, Row]:
    """1,000 frames at once, and a longer take whole and in chunks: seconds, and how far the weights are apart."""
    from sfumato.face.clean import clean
    from sfumato.face.clip import solve_clip
    from sfumato.face.takes import Take, solve_take, told

    known = methods.Methods(setup)

    def cleaned(frames: int) -> Take:
        case = make(setup, truth[:frames], "drift", 0, fps)
        found = clean(known.markers(case.observed - case.rest, fps), known.rest)
        return Take(found.markers, known.rig, known.binding, confidence=found.confidence)

    short, long = cleaned(1000), cleaned(TAKE)
    began = time.perf_counter()
    solve_clip(short.markers, known.rig, known.binding, confidence=short.confidence)
    seconds = time.perf_counter() - began
    whole, worst = solve_take(long).curves.values, 0.0
    learned = told(long)  # as each machine would, or one for all
    for first, last in CHUNKS:
        part = solve_take(long, span=(first, last), known=learned).curves.values
        worst = max(worst, float((part - whole[first:last]).abs().max()))
    return (
        {"case": "1,000 frames at once", "method": methods.OURS, "seconds": round(seconds, 2)},
        {"case": f"{TAKE} frames in {len(CHUNKS)} chunks", "method": methods.OURS, "apart": worst},
    )


def elsewhere(setup: Setup, truth: Tensor, fps: float) -> Row:
    """The take on our demo rig by names: controls bit-equal where contact asks for nothing, contact kept."""
    from sfumato.face.control_names import sources
    from sfumato.face.curves import Curves
    from sfumato.face.demo_rig import demo_rig
    from sfumato.face.retarget import retarget

    source, target = linear_rig(setup), demo_rig()
    curves = Curves(setup.controls, tuple(float(i) for i in range(len(truth))), truth, fps)
    found = retarget(curves, target, source)
    assert found.kept is not None
    alone = {name: theirs[0] for name in target.controls if len(theirs := sources(name, setup.controls)) == 1}
    still = ~found.kept.changed
    equal = all(bool((found.curves.of(ours) == curves.of(theirs))[still].all()) for ours, theirs in alone.items())
    frames = sum(found.kept.frames.values())
    return {
        "case": "onto the demo rig",
        "method": "sfumato, retarget",
        "controls": len(alone),
        "bit-equal": equal,
        "contact frames": frames,
        "contact": sum(found.kept.kept.values()) / max(frames, 1),
        "changed": int(found.kept.changed.sum()),
    }
