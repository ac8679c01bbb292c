"""Learning an actor from a handful of approved frames, and from faces made up of the rig's range of motion.

After FDLS: one network for the jaw from features of the whole face, then one for each region from its own features,
given the jaw where they share markers with it. Approved frames are shown again and again with new noise, drift and
losses; made-up faces fill what the actor has not done yet.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.face.binding import Binding
from sfumato.face.curves import Curves
from sfumato.face.edits import dependants
from sfumato.face.examples import Examples, approved_frames, denoiser_of, examples, own_places
from sfumato.face.features import build_graph, semantic_pairs
from sfumato.face.markers import Markers
from sfumato.face.networks import fit
from sfumato.face.range_of_motion import poses, shown
from sfumato.face.regions import edges_of, moved_by, regions
from sfumato.face.rig import Rig
from sfumato.face.solver_file import Part, SolverFile
from sfumato.report import Report, Step, silent

BLUR = 0.03  # noise on the jaw that the regions are given
HELD = 0.15  # of the approved frames, in one block, to measure errors on
CHUNK = 500  # faces looked at together
LEAST = 0.005  # no control's error is taken to be smaller


@dataclass(frozen=True)
class TrainSettings:
    """samples: Made-up faces. made_up: Their share in what is learned. repeats: Times each approved frame is shown
    with other noise; None: so often that there are as many of them as made-up ones. epochs: Passes over all.

    seed: The same gives the same solver on the same machine. actor, consent: As recorded in the solver.
    """

    samples: int = 6000
    made_up: float = 0.25
    repeats: int | None = None
    epochs: int = 30
    seed: int = 0
    actor: str = ""
    consent: str = ""


def train_solver(
    rig: Rig,
    binding: Binding,
    approved: Sequence[tuple[Markers, Curves]],
    settings: TrainSettings | None = None,
    report: Report = silent,
) -> SolverFile:
    """Learn.

    Args:
        approved: Takes whose head is still, with curves on some or all of their frames; frames meet by their number.

    Raises:
        RequestError: no frame has both markers and curves, or nothing in the curves moves.
    """
    s = settings or TrainSettings()
    draw = torch.Generator().manual_seed(s.seed)
    seen, known = approved_frames(rig, binding, approved)
    report(Step("faces", 0, 1))
    offsets, noise = own_places(rig, binding, seen, known)
    train = torch.arange(len(known)) < max(1, round((1 - HELD) * len(known))) if len(known) > 8 else known[:, 0] > -9
    repeats = s.repeats or max(1, round(s.samples / int(train.sum())))
    made_up = (s.samples, s.made_up if s.samples else 0.0)
    shown_with = examples(rig, binding, seen[train], known[train], offsets, made_up, repeats, draw)
    denoiser = denoiser_of(rig, binding, shown_with, offsets, noise)
    graph = build_graph(denoiser.rest, pairs=semantic_pairs(denoiser.rest, moved_by(rig, binding)))
    lower, upper, believed = rig.lower.double(), rig.upper.double(), torch.ones(len(rig.controls))
    empty = SolverFile(rig.controls, lower, upper, binding.names, graph, denoiser, None, (), believed)
    solver = _fitted(rig, binding, empty, shown_with, s, report)
    error = _errors(rig, binding, solver, seen[~train], known[~train], offsets, draw)
    return replace(
        solver,
        weight=1 / error.clamp(min=LEAST).square(),
        actor=s.actor,
        consent=s.consent,
        date=datetime.date.today().isoformat(),
        learned_from=tuple(_digest(markers, curves) for markers, curves in approved),
        about={
            "approved": float(len(known)),
            "made up": float(s.samples),
            "error": float(error.square().mean().sqrt()),
        },
    )


def _fitted(
    rig: Rig, binding: Binding, solver: SolverFile, known: Examples, s: TrainSettings, report: Report
) -> SolverFile:
    values = known.values
    parted = zip(torch.split(known.positions, CHUNK), torch.split(known.there.double(), CHUNK), strict=True)
    features = torch.cat([solver.features(positions, sure) for positions, sure in parted])
    groups = regions(rig)
    jaw = groups.pop("jaw", ())
    column = {name: i for i, name in enumerate(rig.controls)}
    moved, tied = moved_by(rig, binding), dependants(rig, binding, jaw)
    first: Part | None = None
    parts: list[Part] = []
    given = values[:, [column[name] for name in jaw]] if jaw else None
    todo = ([("jaw", jaw)] if jaw else []) + list(groups.items())
    for number, (name, controls) in enumerate(todo):
        report(Step(name, number, len(todo)))
        edges = torch.arange(len(solver.graph.edges)) if name == "jaw" else edges_of(solver.graph, controls, moved)
        target = values[:, [column[control] for control in controls]]
        given_it = given if name != "jaw" and tied.intersection(controls) else None
        net = fit(features[:, edges].flatten(1), target, given_it, BLUR, known.counts, s.epochs, s.seed + number)
        part = Part(name, controls, edges, net)
        first, parts = (part, parts) if name == "jaw" else (first, [*parts, part])
    report(Step("networks", len(todo), len(todo)))
    return replace(solver, first=first, parts=tuple(parts))


def _errors(
    rig: Rig, binding: Binding, solver: SolverFile, seen: Tensor, known: Tensor, offsets: Tensor, draw: torch.Generator
) -> Tensor:
    """(K,) error of each control, RMS, on approved frames it has not seen; on made-up ones where there are too few."""
    if len(known) < 8:
        known = poses(rig, known, 400, draw)[:200]
        seen, there = shown(rig, binding, known, offsets, draw)
        seen = torch.where(there[..., None], seen, torch.nan)
    take = Markers(binding.names, seen, 1.0)
    sure = take.seen.double()
    jaw = solver.jaw(take, sure)
    return (solver.regions(take, sure, jaw).values - known).square().mean(0).sqrt()


def _digest(markers: Markers, curves: Curves) -> str:
    """One line for a take: how many frames, and a digest of what was in them."""
    held = hashlib.blake2b(markers.positions.numpy().tobytes() + curves.values.numpy().tobytes(), digest_size=16)
    return f"{len(curves.frames)} frames blake2b:{held.hexdigest()}"
