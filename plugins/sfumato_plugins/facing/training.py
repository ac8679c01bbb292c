"""A solver learned from approved frames: folders of solves, or takes beside curves. Needs the engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.errors import JobError, Problem, wrong
from sfumato_plugins.facing.binding_file import load_binding
from sfumato_plugins.facing.folder import solve_of
from sfumato_plugins.frames import parse_frames
from sfumato_plugins.takes import read_json

if TYPE_CHECKING:
    from sfumato.face.binding import Binding
    from sfumato.face.curves import Curves
    from sfumato.face.markers import Markers
    from sfumato.face.networks import Net
    from sfumato.report import Step

LIST = "sfumato.approved/1"


def train(
    rig: str,
    approved: Sequence[str],
    out: str,
    *,
    actor: str,
    consent: str,
    other_actor: bool,
    samples: int | None,
    epochs: int | None,
    seed: int,
    report: Callable[[Step], None],
    say: Callable[[str], None],
    method: str = "backprop",
    made: Callable[[str, Callable[[], Net]], Net] | None = None,
    option: str = "--frames",
) -> dict[str, Any]:
    """Train and write a solver.

    Args:
        approved: Folders of solves, DIR or DIR@1001,1040-1050; or a file of sfumato.approved/1 that lists such folders.
        other_actor: Also learn from takes that say they are of somebody else.
        method, made: Of networks; see `sfumato.face.training`.
        option: The one that errors name.

    Returns:
        solver, frames (approved ones), takes, learned_from (digests), actor, consent, date, about.

    Raises:
        JobError: a folder that holds no solve, a take of another actor, frames that are not there (exit 2 or 3).
        sfumato.errors.SfumatoError: the rig cannot be read, or nothing can be learned from the frames.
    """
    from sfumato.face.rig_files import load_rig
    from sfumato.face.training import TrainSettings, make, train_solver

    takes, binding = approved_takes(approved, actor, other_actor, option)
    target = load_rig(rig)
    count = sum(len(curves.frames) for _, curves in takes)
    say(f"face: learning from {count} approved frames of {len(takes)} takes and the rig's range of motion")
    if not actor or not consent:
        say("note: the solver will not say whose face it has learned; --actor and --consent record it")
    settings = TrainSettings(seed=seed, actor=actor, consent=consent, method=method)
    settings = replace(settings, samples=settings.samples if samples is None else samples)
    settings = replace(settings, epochs=settings.epochs if epochs is None else epochs)
    solver = train_solver(target, binding, takes, settings, report, made or make)
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    solver.save(out)
    return {
        "solver": os.path.abspath(out),
        "frames": count,
        "takes": len(takes),
        "actor": solver.actor,
        "consent": solver.consent,
        "date": solver.date,
        "learned_from": list(solver.learned_from),
        "about": dict(solver.about),
    }


def approved_takes(
    approved: Sequence[str], actor: str, other_actor: bool, option: str = "--frames"
) -> tuple[list[tuple[Markers, Curves]], Binding]:
    """The takes that `train` learns from, and where the markers sit that all of them have.

    option: The one that errors name.

    Raises:
        JobError: as `train`.
    """
    takes, bindings = [], []
    for folder, frames in [place for text in approved for place in approved_places(text, option)]:
        _same_actor(folder, actor, other_actor, option)
        takes.append(_approved(folder, frames, option))
        bindings.append(load_binding(os.path.join(folder, "binding.json")))
    return takes, _common(bindings, option)


def approved_places(text: str, option: str = "--frames") -> list[tuple[str, tuple[int, ...] | None]]:
    """Folders and the frames that count in each, None for all, of one word of the command line.

    Raises:
        JobError: a list that is none.
    """
    if text.lower().endswith(".json"):
        listed = read_json(text)
        if not isinstance(listed, dict) or listed.get("schema") != LIST or not isinstance(listed.get("takes"), list):
            raise wrong(option, f"{text} is not {LIST}", f'{{"schema": "{LIST}", "takes": ["v001@1001-1020", ...]}}')
        base = os.path.dirname(os.path.abspath(text))
        return [place for one in listed["takes"] for place in approved_places(os.path.join(base, str(one)), option)]
    folder, at, frames = text.rpartition("@")
    if not at or os.path.isdir(text):
        return [(text, None)]
    return [(folder, parse_frames(frames, option))]


def _same_actor(folder: str, actor: str, other_actor: bool, option: str) -> None:
    theirs = str(solve_of(folder).get("actor", ""))
    if actor and theirs and theirs != actor and not other_actor:
        what = f"{folder} is a take of {theirs}, and the solver is to be of {actor}"
        raise wrong(option, what, "leave it out, or say --other-actor if that is meant")


def _approved(folder: str, frames: Sequence[int] | None, option: str) -> tuple[Markers, Curves]:
    """A folder's markers, and its curves on the frames that are approved."""
    from sfumato.face.curves import load_curves
    from sfumato.face.markers import load_markers

    if solve_of(folder).get("stage") != "finetune":
        raise wrong(option, f"{folder} is not solved to the end", "solve it with --stage all, look, then approve")
    curves = load_curves(os.path.join(folder, "curves.json"))
    markers = load_markers(os.path.join(folder, "stabilise.json"))
    if frames is None:
        return markers, curves
    wanted = set(frames)
    rows = [row for row, frame in enumerate(curves.frames) if frame in wanted]
    lost = sorted(wanted - {curves.frames[row] for row in rows})
    if lost:
        hint = f"it has {curves.frames[0]:g} to {curves.frames[-1]:g}"
        raise JobError(Problem(option, f"{folder} has no frame {lost[0]}", hint))
    some = tuple(curves.frames[row] for row in rows)
    locked = frozenset(pair for pair in curves.locked if pair[0] in some)
    return markers, replace(curves, frames=some, values=curves.values[rows], locked=locked)


def _common(bindings: Sequence[Binding], option: str) -> Binding:
    """The markers that all takes have; where two say otherwise where one sits, the first is right."""
    names = [name for name in bindings[0].names if all(name in one.names for one in bindings)]
    if not names:
        raise wrong(option, "the takes have no marker in common", "train on takes of one set of markers")
    return bindings[0].only(names)
