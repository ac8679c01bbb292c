"""What a face job reads: the take on its timeline, the rig, where markers sit on it, the solver. Needs the engine."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.errors import wrong
from sfumato_plugins.job import Job

if TYPE_CHECKING:
    from sfumato.face.binding import Binding
    from sfumato.face.markers import Markers
    from sfumato.face.rig import Rig
    from sfumato.face.solver_file import SolverFile

Say = Callable[[str], None]


def path_of(job: Job, name: str) -> str:
    """The file or folder of an input, absolute; empty where the job gives none."""
    pattern = job.input(name)
    return pattern.text if pattern else ""


def is_there(job: Job, name: str) -> bool:
    """Whether the job gives it, and the file or folder is there."""
    path = path_of(job, name)
    return bool(path) and os.path.exists(path)


def take_of(job: Job, values: Mapping[str, Any], say: Say) -> Markers:
    """The take, on the timeline, at whole frames where that was asked for.

    Raises:
        sfumato.errors.SfumatoError: it cannot be read, or not as what it is said to be (exit 2 or 3).
        JobError: a timecode that cannot place it (exit 2).
    """
    from sfumato.face.retime import on_timeline, on_whole_frames
    from sfumato_plugins.facing.timeline import placed

    units, fps, up = (None if values[name] in ("auto", "take") else values[name] for name in ("units", "fps", "up"))
    take = _take(path_of(job, "markers"), _bytes(job, "markers"), units, fps, up)
    for note in take.notes:
        say(f"face: {note}")
    lies = placed(
        first=take.start,
        fps=take.fps,
        take_timecode=take.timecode,
        start=_number(values["start"]),
        timecode=values["timecode"],
        offset=float(values["offset"]),
        rate=_number(values["timeline_fps"]) or take.timeline_fps,
    )
    take = on_timeline(take, lies.start, lies.rate)
    if take.step != 1 and values["samples"] == "keep":
        say(f"face: {take.fps:g} samples a second on a timeline of {lies.rate:g}: those between frames are kept")
    return take if values["samples"] == "keep" else on_whole_frames(take, values["samples"])


def _number(value: Any) -> float | None:
    return None if isinstance(value, str) else float(value)


def rig_of(job: Job) -> Rig:
    """The rig.

    Raises:
        sfumato.errors.SfumatoError: it cannot be read (exit 2 or 3).
    """
    return _rig(path_of(job, "rig"), _bytes(job, "rig"))


def _bytes(job: Job, name: str) -> tuple[str, ...]:
    """Stands for the bytes of an input: what is read to be checked is not read again to be solved."""
    from sfumato_plugins.facing.made_of import content

    return tuple(content(job, name))


@functools.lru_cache(maxsize=1)
def _take(path: str, content: tuple[str, ...], units: str | None, fps: float | None, up: str | None) -> Markers:
    from sfumato.face.markers import load_markers

    return load_markers(path, units, fps, up)


@functools.lru_cache(maxsize=1)
def _rig(path: str, content: tuple[str, ...]) -> Rig:
    from sfumato.face.rig_files import load_rig

    return load_rig(path)


def solver_of(job: Job, values: Mapping[str, Any], rig: Rig, say: Say) -> SolverFile | None:
    """The trained solver; None where the clip is solved classically.

    Raises:
        JobError: it is of another actor, and nobody said that this is meant (exit 2).
        sfumato.errors.SfumatoError: it cannot be read, or is of another rig (exit 2 or 3).
    """
    path = path_of(job, "solver")
    if not path or values["method"] == "clip":
        return None
    from sfumato.face.solver_file import load_solver

    solver = load_solver(path)
    if solver.actor and values["actor"] and solver.actor != values["actor"] and not values["other_actor"]:
        what = f"{os.path.basename(path)} was trained on {solver.actor}, and this take is of {values['actor']}"
        raise wrong("inputs.solver", what, "train one on this actor, or say --other-actor if that is meant")
    apart = sorted(set(solver.controls) ^ set(rig.controls))
    if apart:
        side = "this rig" if apart[0] in solver.controls else "the solver"
        what = f"{os.path.basename(path)} was trained on another rig: {side} has no {apart[0]}"
        raise wrong("inputs.solver", what, "train one on this rig, or give the rig that it was trained on")
    if solver.actor and not values["actor"]:
        say(f"face: the solver was trained on {solver.actor}; --actor says whose take this is")
    return solver


def solver_words(path: str) -> str:
    """Name, SHA-256, actor and consent reference of a solver, for whoever asks what the result has learned."""
    import hashlib

    from sfumato.face.solver_file import load_solver

    try:
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return "none"
    solver = load_solver(path)
    words = [f"{os.path.basename(path)} sha256:{digest}", f"actor {solver.actor or 'not said'}"]
    return ", ".join([*words, f"consent {solver.consent or 'not said'}", "learned from the studio's own takes"])


def binding_of(job: Job, rig: Rig, take: Markers, say: Say) -> Binding:
    """Where each marker sits on the rig: as a file says, as the rig says, or laid onto it.

    Raises:
        sfumato.errors.SfumatoError: nothing says it and the take does not come to lie on the face (exit 2 or 3).
    """
    from sfumato.face.binding import bind
    from sfumato.face.markers import load_markers
    from sfumato.face.seat import seat

    path = path_of(job, "binding")
    if path:
        sits = load_markers(path, units="cm" if path.lower().endswith(".json") else None)
        return bind(rig, sits.positions[0], sits.names)
    known = getattr(rig, "markers", None)
    if known is not None:
        found: Binding = known
        return found
    laid = seat(take, rig.neutral, rig.faces)
    say(f"face: nobody says where the markers sit; laid onto the rig, half of them within {laid.apart * 10:.2f} mm")
    say("note: a file of them on the neutral face is better: --binding")
    seen = laid.points.isfinite().all(-1).tolist()
    names = tuple(name for name, known in zip(take.names, seen) if known)
    return bind(rig, laid.points[laid.points.isfinite().all(-1)], names)
