"""BDIA: exact inversion at one call of the network a step.

Zhang, Lewis, Kleijn, "Exact Diffusion Inversion via Bi-directional Integration Approximation", 2023, arXiv 2307.10829.
Let D(i -> j | z_i) be any increment that is a function of z_i alone. The step walked last is estimated again from z_i,
and a part gamma of it taken back before the next one is taken:

    z_(i-1) = gamma z_(i+1) + F_i(z_i)            F_i(z) = (1 - gamma) z - gamma D(i -> i+1 | z) + D(i -> i-1 | z)
    z_(i+1) = (z_(i-1) - F_i(z_i)) / gamma

The state is the pair (z_(i+1), z_i). gamma 0 is DDIM; gamma 1 is the leapfrog scheme, second order on smooth grids.
`walk.py` starts, walks and comes back; here is what one step is made of.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from torch import Tensor

from sfumato.diffusion.ddim import Asking, answered, heun_asking, increment, weights
from sfumato.diffusion.gamma import Policy, choose_gammas
from sfumato.diffusion.lattice import LEVEL
from sfumato.diffusion.protocols import Prediction, Predictor
from sfumato.diffusion.schedule import Grid, Node
from sfumato.errors import RequestError

Way = Literal["euler", "heun"]


@dataclass(frozen=True)
class Plan:
    """All that decides a walk besides the network and the latent.

    grid: The levels, data first.
    gammas: gamma_i for i = 1 .. N-1.
    level: Latents are multiples of 2^-level, exactly; None leaves them in floats, for comparison.
    start: The first step: "euler" (one call), or "heun" (four), which gives inversion a better latent.
    down, up: The increments D(i -> i-1) and D(i -> i+1). Heun costs a call more each; as EDM samplers do.
    """

    grid: Grid
    gammas: tuple[Fraction, ...]
    level: int | None = LEVEL
    start: Way = "heun"
    down: Way = "euler"
    up: Way = "euler"

    def __post_init__(self) -> None:
        if len(self.gammas) != self.grid.steps - 1 or min(self.gammas) <= 0:
            raise RequestError(f"{len(self.gammas)} gammas for {self.grid.steps} steps", "one above 0 per inner node")

    def gamma(self, node: int) -> Fraction:
        """gamma_i of an inner node."""
        return self.gammas[node - 1]


def make_plan(
    grid: Grid,
    gamma: Policy = "auto",
    *,
    level: int | None = LEVEL,
    inverting: bool = True,
    anyway: bool = False,
    start: Way = "heun",
    down: Way = "euler",
    up: Way = "euler",
) -> Plan:
    """A plan with gammas by policy; see `choose_gammas` and `Plan`."""
    gammas = choose_gammas(gamma, grid, lattice=level is not None, inverting=inverting, anyway=anyway)
    return Plan(grid, gammas, level, start, down, up)


def drift(plan: Plan, predictor: Predictor, z: Tensor, node: int) -> Tensor:
    """F_i(z_i), the part of a step that the network decides: eq. (A1) less gamma z_(i+1).

    Args:
        plan: The walk.
        predictor: The network; asked once, and once more for each of plan.down and plan.up that is "heun".
        z: Latent at nodes[node], float32 or float64.
        node: i, 1 .. N-1.

    Returns:
        Shape and dtype of z. With Euler increments a multiple of z plus a multiple of the answer, the two factors in
        float64 and two roundings an element, so that it comes out the same on any device that adds by IEEE 754.
    """
    return answered(drifting(plan, predictor.prediction, z, node), predictor)


def drifting(plan: Plan, prediction: Prediction, z: Tensor, node: int) -> Asking:
    """`drift` for a caller who asks the network: at nodes[node] first."""
    cleaner, here, noisier = plan.grid.nodes[node - 1 : node + 2]
    gamma, out = float(plan.gamma(node)), (yield z, here)
    if plan.down == plan.up == "euler":
        p_down, q_down = weights(prediction, here, cleaner)
        p_up, q_up = weights(prediction, here, noisier)
        return z * (1 - gamma + p_down - gamma * p_up) + out.to(z.dtype) * (q_down - gamma * q_up)
    down = yield from _walked(plan.down, z, out, prediction, here, cleaner)
    up = yield from _walked(plan.up, z, out, prediction, here, noisier)
    return z * (1 - gamma) + down - up * gamma


def _walked(way: Way, z: Tensor, out: Tensor, prediction: Prediction, here: Node, there: Node) -> Asking:
    if way == "heun":
        return (yield from heun_asking(z, out, prediction, here, there))
    return increment(z, out, prediction, here, there)
