"""How far a facial solve is from the truth: weights alone mislead, so always with the mesh, its jitter and the lips."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Deform = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Scores:
    """Errors of a solve.

    weights: RMS over all controls and frames.
    mesh, p95: Mean and 95th percentile of the distance of vertices, mm.
    jitter: Mean size of the second difference over time of the controls, over the truth's.
    jaw: RMS of jawOpen, or NaN for a rig without it.
    lip_gap: Mean error of the distance between the lips, over frames where the true mouth is shut, mm; NaN if none is.
    """

    weights: float
    mesh: float
    p95: float
    jitter: float
    jaw: float
    lip_gap: float


def score(
    solved: Tensor,
    truth: Tensor,
    deform: Deform,
    controls: tuple[str, ...],
    lips: Tensor | None = None,
    shut: float = 0.2,
    every: int = 1,
) -> Scores:
    """Compare controls with the true ones.

    Args:
        solved, truth: (F, K) float64.
        deform: (F', K) -> (F', V, 3) cm of the vertices that count; `lips` index into them.
        controls: Names of the K.
        lips: (P, 2) pairs of vertices, upper and lower.
        shut: A mouth is shut where its lips are this much further apart than on the neutral, or less; cm.
        every: Measure the mesh on every so-many-th frame (weights and jitter always on all).
    """
    some = range(0, len(truth), every)
    distances, gaps = [], []
    rest = deform(torch.zeros_like(truth[:1]))
    for frame in some:
        true, ours = deform(truth[frame : frame + 1]), deform(solved[frame : frame + 1])
        distances.append((true - ours).norm(dim=-1).flatten())
        if lips is not None:
            a, b, c = (_gap(mesh, lips) for mesh in (true, ours, rest))
            if float(a - c) <= shut:
                gaps.append(float((a - b).abs()))
    every_distance = torch.cat(distances) * 10
    error = solved - truth
    jaw = controls.index("jawOpen") if "jawOpen" in controls else None
    return Scores(
        weights=float(error.square().mean().sqrt()),
        mesh=float(every_distance.mean()),
        p95=float(every_distance.kthvalue(max(round(0.95 * len(every_distance)), 1)).values),
        jitter=jitter(solved) / max(jitter(truth), 1e-12),
        jaw=float("nan") if jaw is None else float(error[:, jaw].square().mean().sqrt()),
        lip_gap=10 * sum(gaps) / len(gaps) if gaps else float("nan"),
    )


def jitter(values: Tensor) -> float:
    """Mean absolute second difference over time of (F, K) controls."""
    return float(values.diff(n=2, dim=0).abs().mean())


def _gap(mesh: Tensor, lips: Tensor) -> Tensor:
    gaps: Tensor = (mesh[:, lips[:, 0]] - mesh[:, lips[:, 1]]).norm(dim=-1).mean()
    return gaps
