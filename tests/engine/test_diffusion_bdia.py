"""One step of BDIA: the paper's equations written out, and one call of the network."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.bdia import drift, make_plan
from sfumato.diffusion.mixture import stiff_mixture
from sfumato.diffusion.protocols import Prediction, Predictor
from sfumato.diffusion.schedule import Node, flow_grid, log_grid, scaled_linear
from sfumato.diffusion.walk import invert, resample

Seeded = Callable[[int], torch.Generator]
TABLE = scaled_linear()


class Counted:
    """A predictor that counts its calls."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.calls = predictor, 0

    @property
    def prediction(self) -> Prediction:
        return self.predictor.prediction

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        self.calls += 1
        return self.predictor(latent, node)


@pytest.mark.parametrize("seed", range(3))
def test_the_step_is_the_papers_equation(seed: int, seeded: Seeded) -> None:
    """(A1) and (A2) written out, in float64, against our form in one drift."""
    mixture, grid, gamma = stiff_mixture(64, seeded(0)), log_grid(TABLE, 20), 0.96
    plan = make_plan(grid, gamma, level=None)
    before, z = torch.randn(2, 4, 64, generator=seeded(seed), dtype=torch.float64)
    i = 3 + 5 * seed
    less, here, more = grid.nodes[i - 1 : i + 2]
    eps = mixture(z, here)
    x0 = (z - here.sigma * eps) / here.alpha
    ahead, back = less.alpha * x0 + less.sigma * eps, more.alpha * x0 + more.sigma * eps
    wanted = gamma * before + ahead - gamma * back
    got = gamma * before + drift(plan, mixture, z, i)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)
    undone = wanted / gamma - ahead / gamma + back
    torch.testing.assert_close(undone, before, rtol=0, atol=1e-12)


def test_on_a_flow_the_step_is_equation_a3(seeded: Seeded) -> None:
    mixture, grid = stiff_mixture(8, seeded(0), prediction="flow"), flow_grid(10, 3.0)
    z = torch.randn(4, 8, generator=seeded(1), dtype=torch.float64)
    less, here, more = (n.time for n in grid.nodes[4:7])
    for gamma in (1.0, 0.9):
        got = drift(make_plan(grid, gamma, level=None), mixture, z, 5)
        wanted = (1 - gamma) * z + ((less - here) - gamma * (more - here)) * mixture(z, grid.nodes[5])
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("start", "more"), [("euler", 0), ("heun", 3)])
@pytest.mark.parametrize("steps", [10, 50])
def test_a_step_costs_one_call(steps: int, start: str, more: int, seeded: Seeded) -> None:
    counted = Counted(stiff_mixture(4, seeded(0), dtype=torch.float32))
    plan = make_plan(log_grid(TABLE, steps), start=start)  # type: ignore[arg-type]
    walk = invert(plan, counted, torch.zeros(1, 4))
    assert counted.calls == steps + more
    resample(plan, counted, walk)
    assert counted.calls == 2 * steps - 1 + more
