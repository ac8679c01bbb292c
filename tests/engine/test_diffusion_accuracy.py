"""Where walks lead: the order of their error, latents and samples near the exact flow's, and smoothing."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.baselines import midpoint_walk
from sfumato.diffusion.bdia import make_plan
from sfumato.diffusion.ddim import ddim_invert, ddim_sample
from sfumato.diffusion.mixture import Mixture, reference, stiff_mixture
from sfumato.diffusion.protocols import Prediction
from sfumato.diffusion.schedule import Node, flow_grid, karras_grid, log_grid, logit_grid, scaled_linear, spaced_grid
from sfumato.diffusion.walk import invert, latent, sample, smoothed

Seeded = Callable[[int], torch.Generator]
TABLE = scaled_linear()


def rms(a: Tensor, b: Tensor) -> float:
    return float((a - b).double().square().mean().sqrt())


def typical(a: Tensor, b: Tensor) -> float:
    """Median over latents of each one's RMS: one in forty starts between two components, where no solver is near."""
    return float((a - b).double().square().mean(1).sqrt().median())


@pytest.fixture(scope="module")
def truth() -> tuple[Mixture, Tensor, Tensor]:
    """A stiff mixture in float64, clean latents, and where its exact flow takes them."""
    generator = torch.Generator().manual_seed(0)
    mixture = stiff_mixture(64, generator)
    clean = mixture.sample(16, TABLE.at(0), generator)
    return mixture, clean, reference(mixture, clean, TABLE.at(0), TABLE.at(999))


def sampling_error(gamma: float | str, steps: int, truth: tuple[Mixture, Tensor, Tensor]) -> float:
    mixture, clean, noise = truth
    plan = make_plan(log_grid(TABLE, steps), gamma, level=None, inverting=False)
    return rms(latent(plan, sample(plan, mixture, noise)), clean)


@pytest.mark.parametrize("gamma", [1.0, "optimal"])
def test_gamma_one_and_optimal_are_of_second_order(gamma: float | str, truth: tuple[Mixture, Tensor, Tensor]) -> None:
    assert math.log2(sampling_error(gamma, 200, truth) / sampling_error(gamma, 400, truth)) >= 1.95


@pytest.mark.parametrize("gamma", [0.5, 0.9])
def test_a_lower_gamma_leaves_the_predicted_part_of_ddims_error(
    gamma: float, truth: tuple[Mixture, Tensor, Tensor]
) -> None:
    mixture, clean, noise = truth
    ddim = rms(ddim_sample(mixture, log_grid(TABLE, 400), noise), clean)
    assert sampling_error(gamma, 400, truth) / ddim == pytest.approx((1 - gamma) / (1 + gamma), rel=0.15)


def test_the_latent_is_near_the_exact_flows(truth: tuple[Mixture, Tensor, Tensor]) -> None:
    """An exact trip certifies nothing of where it went: these bounds do, a fifth of DDIM's or less."""
    mixture, clean, noise = truth
    for grid, bound in ((log_grid(TABLE, 50), 5e-3), (spaced_grid(TABLE, 50), 0.03), (karras_grid(TABLE, 50), 5e-3)):
        plan = make_plan(grid)
        found = latent(plan, invert(plan, mixture, clean))
        assert typical(found, noise) <= bound
        assert float(found.std()) == pytest.approx(float(noise.std()), rel=0.03)
        assert typical(ddim_invert(mixture, grid, clean), noise) > 5 * bound


def test_samples_are_near_the_exact_flows(truth: tuple[Mixture, Tensor, Tensor]) -> None:
    plan = make_plan(log_grid(TABLE, 50), inverting=False)
    found = latent(plan, sample(plan, truth[0], truth[2]))
    assert typical(found, truth[1]) <= 6e-4
    assert typical(ddim_sample(truth[0], plan.grid, truth[2]), truth[1]) > 10 * 6e-4


def test_smoothing_a_flows_output_takes_its_ringing_away_and_touches_no_state(seeded: Seeded) -> None:
    mixture = stiff_mixture(32, seeded(0), prediction="flow")
    noise = torch.randn(8, 32, generator=seeded(1), dtype=torch.float64)
    fine = flow_grid(2000)
    exact = midpoint_walk(mixture, [n.time for n in fine.nodes[::-1]], noise)
    plan = make_plan(logit_grid(28), 1.0, level=None)
    walk = sample(plan, mixture, noise)
    before = walk.pair.cleaner.clone()
    assert rms(smoothed(plan, mixture, walk), exact) < 0.3 * rms(latent(plan, walk), exact)
    assert torch.equal(walk.pair.cleaner, before)


def test_smoothing_leaves_a_straight_walk_where_it_is() -> None:
    class Straight:
        prediction: Prediction = "flow"

        def __call__(self, latent: Tensor, node: Node) -> Tensor:
            return torch.full_like(latent, 3.0)

    plan = make_plan(flow_grid(10), 1.0, level=None)
    walk = sample(plan, Straight(), torch.full((1, 2), 4.0).double())
    torch.testing.assert_close(smoothed(plan, Straight(), walk), torch.ones(1, 2).double(), rtol=0, atol=1e-12)
