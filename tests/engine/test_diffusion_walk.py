"""Walks that must not go on, and states stored for hardware that does not answer the same twice."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.bdia import Plan, make_plan
from sfumato.diffusion.mixture import Mixture, stiff_mixture
from sfumato.diffusion.protocols import Prediction
from sfumato.diffusion.schedule import Grid, Node, edm_grid, log_grid, scaled_linear
from sfumato.diffusion.walk import Walk, invert, latent, reinvert, resample, resample_stored, sample
from sfumato.errors import RequestError

Seeded = Callable[[int], torch.Generator]
TABLE = scaled_linear()


@pytest.fixture
def walked(seeded: Seeded) -> tuple[Plan, Mixture, Walk]:
    """An inversion of four latents in 20 steps, its states stored."""
    mixture = stiff_mixture(24, seeded(0), dtype=torch.float32)
    plan = make_plan(log_grid(TABLE, 20))
    return plan, mixture, invert(plan, mixture, mixture.sample(4, TABLE.at(0), seeded(1)), store=True)


class Shaky:
    """A network on hardware that does not add up in the same order twice."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture, self.generator = mixture, torch.Generator().manual_seed(9)

    @property
    def prediction(self) -> Prediction:
        return self.mixture.prediction

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        out = self.mixture(latent, node)
        return out + 1e-4 * torch.randn(out.shape, generator=self.generator)


def test_going_back_from_one_latent_is_refused(walked: tuple[Plan, Mixture, Walk]) -> None:
    plan, mixture, walk = walked
    with pytest.raises(RequestError, match="two neighbouring latents"):
        resample(plan, mixture, latent(plan, walk))  # type: ignore[arg-type]


def test_a_walk_is_refused_by_another_plan_and_in_the_wrong_direction(walked: tuple[Plan, Mixture, Walk]) -> None:
    plan, mixture, walk = walked
    with pytest.raises(RequestError, match="ended at noise level 20"):
        resample(make_plan(log_grid(TABLE, 28)), mixture, walk)
    with pytest.raises(RequestError, match="ended at noise level 20"):
        reinvert(plan, mixture, walk)


def test_a_pair_is_two_of_a_kind(walked: tuple[Plan, Mixture, Walk]) -> None:
    _, _, walk = walked
    with pytest.raises(RequestError, match="differ in shape or kind"):
        replace(walk.pair, cleaner=walk.pair.cleaner[:1])


def test_a_network_that_answers_nan_is_named_not_rounded() -> None:
    class Broken:
        prediction: Prediction = "eps"

        def __call__(self, latent: Tensor, node: Node) -> Tensor:
            return latent * float("nan") if node.time > 500 else latent

    with pytest.raises(RequestError, match="not a number"):
        invert(make_plan(log_grid(TABLE, 20)), Broken(), torch.zeros(1, 4))


def test_stored_states_come_back_to_the_bit_on_hardware_that_does_not(walked: tuple[Plan, Mixture, Walk]) -> None:
    plan, mixture, walk = walked
    shaky = Shaky(mixture)
    assert not torch.equal(resample(plan, shaky, walk).pair.cleaner, walk.states[0])
    assert torch.equal(resample_stored(plan, shaky, shaky, walk).pair.cleaner, walk.states[0])


def test_an_edit_by_stored_states_is_the_edit_where_hardware_is_steady(walked: tuple[Plan, Mixture, Walk]) -> None:
    plan, mixture, walk = walked
    other = Mixture(mixture.means[:2], mixture.stds[:2])
    edited = resample(plan, other, walk).pair.cleaner
    assert torch.equal(resample_stored(plan, other, mixture, walk).pair.cleaner, edited)
    with pytest.raises(RequestError, match="stored no states"):
        resample_stored(plan, other, mixture, replace(walk, states={}))


def test_a_grid_that_ends_without_noise_is_sampled_but_not_inverted(seeded: Seeded) -> None:
    mixture = stiff_mixture(8, seeded(0), prediction="x0", dtype=torch.float32)
    grid: Grid = edm_grid(18, zero=True)
    plan = make_plan(grid, "optimal", inverting=False)
    noise = 80 * torch.randn(2, 8, generator=seeded(1))
    assert torch.isfinite(latent(plan, sample(plan, mixture, noise))).all()
    with pytest.raises(RequestError, match="no noise"):
        invert(plan, mixture, torch.zeros(2, 8))
