"""What every stage of a solve works with: the folder, the rig with its markers, the keys, the solver on its day."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file
from torch import Tensor

from sfumato.face.binding import Binding
from sfumato.face.clip_settings import ClipSettings, Prior
from sfumato.face.control_names import find
from sfumato.face.curves import Curves
from sfumato.face.edits import Key, read_edits, row_of, ties
from sfumato.face.markers import Markers
from sfumato.face.quality import DATA
from sfumato.face.quality_file import looked
from sfumato.face.regions import JAW
from sfumato.face.rig import Rig
from sfumato.face.solver_file import SolverFile
from sfumato.face.stage_takes import load_take
from sfumato.face.stale import concerned, inputs, made_from
from sfumato.report import Report

SOFT, FIRM = 5e4, 2e6  # weight of a key that is not locked; of what goes with a locked one
EASE = 1 / 30  # seconds around a key in which its control goes with it, one standard deviation


class Solver(Protocol):
    """What a trained solver says of a take.

    jaw: The jaw's curves. regions: All controls' curves, given the jaw's. weight: (K,) how much the fine-tune believes
    each of them.
    """

    @property
    def weight(self) -> Tensor: ...
    def jaw(self, clean: Markers, confidence: Tensor) -> Curves: ...
    def regions(self, clean: Markers, confidence: Tensor, jaw: Curves) -> Curves: ...


@dataclass
class Work:
    """One stage's run; what it reads is read once."""

    folder: Path
    stage: str
    rig: Rig
    binding: Binding
    solver: Solver | None
    settings: ClipSettings
    report: Report
    made_with: str

    @cached_property
    def keys(self) -> list[Key]:
        """Those that this stage follows."""
        every = [key for key in read_edits(self.folder) if key.control in self.rig.controls]
        return concerned(self.stage, tuple(every))

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Digests of what the stage reads."""
        return inputs(self.folder, self.stage, self.made_with)

    @cached_property
    def made_from(self) -> str:
        """Stands for everything that the stage is made from."""
        return made_from(self.stage, self.inputs, concerned(self.stage, read_edits(self.folder)))

    @cached_property
    def ties(self) -> Tensor:
        """(K, K) bool, which controls depend on each other."""
        return ties(self.rig, self.binding)

    @cached_property
    def jaw(self) -> tuple[str, ...]:
        """The jaw's controls."""
        return tuple(self.rig.controls[i] for i in find(self.rig.controls, *JAW))

    @cached_property
    def markers(self) -> Markers:
        """The cleaned take, the binding's markers."""
        return load_take(self.folder, "clean").only(self.binding.names, unseen=True)

    @cached_property
    def confidence(self) -> Tensor:
        """(F, M), 0 for what was filled in: it tells nothing new."""
        sure = load_file(self.folder / "clean.safetensors")["confidence"]
        return torch.where(sure < DATA, torch.zeros_like(sure), sure)

    @cached_property
    def of_the_day(self) -> tuple[Solver, Tensor]:
        """The solver on the day of this take, and that day's offsets (M, 3); both as they are for the day it knows."""
        assert self.solver is not None
        if not isinstance(self.solver, SolverFile):
            return self.solver, torch.zeros(len(self.binding.names), 3, dtype=torch.float64)
        of = [self.inputs[name] for name in ("clean.json", "clean.safetensors", "made_with")]
        found = looked(self.folder, of, self.solver, self.markers, self.confidence, self.rig, self.binding)
        return found.on(self.solver, self.binding), found.offsets

    @property
    def rest(self) -> Tensor:
        """(M, 3) where the markers sit on the neutral face."""
        return self.binding.at(self.rig, torch.zeros(len(self.rig.controls), dtype=torch.float64))

    def columns(self, names: Sequence[str]) -> list[int]:
        """Where controls are among the rig's."""
        return [self.rig.controls.index(name) for name in names]

    def curves(self, values: Tensor) -> Curves:
        """All controls' values (F, K) on the take's frames, its locked keys with them."""
        frames = self.markers.frames
        locked = frozenset((frames[row_of(frames, key)], key.control) for key in self.keys if key.locked)
        return Curves(self.rig.controls, frames, values, self.markers.timeline_fps, locked)

    @cached_property
    def pulls(self) -> list[tuple[Key, int, int, Tensor]]:
        """Every key with its row, its column, and how much samples (F,) go with it: 1 at its own, fading around it."""
        frames, found = self.markers.frames, []
        for key in self.keys:
            row = row_of(frames, key)
            away = (torch.arange(len(frames), dtype=torch.float64) - row) / (EASE * self.markers.fps)
            share = torch.where(away.abs() < 4, (-0.5 * away.square()).exp(), 0.0)
            found.append((key, row, self.rig.controls.index(key.control), share))
        return found

    def keyed(self, values: Tensor, held: Tensor | None = None) -> Tensor:
        """Values (F, K) with the keys in them, and those around a key shifted with it, but for those that are held."""
        shift, share = torch.zeros_like(values), torch.zeros_like(values)
        for key, row, column, near in self.pulls:
            shift[:, column] += near * (key.value - values[row, column])
            share[:, column] += near
        moved = torch.minimum(torch.maximum(values + shift / share.clamp(min=1.0), self.rig.lower), self.rig.upper)
        stays = share == 0 if held is None else held | (share == 0)
        found = torch.where(stays, values, moved)
        for key, row, column, _ in self.pulls:
            found[row, column] = key.value
        return found

    def believed(self, values: Tensor, prior: Prior | None) -> Prior | None:
        """What is believed of each value: those at a key that is not locked, those around any key, as they were shifted
        in `values` (F, K); and what a solver expects, `prior`."""
        if not self.keys:
            return prior
        weight = torch.zeros_like(values)
        for key, _, column, near in self.pulls:
            weight[:, column] += near * (FIRM if key.locked else SOFT)
        if prior is None:
            return Prior(values, weight)
        both = weight + prior.weight
        mean = (weight * values + prior.weight * prior.values) / both.clamp(min=1e-30)
        return Prior(torch.where(weight > 0, mean, prior.values), both)
