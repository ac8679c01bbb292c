"""Training the face solver's networks on a folder of approved solves, by back-propagation or by HSIC."""

from __future__ import annotations

import os
import pathlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato_plugins.errors import JobError, Problem, wrong
from sfumato_plugins.facing.folder import job_of
from sfumato_plugins.facing.training import approved_places, approved_takes, train
from sfumato_plugins.report import Teller, spoken
from sfumato_plugins.training.claim import alone, fit_to_write
from sfumato_plugins.training.kept_networks import SETTINGS, Kept, settings_of
from sfumato_plugins.training.page import write_lines

if TYPE_CHECKING:
    from sfumato.face.binding import Binding
    from sfumato.face.curves import Curves
    from sfumato.face.markers import Markers

Path = pathlib.Path
SOLVER, WORK, PAGE = "solver.safetensors", "training", "training.html"
TRIED = (300, 600)  # made-up faces that an estimate is measured on


@dataclass(frozen=True)
class AskedFace:
    """What the command line asks for."""

    data: str
    out: str
    rig: str = ""
    method: str = "backprop"
    actor: str = ""
    consent: str = ""
    other_actor: bool = False
    samples: int = 6000
    epochs: int = 30
    seed: int = 0
    resume: bool = False
    estimate: bool = False


def train_face(asked: AskedFace, teller: Teller) -> dict[str, Any]:
    """Train, or only say what it would take.

    Returns:
        estimate (bytes, seconds); unless only that was asked for, what `facing.training.train` returns, method, page
        and the loss of each network over its epochs.

    Raises:
        JobError, sfumato.errors.SfumatoError: everything that is wrong with the request or the takes.
    """
    if asked.samples < 0 or asked.epochs < 1:
        raise wrong("", f"{asked.samples} samples and {asked.epochs} epochs cannot be", "0 or more, and 1 or more")
    folders = solves_in(asked.data)
    rig = asked.rig or _rig_of(approved_places(folders[0], "--data")[0][0])
    out = Path(asked.out).absolute()
    if not asked.estimate:
        fit_to_write(out, (out / WORK / SETTINGS).is_file(), asked.resume)
    takes, binding = approved_takes(folders, asked.actor, asked.other_actor, "--data")
    settings = settings_of(asked, rig, takes, binding)
    if asked.estimate:
        return {"estimate": _estimated(asked, rig, takes, binding, teller)}
    began = time.monotonic()
    with alone(out / WORK):
        estimate = _estimated(asked, rig, takes, binding, teller)  # first: what does not fit leaves nothing behind
        kept = Kept(out / WORK, settings, asked.resume, teller)
        done = train(
            rig, folders, str(out / SOLVER), actor=asked.actor, consent=asked.consent, other_actor=asked.other_actor,
            samples=asked.samples, epochs=asked.epochs, seed=asked.seed, report=kept.report, say=teller.say,
            method=asked.method, made=kept, option="--data",
        )  # fmt: skip
    facts = {
        "networks by": asked.method, "frames": str(done["frames"]),
        "error of a control, 0 to 1, RMS": f"{done['about']['error']:.4f}",
        "actor": asked.actor or "not said", "consent": asked.consent or "not said", "date": done["date"],
    }  # fmt: skip
    title = "Loss over the epochs" if asked.method == "backprop" else "nHSIC(Z, X) - 10 nHSIC(Z, Y) over the rounds"
    write_lines(out / PAGE, out.name, facts, {title: kept.lines})
    more = {"method": asked.method, "page": str(out / PAGE), "losses": kept.lines, "estimate": estimate}
    return {**done, **more, "seconds": time.monotonic() - began}


def solves_in(data: str) -> list[str]:
    """The solves that a folder is or holds, or that a list of approved takes (.json) names.

    Raises:
        JobError: there is none (exit 3).
    """
    if data.lower().endswith(".json") and os.path.isfile(data):
        return [data]
    if os.path.isfile(os.path.join(data, "solve.json")):
        return [data]
    inside = sorted(os.listdir(data)) if os.path.isdir(data) else []
    found = [os.path.join(data, name) for name in inside if os.path.isfile(os.path.join(data, name, "solve.json"))]
    if not found:
        hint = "give a folder of solves: sfumato face solve --markers M --rig R --out DIR/v001 makes one"
        raise JobError(Problem("--data", f"there is no solve of a take in {data}", hint, 3))
    return found


def _rig_of(folder: str) -> str:
    """The rig that a take was solved on."""
    rig = job_of(folder).input("rig") if os.path.isdir(folder) else None
    if rig is None:
        raise wrong("--rig", f"{folder} does not say which rig its takes are of", "name the actor's rig with --rig")
    return rig.text


def _estimated(
    asked: AskedFace, rig: str, takes: list[tuple[Markers, Curves]], binding: Binding, teller: Teller
) -> dict[str, Any]:
    """Bytes of live tensors and seconds, measured on few made-up faces and in a line from there.

    Raises:
        sfumato.errors.MemoryLimitError: it does not fit.
    """
    import torch

    from sfumato.device import free_memory
    from sfumato.errors import MemoryLimitError
    from sfumato.face.rig_files import load_rig
    from sfumato.face.training import TrainSettings, learned_from, train_solver
    from sfumato.train.estimate import in_words
    from sfumato.train.live_tensors import LiveTensors

    target, found = load_rig(rig), []
    for samples in TRIED:
        counter: Any = LiveTensors()
        settings = TrainSettings(samples=samples, repeats=1, epochs=1, seed=asked.seed, method=asked.method)
        began = time.monotonic()
        with counter as live:
            train_solver(target, binding, takes, settings)
        found.append((live.peak, time.monotonic() - began))
    frames = learned_from(sum(len(curves.frames) for _, curves in takes))
    shown = asked.samples + TrainSettings(samples=asked.samples).shown(frames) * frames
    more = max(shown - TRIED[0] - frames, 0) / (TRIED[1] - TRIED[0])
    peak = int(found[0][0] + more * max(found[1][0] - found[0][0], 0))
    seconds = asked.epochs * (found[0][1] + more * max(found[1][1] - found[0][1], 0))
    free = free_memory(torch.device("cpu"))
    teller.say(f"train: {in_words(peak)} of tensors at most, {in_words(free)} are free; {spoken(seconds)} at most")
    if peak > free:
        what = f"the training takes {in_words(peak)}, and {in_words(free)} are free"
        raise MemoryLimitError(what, "take fewer --samples or fewer frames")
    return {"bytes": peak, "free": free, "seconds": seconds}
