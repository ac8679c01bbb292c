"""Controls by region, and which part of the marker graph tells of them."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from sfumato.face.binding import Binding
from sfumato.face.control_names import find
from sfumato.face.features import Graph
from sfumato.face.rig import Rig

JAW = ("jawOpen", "jawForward", "jawLeft", "jawRight")
TOGETHER = {"nose": "cheek", "tongue": "mouth"}  # regions with too little of their own
REACHED = 0.1  # of a control's largest movement: a marker that it moves so far belongs to its region


def regions(rig: Rig) -> dict[str, tuple[str, ...]]:
    """Controls by region: the jaw's, and the first word of the others' names; "browDown_L" is of the brow."""
    jaw = {rig.controls[i] for i in find(rig.controls, *JAW)}
    found: dict[str, tuple[str, ...]] = {}
    for name in rig.controls:
        word = re.match(r"[a-z]+|[A-Z][a-z]*|\w", name.rpartition(":")[2])
        region = "jaw" if name in jaw else (word[0].lower() if word else "face")
        region = TOGETHER.get(region, region) if region != "jaw" or name in jaw else "mouth"
        found[region] = (*found.get(region, ()), name)
    return found


def edges_of(graph: Graph, controls: tuple[str, ...], moved: dict[str, Tensor]) -> Tensor:
    """Edges that one of the controls changes; all of them where none does."""
    touched = torch.zeros(len(graph.rest), dtype=torch.bool)
    for name in controls:
        size = moved[name].norm(dim=-1)
        touched |= size > max(REACHED * float(size.max()), 0.01)
    chosen = torch.nonzero(touched[graph.edges].any(1))[:, 0]
    return chosen if len(chosen) else torch.arange(len(graph.edges))


def moved_by(rig: Rig, binding: Binding) -> dict[str, Tensor]:
    """How each control at its limit moves the markers, (M, 3)."""
    rest = binding.at(rig, torch.zeros(len(rig.controls), dtype=torch.float64))
    every = binding.at(rig, torch.diag(rig.upper.double())) - rest
    return dict(zip(rig.controls, every, strict=True))
