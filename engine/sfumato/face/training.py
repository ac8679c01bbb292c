"""Learning an actor from a handful of approved frames, and from faces made up of the rig's range of motion.

After FDLS: one network for the jaw from features of the whole face, then one for each region from its own features,
given the jaw where they share markers with it. Approved frames are shown again and again with new noise, drift and
losses; made-up faces fill what the actor has not done yet.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from sfumato.device import one_thread
from sfumato.errors import RequestError
from sfumato.face.binding import Binding
from sfumato.face.curves import Curves
from sfumato.face.denoise import Denoiser
from sfumato.face.edits import dependants
from sfumato.face.examples import Examples, approved_frames, denoiser_of, examples, own_places
from sfumato.face.features import build_graph, semantic_pairs
from sfumato.face.markers import Markers
from sfumato.face.networks import Net, fit
from sfumato.face.networks_hsic import fit_by_hsic
from sfumato.face.range_of_motion import poses, shown
from sfumato.face.regions import edges_of, moved_by, regions
from sfumato.face.rig import Rig
from sfumato.face.solver_file import Part, SolverFile
from sfumato.report import Report, Step, silent

BLUR = 0.03  # noise on the jaw that the regions are given
HELD = 0.15  # of the approved frames, in one block, to measure errors on
CHUNK = 500  # faces looked at together
METHODS: dict[str, Callable[..., Net]] = {"backprop": fit, "hsic": fit_by_hsic}
LEAST = 0.005  # no control's error is taken to be smaller


@dataclass(frozen=True)
class TrainSettings:
    """samples: Made-up faces. made_up: Their share in what is learned. repeats: Times each approved frame is shown
    with other noise; None: so often that there are as many of them as made-up ones. epochs: Passes over all.

    seed: The same gives the same solver on the same machine. actor, consent: As recorded in the solver.
    method: Of the networks: "backprop", or "hsic", layer by layer with a linear read-out.

    Raises:
        RequestError: another method.
    """

    samples: int = 6000
    made_up: float = 0.25
    repeats: int | None = None
    epochs: int = 30
    seed: int = 0
    actor: str = ""
    consent: str = ""
    method: str = "backprop"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise RequestError(f"there is no method {self.method}", f"one of {', '.join(METHODS)}")

    def shown(self, frames: int) -> int:
        """How often each of so many approved frames is shown."""
        return self.repeats or max(1, round(self.samples / frames))


Made = Callable[[str, Callable[[], Net]], Net]
"""Gives a network by its name: makes it, or has it from before."""


def make(name: str, fitted: Callable[[], Net]) -> Net:
    """Every network anew."""
    return fitted()


@one_thread()
def train_solver(
    rig: Rig,
    binding: Binding,
    approved: Sequence[tuple[Markers, Curves]],
    settings: TrainSettings | None = None,
    report: Report = silent,
    made: Made = make,
) -> SolverFile:
    """Learn, on one thread of the CPU, so that a solver does not depend on how many cores made it.

    Args:
        approved: Takes whose head is still, with curves on some or all of their frames; frames meet by their number.
        made: Asked for each network, "jaw" and the regions; one that keeps them lets a killed training go on.

    Raises:
        RequestError: no frame has both markers and curves, or nothing in the curves moves.
    """
    s = settings or TrainSettings()
    draw = torch.Generator().manual_seed(s.seed)
    seen, known = approved_frames(rig, binding, approved)
    report(Step("faces", 0, 1))
    offsets, noise = own_places(rig, binding, seen, known)
    count = learned_from(len(known))
    made_up = (s.samples, s.made_up if s.samples else 0.0)
    shown_with = examples(rig, binding, seen[:count], known[:count], offsets, made_up, s.shown(count), draw)
    empty = untrained(rig, binding, denoiser_of(rig, binding, shown_with, offsets, noise))
    solver = _fitted(rig, binding, empty, shown_with, s, report, made)
    error = _errors(rig, binding, solver, seen[count:], known[count:], offsets, draw)
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


def learned_from(frames: int) -> int:
    """How many of so many approved frames are learned from, the first ones; errors are measured on the others."""
    return max(1, round((1 - HELD) * frames)) if frames > 8 else frames


def untrained(rig: Rig, binding: Binding, denoiser: Denoiser) -> SolverFile:
    """A solver that looks at faces, and has no networks yet."""
    graph = build_graph(denoiser.rest, pairs=semantic_pairs(denoiser.rest, moved_by(rig, binding)))
    lower, upper, believed = rig.lower.double(), rig.upper.double(), torch.ones(len(rig.controls))
    return SolverFile(rig.controls, lower, upper, binding.names, graph, denoiser, None, (), believed)


@dataclass(frozen=True)
class Lesson:
    """What one network learns from: its controls, the edges that it looks at, and samples of them.

    features: (N, D). target: (N, K). given: (N, G) the jaw's controls, where it is told them. counts: (N,).
    """

    name: str
    controls: tuple[str, ...]
    edges: Tensor
    features: Tensor
    target: Tensor
    given: Tensor | None
    counts: Tensor


def lessons(rig: Rig, binding: Binding, solver: SolverFile, known: Examples) -> Iterator[Lesson]:
    """Of the jaw, if the rig has one, and then of each region."""
    parted = zip(torch.split(known.positions, CHUNK), torch.split(known.there.double(), CHUNK), strict=True)
    features = torch.cat([solver.features(positions, sure) for positions, sure in parted])
    groups = regions(rig)
    jaw = groups.pop("jaw", ())
    column = {name: i for i, name in enumerate(rig.controls)}
    moved, tied = moved_by(rig, binding), dependants(rig, binding, jaw)
    given = known.values[:, [column[name] for name in jaw]] if jaw else None
    for name, controls in [*([("jaw", jaw)] if jaw else []), *groups.items()]:
        edges = torch.arange(len(solver.graph.edges)) if name == "jaw" else edges_of(solver.graph, controls, moved)
        target = known.values[:, [column[control] for control in controls]]
        given_it = given if name != "jaw" and tied.intersection(controls) else None
        yield Lesson(name, controls, edges, features[:, edges].flatten(1), target, given_it, known.counts)


def _fitted(
    rig: Rig, binding: Binding, solver: SolverFile, known: Examples, s: TrainSettings, report: Report, made: Made
) -> SolverFile:
    first: Part | None = None
    parts: list[Part] = []
    todo = len(regions(rig))
    for number, it in enumerate(lessons(rig, binding, solver, known)):
        report(Step(it.name, number, todo))
        how = (it.features, it.target, it.given, BLUR, it.counts, s.epochs, s.seed + number, report)
        part = Part(it.name, it.controls, it.edges, made(it.name, partial(METHODS[s.method], *how)))
        first, parts = (part, parts) if it.name == "jaw" else (first, [*parts, part])
    report(Step("networks", todo, todo))
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
