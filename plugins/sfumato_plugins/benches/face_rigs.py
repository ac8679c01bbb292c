"""The rigs of the face bench: the ICT face as it is, linear, and with a jaw that turns and ten correctives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato_plugins.benches.face_setup import Setup

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.face.binding import Binding
    from sfumato.face.rig import NativeRig

PIVOT = (0.0, 0.5, 1.0)  # cm, between the joints of the jaw
TURN, ADDED = 0.42, 0.35  # radians, jawOpen at 1; how much of the turn comes on top of the linear shape
PAIRS = (  # correctives: what is on together, and how much less than the sum of both it is
    ("jawOpen", "mouthSmile_L", -0.25),
    ("jawOpen", "mouthSmile_R", -0.25),
    ("jawOpen", "mouthFunnel", -0.30),
    ("jawOpen", "mouthPucker", -0.30),
    ("jawOpen", "mouthStretch_L", 0.25),
    ("jawOpen", "mouthStretch_R", 0.25),
    ("mouthSmile_L", "cheekSquint_L", -0.30),
    ("mouthSmile_R", "cheekSquint_R", -0.30),
    ("browDown_L", "browInnerUp_L", 0.30),
    ("browDown_R", "browInnerUp_R", 0.30),
)


def linear_rig(setup: Setup) -> NativeRig:
    """The skin of the face with the 53 controls."""
    from sfumato.face.rig import NativeRig

    count = len(setup.face)
    inside = (setup.triangles < count).all(1)
    neutral, deltas = setup.neutral[:count], setup.deltas[:, :count]
    stable = setup.rigid[setup.rigid < count]
    return NativeRig(setup.controls, neutral, setup.triangles[inside], deltas, regions={"stable": stable})


def hinged_rig(setup: Setup) -> NativeRig:
    """The same with jawOpen a turn about the jaw's joints, opening somewhat wider, and ten correctives."""
    import dataclasses

    import torch

    from sfumato.face.rig import Hinge

    rig = linear_rig(setup)
    row = {name: i for i, name in enumerate(rig.controls)}
    opened = rig.deltas[row["jawOpen"]]
    share = opened.norm(dim=1) / opened.norm(dim=1).max()
    about = torch.tensor([TURN, 0.0, 0.0], dtype=torch.float64)
    pivot = torch.tensor(PIVOT, dtype=torch.float64)
    deltas = rig.deltas.clone()
    deltas[row["jawOpen"]] -= (
        (1 - ADDED) * share[:, None] * torch.linalg.cross(about.expand_as(rig.neutral), rig.neutral - pivot)
    )
    together = tuple(
        ((row[one], row[two]), gain * (rig.deltas[row[one]] + rig.deltas[row[two]])) for one, two, gain in PAIRS
    )
    hinge = Hinge(pivot, share, (("jawOpen", about),))
    return dataclasses.replace(rig, deltas=deltas, combinations=together, jaw=hinge)


def bound(setup: Setup) -> Binding:
    """Every marker on its vertex."""
    import torch

    from sfumato.face.binding import Binding

    weights = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).repeat(len(setup.spots), 1)
    return Binding(setup.names, setup.spots[:, None].repeat(1, 3), weights)


def slopes_off(rig: NativeRig, binding: Binding, values: Tensor) -> float:
    """The Jacobian at the markers less central differences, over its largest entry."""
    import torch

    from sfumato.face.binding import jacobian

    exact = jacobian(rig, binding, values)
    step = 1e-5
    columns = []
    for k in range(values.shape[-1]):
        by = torch.zeros_like(values)
        by[..., k] = step
        columns.append((binding.at(rig, values + by) - binding.at(rig, values - by)).flatten(-2) / (2 * step))
    return float((exact - torch.stack(columns, -1)).abs().max() / exact.abs().max())
