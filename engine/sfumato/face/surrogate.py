"""A rig of another program learned as shapes: what each control does alone, what pairs do together, and how far off.

    v(w) = neutral + sum_k shape_k(w_k) + sum_(i, j) w_i w_j corrective_ij

shape_k is straight between samples of the control alone; a corrective is what two controls at 1 do that their shapes
do not. Both are then corrected together by ridge regression on poses drawn at random, and the result is measured on
poses it has not seen. (A decomposition by order of interaction: Sobol', "Sensitivity estimates for nonlinear
mathematical models", 1993.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.face.range_of_motion import poses
from sfumato.face.rig import NativeRig, Rig
from sfumato.report import Report, Step, silent

KNOTS = (0.25, 0.5, 0.75)
MATTERS = 0.01  # centimetres: an in-between or a corrective that moves no vertex so far is left out
DRAWN, HELD = 400, 100  # poses to learn from and to measure on
RIDGE = 1e-2
WIDE = 4000  # vertices corrected at once
BATCH = 64


@dataclass(frozen=True)
class Surrogate:
    """rig: The evaluator that was learned, differentiable. asked: How many poses the original was asked for.

    mean, worst: Distance of a vertex from the original's on poses it has not seen, the mean over poses of the mean and
    the largest of all, cm.
    """

    rig: NativeRig
    mean: float
    worst: float
    asked: int


def learn_rig(
    rig: Rig, known: Tensor | None = None, tolerance: float = 0.05, seed: int = 0, report: Report = silent
) -> Surrogate:
    """Learn a rig.

    Args:
        rig: Any that can be evaluated.
        known: (N, K) poses that matter, of approved takes; those that are drawn are then like them.
        tolerance: Mean error in centimetres above which it is refused.

    Raises:
        RequestError: what was learned is further off than the tolerance.
    """
    count = len(rig.controls)
    alone, asked = _alone(rig, report)
    drawn = poses(rig, known if known is not None else torch.zeros(0, count), DRAWN + HELD, _draw(seed))
    paired, more = _paired(rig, alone, report)
    report(Step("poses", 0, 1))
    meshes = _ask(rig, drawn)
    fitted = _corrected(paired, drawn[:DRAWN], meshes[:DRAWN])
    held = torch.cat([fitted.mesh(part) for part in torch.split(drawn[DRAWN:], BATCH)])
    off = (held - meshes[DRAWN:]).norm(dim=-1)
    found = Surrogate(fitted, float(off.mean()), float(off.max()), asked + more + len(drawn))
    report(Step("poses", 1, 1))
    if found.mean > tolerance:
        worst = int(off.mean(1).argmax())
        active = [n for n, v in zip(rig.controls, drawn[DRAWN + worst].tolist(), strict=True) if abs(v) > 0.05]
        raise RequestError(
            f"the learned rig is {found.mean * 10:.2f} mm off on average, and {tolerance * 10:.2f} mm are allowed "
            f"(worst with {', '.join(active[:6])})",
            "solve on the rig itself by differences, or leave out the controls that do something of their own",
        )
    return found


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _ask(rig: Rig, values: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([rig.mesh(part) for part in torch.split(values, BATCH)])


def _alone(rig: Rig, report: Report) -> tuple[NativeRig, int]:
    """Each control by itself: its shape at 1, and in-betweens where it does not go there straight."""
    report(Step("controls", 0, 1))
    count = len(rig.controls)
    each = torch.cat([torch.eye(count, dtype=torch.float64) * share for share in (*KNOTS, 1.0)])
    shapes = (_ask(rig, each) - rig.neutral).reshape(len(KNOTS) + 1, count, -1, 3)
    between = []
    for row in range(count):
        bent = [(shapes[i, row] - share * shapes[-1, row]).norm(dim=-1).max() for i, share in enumerate(KNOTS)]
        if max(bent) > MATTERS:
            between += [(row, share, shapes[i, row]) for i, share in enumerate(KNOTS)]
    learned = NativeRig(
        tuple(rig.controls),
        rig.neutral.double(),
        rig.faces,
        shapes[-1],
        rig.lower.double(),
        rig.upper.double(),
        rig.regions,
        tuple(between),
        markers=rig.markers,
    )
    report(Step("controls", 1, 1))
    return learned, len(each)


def _paired(rig: Rig, alone: NativeRig, report: Report) -> tuple[NativeRig, int]:
    """Pairs of controls that do together what they do not do alone; pairs that share no vertex are not asked for."""
    touched = alone.deltas.norm(dim=-1) > MATTERS
    pairs = [(i, j) for i, j in combinations(range(len(rig.controls)), 2) if bool((touched[i] & touched[j]).any())]
    found = []
    for first in range(0, len(pairs), BATCH):
        report(Step("pairs", first, len(pairs)))
        part = pairs[first : first + BATCH]
        both = torch.zeros(len(part), len(rig.controls), dtype=torch.float64)
        for row, pair in enumerate(part):
            both[row, list(pair)] = 1.0
        extra = _ask(rig, both) - alone.mesh(both)
        strong = extra.norm(dim=-1).amax(1) > MATTERS
        found += [(part[row], extra[row].clone()) for row in torch.nonzero(strong)[:, 0].tolist()]
    return replace(alone, combinations=tuple(found)), len(pairs)


def _corrected(rig: NativeRig, drawn: Tensor, meshes: Tensor) -> NativeRig:
    """All shapes moved a little, so that drawn poses come out better: ridge regression on what is left."""
    basis = rig.amounts(drawn)
    left = meshes - torch.cat([rig.mesh(part) for part in torch.split(drawn, BATCH)])
    normal = (
        basis.T @ basis + RIDGE * len(drawn) * torch.eye(basis.shape[1], dtype=torch.float64) * basis.square().mean()
    )
    gain = torch.linalg.solve(normal, basis.T)
    moved = torch.cat([torch.einsum("bn,nvc->bvc", gain, part) for part in torch.split(left, WIDE, 1)], 1)
    count, betweens = len(rig.controls), len(rig.between)
    own, inner, pairs = moved[:count], moved[count : count + betweens], moved[count + betweens :]
    return replace(
        rig,
        deltas=rig.deltas + own,
        between=tuple((row, share, delta + more) for (row, share, delta), more in zip(rig.between, inner, strict=True)),
        combinations=tuple((rows, delta + more) for (rows, delta), more in zip(rig.combinations, pairs, strict=True)),
    )
