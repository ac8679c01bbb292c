"""How much of the walked step BDIA takes back: gamma for each inner node, as exact fractions."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

from sfumato.diffusion.schedule import Grid
from sfumato.errors import RequestError

Policy = float | str
"""A number in (0, 1], "optimal" (second order on any grid), "o-belm" (the same, not clamped) or "auto"."""

DENOMINATOR = 256  # gammas are rational with at most this, so that integers can be scaled by them
CLAMP = (Fraction(3, 10), Fraction(1))  # below, inversion amplifies; above, sampling does
GROWTH = 10.0  # how much an inversion may amplify an error by gamma alone


def lowest_gamma(steps: int) -> float:
    """The least constant gamma with which an inversion of so many steps keeps errors below ten times their size.

    10^(-1/(N-1)): .774 for 10 steps, .954 for 50. The often quoted "at least .92" is this rule for 28.
    """
    return float(GROWTH ** (-1 / max(steps - 1, 1)))


def choose_gammas(
    policy: Policy, grid: Grid, *, lattice: bool = True, inverting: bool = True, anyway: bool = False
) -> tuple[Fraction, ...]:
    """gamma_i for the inner nodes i = 1 .. N-1.

    Args:
        policy: A number is used at every node. "optimal" is `optimal_gammas` clamped to .3 .. 1. "auto" is 1 on a
            lattice, which is second order and needs no side bits; for float states the least safe gamma; for sampling
            alone, "optimal".
        grid: The levels.
        lattice: Whether states live on a lattice.
        inverting: Whether the walk will be inverted, or only sampled.
        anyway: Take a gamma that is too low for inversion all the same.

    Raises:
        RequestError: no such policy; a number outside (0, 1]; one too low to invert with.
    """
    count = grid.steps - 1
    if policy == "auto":
        if not inverting:
            policy = "optimal"
        else:
            safe = math.ceil(lowest_gamma(grid.steps) * DENOMINATOR) / DENOMINATOR
            return (Fraction(1 if lattice else safe),) * count
    if policy in ("optimal", "o-belm"):
        exact = optimal_gammas(grid)
        rational = tuple(_rational(g) for g in exact)
        return rational if policy == "o-belm" else tuple(min(max(g, CLAMP[0]), CLAMP[1]) for g in rational)
    if isinstance(policy, str) or not 0 < policy <= 1:
        raise RequestError(f"gamma is {policy}", "give a number above 0 and up to 1, or optimal, or auto")
    least, chosen = lowest_gamma(grid.steps), (_rational(policy),) * count
    if inverting and not anyway and chosen[0] < least:
        raise RequestError(
            f"gamma {policy:g} is too low to invert {grid.steps} steps: errors would grow {growth(chosen):.3g} times",
            f"take {math.ceil(least * 1000) / 1000:g} or more, or fewer steps; 1 is exact and needs nothing kept",
        )
    return chosen


def optimal_gammas(grid: Grid) -> list[float]:
    """gamma_i* = (h_i / h_(i+1))^2 alpha_(i-1) / alpha_(i+1), which makes every step second order.

    Wang et al., "BELM: Bidirectional Explicit Linear Multi-step Sampler", 2024: their O-BELM is BDIA with these. h_i is
    the step from node i to i - 1 in sigma / alpha, or in t for flow, where alpha does not enter.
    """
    flow = grid.kind == "flow"
    levels = [n.time if flow else n.ratio for n in grid.nodes]
    h = [b - a for a, b in itertools.pairwise(levels)]
    scale = [1.0 if flow else n.alpha for n in grid.nodes]
    return [(h[i - 1] / h[i]) ** 2 * scale[i - 1] / scale[i + 1] for i in range(1, grid.steps)]


def growth(gammas: Sequence[Fraction]) -> float:
    """How much inverting with these amplifies an error, by gamma alone."""
    log = -sum(math.log(g) for g in gammas)
    return math.exp(log) if log < 700 else math.inf


def _rational(value: float) -> Fraction:
    """The nearest fraction with a small denominator, never 0: .96 is 24/25, and 1e-9 is 1/256."""
    return max(Fraction(str(value)).limit_denominator(DENOMINATOR), Fraction(1, DENOMINATOR))
