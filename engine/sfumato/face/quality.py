"""Whether a take is of another day than its solver knows, told by the take itself, and what that day's offsets are.

A network that reads distances is right about the expression for most markers even when each sits a little elsewhere.
What its curves leave at a marker all through the clip is then the marker's own:

    o_m = median over frames of (x_m - p_m(w)),    w from the network on the neutral moved by the o of the round before
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.face.belief import errors
from sfumato.face.binding import Binding
from sfumato.face.curves import Curves
from sfumato.face.denoise import Fit, arms
from sfumato.face.markers import Markers
from sfumato.face.rig import Rig
from sfumato.face.solver_file import SolverFile

OTHER = 0.1  # centimetres: RMS of what is left at the markers above which it is another day
DOUBT = 0.04  # RMS error of the controls, as the markers tell it, from which a solver's word is no word of the day
ROUNDS, LOOKED_AT = 5, 400  # of looking; frames, about
DATA = 0.5  # confidence from which a sample is data, not a guess


@dataclass(frozen=True)
class Quality:
    """bias: RMS over markers of what the solver's curves leave at each all through the take, cm.

    scatter: What they leave besides, RMS over samples, cm. offsets: (M, 3) cm of the binding's markers; believed only
    as long as they make the scatter less, else 0. another_day: They are not 0.
    """

    bias: float
    scatter: float
    offsets: Tensor
    another_day: bool

    @property
    def sentence(self) -> str:
        """The same for a person."""
        mm = f"markers sit {self.bias * 10:.1f} mm from where the solver knows them"
        if self.another_day:
            return f"{mm}: taken for another day, and put right; a neutral of that day is better"
        if self.bias > OTHER:
            return f"{mm}, and it cannot put that right by itself: measure a neutral of this day"
        return f"{mm}: the day that it knows"

    def taken_off(self, markers: Markers) -> Markers:
        """The take with the day's offsets taken off, for the solve of the whole clip; markers as in the binding."""
        return replace(markers, positions=markers.positions - self.offsets) if self.another_day else markers

    def on(self, solver: SolverFile, binding: Binding) -> SolverFile:
        """The solver on this day."""
        return solver.on(solver.graph.rest + _ordered(self.offsets, binding, solver)) if self.another_day else solver


def look(solver: SolverFile, clean: Markers, confidence: Tensor, rig: Rig, binding: Binding) -> Quality:
    """Look at a take through its solver.

    Args:
        clean: The binding's markers, the head still, gaps filled. confidence: (F, M); what was filled in counts little.
    """
    every = max(1, len(confidence) // LOOKED_AT)
    some, sure = replace(clean, positions=clean.positions[::every]), confidence[::every]
    home, alone = _home(solver, rig, binding), replace(solver, ahead=0.0)
    own, scatter = _own(_left(alone, some, sure, rig, binding), home)
    known = Quality(float(own.square().sum(1).mean().sqrt()), scatter, torch.zeros_like(own), False)
    if known.bias <= OTHER:
        return known
    for _ in range(ROUNDS - 1):
        there = alone.on(solver.graph.rest + _ordered(own, binding, solver))
        own, scatter = _own(_left(there, some, sure, rig, binding), home)
    found = Quality(known.bias, scatter, own, True)
    curves = _curves(found.on(solver, binding), clean, confidence, rig)
    off = errors(curves, found.taken_off(clean), confidence, rig, binding).square().mean().sqrt()
    return found if float(off) < DOUBT else known


def _own(left: Tensor, home: Tensor) -> tuple[Tensor, float]:
    """Each marker's own share of what is left (M, 3), beyond the day that the solver knows; and the scatter besides."""
    middle = left.nanmedian(0).values.nan_to_num(0.0)
    return middle - home, float((left - middle).square().sum(-1).nanmean().sqrt())


def _curves(solver: SolverFile, clean: Markers, confidence: Tensor, rig: Rig) -> Curves:
    return solver.regions(clean, confidence, solver.jaw(clean, confidence)).only(rig.controls)


def _left(solver: SolverFile, clean: Markers, confidence: Tensor, rig: Rig, binding: Binding) -> Tensor:
    """(F, M, 3) what the solver's curves and the head's drift leave at the markers; NaN where there is no data.

    Drift is taken off first: medians over time of what turns, marker by marker, are no rigid motion.
    """
    left = clean.positions - binding.at(rig, _curves(solver, clean, confidence, rig).values)
    there = confidence >= DATA
    sides = arms(binding.at(rig, torch.zeros(len(rig.controls), dtype=torch.float64)))
    head, _ = Fit.of(sides, OTHER).fitted(left.nan_to_num(0.0), there.double())
    return torch.where(there[..., None], left - torch.einsum("fn,mcn->fmc", head, sides), torch.nan)


def _home(solver: SolverFile, rig: Rig, binding: Binding) -> Tensor:
    """(M, 3) offsets of the day that the solver was trained on."""
    rest = binding.at(rig, torch.zeros(len(rig.controls), dtype=torch.float64))
    row = {name: i for i, name in enumerate(solver.names)}
    theirs = [solver.graph.rest[row[name]] if name in row else rest[i] for i, name in enumerate(binding.names)]
    return torch.stack(theirs) - rest


def _ordered(offsets: Tensor, binding: Binding, solver: SolverFile) -> Tensor:
    """The binding's offsets in the order of the solver's markers; 0 for one that is not bound."""
    row = {name: i for i, name in enumerate(binding.names)}
    still = torch.zeros(3, dtype=torch.float64)
    return torch.stack([offsets[row[name]] if name in row else still for name in solver.names])
