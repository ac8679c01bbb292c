"""Sampling as EDM does it, and BDIA on the same levels: both end with a plain step to a clean picture."""

from torch import Tensor

from sfumato.diffusion.bdia import Plan
from sfumato.diffusion.ddim import ddim_sample, heun_increment, increment
from sfumato.diffusion.protocols import Predictor
from sfumato.diffusion.schedule import Grid, Node
from sfumato.diffusion.walk import Walk, latent, sample
from sfumato.errors import RequestError
from sfumato.report import Report, silent

CLEAN = Node(0.0, 1.0, 0.0)
"""No noise at all. No network has anything to say there, so nothing is ever asked of one."""


def euler_sample(predictor: Predictor, grid: Grid, noise: Tensor) -> Tensor:
    """From nodes[N] to nodes[0] and on to the clean picture, Euler all the way: N + 1 calls."""
    _expect_noise(grid)
    return _cleaned(predictor, grid, ddim_sample(predictor, grid, noise))


def heun_sample(predictor: Predictor, grid: Grid, noise: Tensor) -> Tensor:
    """The deterministic sampler of Karras et al. 2022, algorithm 1: 2 N + 1 calls.

    Args:
        predictor: The denoiser.
        grid: `edm_grid(N)`, whose lowest level still has noise: the step from there to none is the last, Euler's, as
            in the paper.
        noise: Latent at nodes[N], float32 or float64.

    Raises:
        RequestError: the grid has the clean level in it already.
    """
    _expect_noise(grid)
    z = noise
    for here, there in zip(grid.nodes[:0:-1], grid.nodes[-2::-1], strict=True):
        z = z + heun_increment(z, predictor(z, here), predictor, here, there)
    return _cleaned(predictor, grid, z)


def bdia_sample(plan: Plan, predictor: Predictor, noise: Tensor, report: Report = silent) -> tuple[Tensor, Walk]:
    """BDIA-EDM: a BDIA walk over the same levels, then the same plain step from the lowest of them.

    The walk can be gone back (`walk.reinvert`), to the bit on a lattice; the plain step is how its end is looked at.

    Returns:
        The clean picture, float32 or the dtype of noise, and the walk.
    """
    _expect_noise(plan.grid)
    walk = sample(plan, predictor, noise, report)
    return _cleaned(predictor, plan.grid, latent(plan, walk)), walk


def bdia_calls(plan: Plan) -> int:
    """Calls of the network that `bdia_sample` makes: one a level, more for every increment that is Heun's."""
    each = 1 + (plan.down == "heun") + (plan.up == "heun")
    start = 4 if plan.start == "heun" and plan.grid.high is not None else 1
    return start + each * (plan.grid.steps - 1) + 1


def _cleaned(predictor: Predictor, grid: Grid, z: Tensor) -> Tensor:
    return z + increment(z, predictor(z, grid.nodes[0]), predictor.prediction, grid.nodes[0], CLEAN)


def _expect_noise(grid: Grid) -> None:
    if grid.nodes[0].sigma == 0:
        raise RequestError(
            "the grid ends without noise, and the step to there is taken anyway", "use edm_grid(N) without zero=True"
        )
