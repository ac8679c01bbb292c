"""The solvers of the face bench under one call: markers of a case in, controls out, with the seconds it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato_plugins.benches import face_baselines as baselines
from sfumato_plugins.benches.face_protocol import Case
from sfumato_plugins.benches.face_rigs import bound, linear_rig
from sfumato_plugins.benches.face_setup import Setup

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.face.curves import Curves
    from sfumato.face.markers import Markers
    from sfumato.face.networks import Net
    from sfumato.face.rig import NativeRig
    from sfumato.face.solver_file import SolverFile

PLAIN, DRIFT, CLIP = "least squares", "least squares + drift", "whole clip + drift"
OFFSETS = "least squares + drift + offsets"
PRIOR = "whole clip, prior of others"
POSITIONS, GRAPH, JAW, TUNED = "network, positions", "network, graph", "jaw first", "jaw first, fine-tuned"
LIVE, OURS = "jaw first, live", "sfumato, whole clip"
CAUSAL = (PLAIN, DRIFT, OFFSETS, LIVE)  # these see no frame to come
FACES, EPOCHS = 6000, 30


@dataclass(frozen=True)
class Learned:
    """What was trained on one actor: the staged solver, and two networks of one stage to set beside it."""

    solver: SolverFile
    positions: Net | None
    graph: Net | None


class Methods:
    """All of them on one rig.

    rig: What they are told the rig is (for the baselines its linear part).
    learned: For the networks; without it there are none.
    """

    def __init__(self, setup: Setup, learned: Learned | None = None, rig: NativeRig | None = None) -> None:
        self.setup, self.learned = setup, learned
        self.rig, self.binding = rig or linear_rig(setup), bound(setup)
        self.rest = setup.neutral[setup.spots]
        self.model = baselines.model(self.rest, setup.deltas[:, setup.spots])

    def names(self) -> tuple[str, ...]:
        """Those there are."""
        classical = (PLAIN, DRIFT, OFFSETS, CLIP, OURS)
        if self.learned is None:
            return classical
        single = (POSITIONS, GRAPH) if self.learned.positions is not None else ()
        return (PLAIN, DRIFT, OFFSETS, CLIP, *single, LIVE, JAW, TUNED, OURS)

    def solve(self, name: str, case: Case) -> tuple[Tensor, float]:
        """Controls (F, K) and seconds."""
        moved = case.observed - case.rest
        ways: dict[str, Callable[[], Tensor]] = {
            PLAIN: lambda: baselines.frame_by_frame(self.model, moved, False),
            DRIFT: lambda: baselines.frame_by_frame(self.model, moved, True),
            OFFSETS: lambda: baselines.frame_by_frame(self.model, moved, True, True),
            CLIP: lambda: baselines.whole_clip(self.model, moved),
            POSITIONS: lambda: self._single(moved, False),
            GRAPH: lambda: self._single(moved, True),
            LIVE: lambda: self._live(moved),
            JAW: lambda: self._staged(self.markers(moved, case.fps))[0].values,
            TUNED: lambda: self._tuned(self.markers(moved, case.fps)),
            OURS: lambda: self._clip(self.markers(moved, case.fps)),
        }
        began = time.perf_counter()
        values = ways[name]()
        return values, time.perf_counter() - began

    def markers(self, moved: Tensor, fps: float) -> Markers:
        """A take as the product reads it: displacements on the rig's own neutral."""
        from sfumato.face.markers import Markers

        return Markers(self.setup.names, moved + self.rest, fps)

    def _clip(self, take: Markers) -> Tensor:
        from sfumato.face.clean import clean
        from sfumato.face.clip import solve_clip

        cleaned = clean(take, self.rest)
        return solve_clip(cleaned.markers, self.rig, self.binding, confidence=_told(cleaned.confidence)).curves.values

    def _staged(self, take: Markers) -> tuple[Curves, Markers, Tensor]:
        """The networks on the day they find the take to be of, its markers without that day's offsets, and belief."""
        from sfumato.face.clean import clean
        from sfumato.face.quality import look

        cleaned = clean(take, self.rest)
        markers, sure = cleaned.markers, _told(cleaned.confidence)
        day = look(self._solver(), markers, sure, self.rig, self.binding)
        solver = day.on(self._solver(), self.binding)
        return solver.regions(markers, sure, solver.jaw(markers, sure)), day.taken_off(markers), sure

    def _tuned(self, take: Markers) -> Tensor:
        from sfumato.face.belief import belief
        from sfumato.face.clip import solve_clip
        from sfumato.face.clip_settings import Prior

        start, markers, sure = self._staged(take)
        weight = belief(self._solver(), start, markers, sure, self.rig, self.binding)
        prior = Prior(start.values, weight.expand_as(start.values))
        solved = solve_clip(markers, self.rig, self.binding, start=start, prior=prior, confidence=sure)
        return solved.curves.values

    def _live(self, moved: Tensor) -> Tensor:
        import torch

        from sfumato.face.live import Live

        live = Live(self._solver())
        return torch.stack([torch.from_numpy(live(frame.numpy())) for frame in moved + self.rest])

    def _single(self, moved: Tensor, graph: bool) -> Tensor:
        assert self.learned is not None
        net = self.learned.graph if graph else self.learned.positions
        assert net is not None
        features = _features(self._solver(), moved + self.rest, self.rest, graph)
        return net(features).double().clamp(0, 1)

    def _solver(self) -> SolverFile:
        assert self.learned is not None
        return self.learned.solver


def learn(setup: Setup, known: Tensor, seed: int, single: bool = False, faces: int = FACES) -> Learned:
    """Train on approved frames (N, K): the markers they are shown with have that day's noise.

    single: Also the networks of one stage, on the same faces.
    """
    import torch

    from sfumato.face.curves import Curves
    from sfumato.face.networks import fit
    from sfumato.face.range_of_motion import poses, shown
    from sfumato.face.training import TrainSettings, train_solver
    from sfumato_plugins.benches.face_protocol import make

    rig, binding = linear_rig(setup), bound(setup)
    case = make(setup, known, "noise", 1000 + seed)
    methods = Methods(setup)
    take = methods.markers(case.observed - case.rest, case.fps)
    curves = Curves(setup.controls, take.frames, known, take.timeline_fps)
    recorded = "recordings published for such use"
    settings = TrainSettings(samples=faces, epochs=EPOCHS, seed=seed, actor="bench", consent=recorded)
    solver = train_solver(rig, binding, [(take, curves)], settings)
    if not single:
        return Learned(solver, None, None)
    draw = torch.Generator().manual_seed(seed)
    values = torch.cat([poses(rig, known, faces, draw), known[torch.randint(len(known), (faces,), generator=draw)]])
    places, seen = shown(rig, binding, values, torch.zeros_like(methods.rest), draw)
    places = torch.where(seen[..., None], places, torch.nan)
    counts = torch.ones(len(values))
    nets = [
        fit(_features(solver, places, methods.rest, graph), values, None, 0.0, counts, EPOCHS, seed)
        for graph in (False, True)
    ]
    return Learned(solver, nets[0], nets[1])


def _features(solver: SolverFile, places: Tensor, rest: Tensor, graph: bool) -> Tensor:
    """(F, D) float32: the solver's features of all edges, or displacements, 0 where unseen."""
    if not graph:
        return (places - rest).nan_to_num(0.0).flatten(1).float()
    return solver.features(places, places.isfinite().all(-1).double()).flatten(1)


def _told(confidence: Tensor) -> Tensor:
    """What was filled in tells nothing new."""
    import torch

    return torch.where(confidence < 0.5, torch.zeros_like(confidence), confidence)
