"""Learning an actor from a handful of approved frames, and from faces made up of the rig's range of motion.

After FDLS: one network for the jaw from features of the whole face, then one for each region from its own features,
given the jaw. Approved frames are shown again and again with new noise, drift and losses; made-up faces fill what the
actor has not done yet.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.face.binding import Binding
from sfumato.face.curves import Curves
from sfumato.face.features import Graph, build_graph, semantic_pairs
from sfumato.face.markers import Markers
from sfumato.face.networks import fit
from sfumato.face.range_of_motion import poses, shown, tracked
from sfumato.face.regions import edges_of, moved_by, regions
from sfumato.face.rig import Rig
from sfumato.face.solver_file import Part, SolverFile
from sfumato.report import Report, Step, silent

BLUR = 0.03  # noise on the jaw that the regions are given
HELD = 0.15  # of the approved frames, in one block, to measure errors on
BELIEF = 0.03  # of the inverse variance: errors of neighbouring frames are alike and lean to the usual face
LEAST = 0.01  # no control's error is taken to be smaller


@dataclass(frozen=True)
class TrainSettings:
    """samples: Made-up faces. repeats: Times each approved frame is shown with other noise. epochs: Passes over all.

    seed: The same gives the same solver on the same machine. actor, consent: As recorded in the solver.
    """

    samples: int = 6000
    repeats: int = 6
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
    seen, known = _approved(rig, binding, approved)
    report(Step("faces", 0, 1))
    offsets = _offsets(rig, binding, seen, known)
    rest = binding.at(rig, torch.zeros(len(rig.controls), dtype=torch.float64)) + offsets
    graph = _graph(rig, binding, rest)
    train = torch.arange(len(known)) < max(1, round((1 - HELD) * len(known))) if len(known) > 8 else known[:, 0] > -9
    positions, there, values, counts = _samples(rig, binding, seen[train], known[train], offsets, s, draw)
    empty = SolverFile(
        rig.controls,
        rig.lower.double(),
        rig.upper.double(),
        binding.names,
        graph,
        None,
        (),
        torch.ones(len(rig.controls)),
    )
    solver = _fitted(rig, binding, empty, positions, there, values, counts, s, report)
    error = _errors(rig, binding, solver, seen[~train], known[~train], offsets, draw)
    return replace(
        solver,
        weight=BELIEF / error.clamp(min=LEAST).square(),
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


def _approved(rig: Rig, binding: Binding, approved: Sequence[tuple[Markers, Curves]]) -> tuple[Tensor, Tensor]:
    """Markers (N, M, 3) and controls (N, K) of the frames that have both."""
    markers, values = [], []
    for take, curves in approved:
        row = {round(frame, 4): i for i, frame in enumerate(take.frames)}
        pairs = [(row[round(f, 4)], i) for i, f in enumerate(curves.frames) if round(f, 4) in row]
        if pairs:
            mine, theirs = (torch.tensor(side) for side in zip(*pairs, strict=True))
            markers.append(take.only(binding.names, unseen=True).positions[mine])
            values.append(curves.only(rig.controls).values[theirs])
    if not markers:
        raise RequestError(
            f"none of the {len(approved)} approved takes has a frame with both markers and curves",
            "give folders of solves, or takes and curves on the same frames",
        )
    found = torch.cat(values)
    if not found.any():
        raise RequestError(
            "the approved curves hold nothing but zeros", "approve frames on which the face does something"
        )
    return torch.cat(markers), found


def _offsets(rig: Rig, binding: Binding, seen: Tensor, known: Tensor) -> Tensor:
    """(M, 3) where the markers lie beside the rig's, the median over approved frames; 0 for a marker never seen."""
    return (seen - binding.at(rig, known)).nanmedian(0).values.nan_to_num(0.0)


def _graph(rig: Rig, binding: Binding, rest: Tensor) -> Graph:
    return build_graph(rest, pairs=semantic_pairs(rest, moved_by(rig, binding)))


def _samples(
    rig: Rig, binding: Binding, seen: Tensor, known: Tensor, offsets: Tensor, s: TrainSettings, draw: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Markers, whether seen, controls, and how much each counts: half for approved frames, half for made-up ones."""
    values = poses(rig, known, s.samples, draw)
    made, made_seen = shown(rig, binding, values, offsets, draw)
    again = seen.repeat(s.repeats, 1, 1)
    filled = torch.where(again.isfinite(), again, binding.at(rig, known).repeat(s.repeats, 1, 1) + offsets)
    real, real_seen = tracked(filled, draw)
    real_seen = real_seen & again.isfinite().all(-1)
    counts = torch.cat([torch.full((len(made),), 1 / max(len(made), 1)), torch.full((len(real),), 1 / len(real))])
    return (
        torch.cat([made, real]),
        torch.cat([made_seen, real_seen]),
        torch.cat([values, known.repeat(s.repeats, 1)]),
        counts,
    )


def _fitted(
    rig: Rig,
    binding: Binding,
    solver: SolverFile,
    positions: Tensor,
    there: Tensor,
    values: Tensor,
    counts: Tensor,
    s: TrainSettings,
    report: Report,
) -> SolverFile:
    features = torch.cat(
        [solver.features(p, t) for p, t in zip(torch.split(positions, 512), torch.split(there, 512), strict=True)]
    )
    groups = regions(rig)
    jaw = groups.pop("jaw", ())
    column = {name: i for i, name in enumerate(rig.controls)}
    moved = moved_by(rig, binding)
    first: Part | None = None
    parts: list[Part] = []
    given = values[:, [column[name] for name in jaw]] if jaw else None
    todo = ([("jaw", jaw)] if jaw else []) + list(groups.items())
    for number, (name, controls) in enumerate(todo):
        report(Step(name, number, len(todo)))
        edges = torch.arange(len(solver.graph.edges)) if name == "jaw" else edges_of(solver.graph, controls, moved)
        target = values[:, [column[control] for control in controls]]
        known = None if name == "jaw" else given
        net = fit(features[:, edges].flatten(1), target, known, BLUR, counts, s.epochs, s.seed + number)
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
