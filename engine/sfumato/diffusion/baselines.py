"""Other ways to invert, beside which BDIA is measured.

DDIM's own, the fixed point and Euler's are in `ddim.py`, null-text inversion in `null_text.py`.
"""

import itertools
from collections.abc import Sequence

from torch import Tensor

from sfumato.diffusion.ddim import increment
from sfumato.diffusion.gamma import optimal_gammas
from sfumato.diffusion.protocols import Predictor
from sfumato.diffusion.schedule import Grid, Node

MIX = 0.93  # EDICT's share of a state in itself


def edict_sample(
    predictor: Predictor, grid: Grid, pair: tuple[Tensor, Tensor], mix: float = MIX
) -> tuple[Tensor, Tensor]:
    """Wallace, Gokul, Naik, "EDICT", 2023: two states take turns in moving each other, then mix. Two calls.

    pair: Both latents at nodes[N]; from noise alone, the same twice. VP and VE only.

    Returns both at nodes[0]; the first is the answer.
    """
    x, y = pair
    for here, there in _downward(grid):
        x = x + _moved(predictor, x, y, here, there)
        y = y + _moved(predictor, y, x, here, there)
        x = mix * x + (1 - mix) * y
        y = mix * y + (1 - mix) * x
    return x, y


def edict_invert(
    predictor: Predictor, grid: Grid, pair: tuple[Tensor, Tensor], mix: float = MIX
) -> tuple[Tensor, Tensor]:
    """EDICT backwards: exact but for rounding, and every unmixing dilates what differs by 1 / mix."""
    x, y = pair
    for there, here in itertools.pairwise(grid.nodes):
        y = (y - (1 - mix) * x) / mix
        x = (x - (1 - mix) * y) / mix
        y = _back(predictor, y, x, here, there)
        x = _back(predictor, x, y, here, there)
    return x, y


def obelm_walk(
    predictor: Predictor, grid: Grid, first: Tensor, second: Tensor, inverting: bool
) -> tuple[Tensor, Tensor]:
    """O-BELM in its own coefficients, VP or VE: Wang et al., "BELM", 2024. One call a step.

    z_(i-1) = (h_i / h_(i+1))^2 alpha_(i-1) / alpha_(i+1) z_(i+1) + (1 - (h_i / h_(i+1))^2) alpha_(i-1) / alpha_i z_i
    - alpha_(i-1) h_i (h_i + h_(i+1)) / h_(i+1) eps_i. The same walk as BDIA's with `optimal_gammas`.

    first, second: The states the walk begins with: nodes N and N - 1, or inverting 0 and 1. Returns the last two.
    """
    alpha, ratio = [n.alpha for n in grid.nodes], [n.ratio for n in grid.nodes]
    inner = range(1, grid.steps) if inverting else range(grid.steps - 1, 0, -1)
    for i, taken in zip(inner, _ordered(optimal_gammas(grid), inverting), strict=True):
        h, ahead = ratio[i] - ratio[i - 1], ratio[i + 1] - ratio[i]
        node, squared = grid.nodes[i], (h / ahead) ** 2
        # eps of any prediction is the DDIM increment per unit of ratio, in coordinates z / alpha
        step = increment(second, predictor(second, node), predictor.prediction, node, grid.nodes[i - 1])
        eps = ((second + step) / alpha[i - 1] - second / alpha[i]) / -h
        rest = (1 - squared) * alpha[i - 1] / alpha[i] * second - alpha[i - 1] * h * (h + ahead) / ahead * eps
        first, second = second, (first - rest) / taken if inverting else taken * first + rest
    return first, second


def midpoint_walk(predictor: Predictor, times: Sequence[float], z: Tensor) -> Tensor:
    """Flow matching by the midpoint rule, as RF-Solver has it: two calls a step, second order, not exact."""
    for a, b in itertools.pairwise(times):
        half = z + (b - a) / 2 * predictor(z, _flow(a))
        z = z + (b - a) * predictor(half, _flow((a + b) / 2))
    return z


def fireflow_walk(predictor: Predictor, times: Sequence[float], z: Tensor) -> Tensor:
    """The midpoint rule with the last midpoint's velocity for the half step (Deng et al., "FireFlow", 2024).

    One call a step and one at the start; second order, not exact.
    """
    velocity = predictor(z, _flow(times[0]))
    for a, b in itertools.pairwise(times):
        velocity = predictor(z + (b - a) / 2 * velocity, _flow((a + b) / 2))
        z = z + (b - a) * velocity
    return z


def _moved(predictor: Predictor, of: Tensor, by: Tensor, here: Node, there: Node) -> Tensor:
    """What DDIM adds to one state when the other was asked: p of + q out(by)."""
    along = increment(by, predictor(by, here), predictor.prediction, here, there)
    return along + (there.alpha / here.alpha - 1) * (of - by)


def _back(predictor: Predictor, of: Tensor, by: Tensor, here: Node, there: Node) -> Tensor:
    """The state that `_moved` moved to `of`, when it was asked at the same `by`."""
    along = increment(by, predictor(by, here), predictor.prediction, here, there)
    scale = there.alpha / here.alpha
    return (of - along + (scale - 1) * by) / scale


def _downward(grid: Grid) -> list[tuple[Node, Node]]:
    return list(itertools.pairwise(grid.nodes[::-1]))


def _ordered(gammas: list[float], inverting: bool) -> list[float]:
    return gammas if inverting else gammas[::-1]


def _flow(time: float) -> Node:
    return Node(time, 1 - time, time)
