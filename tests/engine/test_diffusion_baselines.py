"""The peers: O-BELM is BDIA by its own coefficients, EDICT comes back, the flow baselines come near."""

from collections.abc import Callable
from fractions import Fraction

import torch

from sfumato.diffusion.baselines import edict_invert, edict_sample, fireflow_walk, midpoint_walk, obelm_walk
from sfumato.diffusion.bdia import Plan
from sfumato.diffusion.ddim import started
from sfumato.diffusion.gamma import optimal_gammas
from sfumato.diffusion.mixture import stiff_mixture
from sfumato.diffusion.schedule import Node, flow_grid, log_grid, scaled_linear, spaced_grid
from sfumato.diffusion.walk import invert

Seeded = Callable[[int], torch.Generator]
TABLE = scaled_linear()


def test_obelm_in_its_own_coefficients_is_bdia_with_optimal_gammas(seeded: Seeded) -> None:
    mixture = stiff_mixture(64, seeded(0))
    clean = mixture.sample(16, TABLE.at(0), seeded(1))
    for grid in (spaced_grid(TABLE, 50), log_grid(TABLE, 50)):
        exact = tuple(Fraction(g) for g in optimal_gammas(grid))
        plan = Plan(grid, exact, None, "euler")
        ours = invert(plan, mixture, clean)
        second = started(mixture, clean, grid.nodes[0], grid.nodes[1], None)
        cleaner, noisier = obelm_walk(mixture, grid, clean, second, inverting=True)
        torch.testing.assert_close(noisier, ours.pair.noisier, rtol=0, atol=1e-10)
        home = obelm_walk(mixture, grid, noisier, cleaner, inverting=False)
        torch.testing.assert_close(home[1], clean, rtol=0, atol=1e-10)


def test_edict_comes_back_and_the_flow_baselines_do_not(seeded: Seeded) -> None:
    mixture = stiff_mixture(64, seeded(0))
    clean = mixture.sample(16, TABLE.at(0), seeded(1))
    grid = spaced_grid(TABLE, 20)
    home = edict_sample(mixture, grid, edict_invert(mixture, grid, (clean, clean)))
    torch.testing.assert_close(home[0], clean, rtol=0, atol=1e-11)
    flow = stiff_mixture(32, seeded(0), prediction="flow")
    x, up = flow.sample(8, Node(0, 1, 0), seeded(1)), [n.time for n in flow_grid(28).nodes]
    for walk in (midpoint_walk, fireflow_walk):
        home = walk(flow, up[::-1], walk(flow, up, x))
        assert 1e-6 < float((home - x).square().mean().sqrt()) < 1e-2
