"""Both round trips, equal to the bit: every prediction, number of steps, gamma and weight of guidance."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.bdia import Plan, make_plan
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.mixture import Mixture, stiff_mixture
from sfumato.diffusion.protocols import Context, Prediction, Predictor
from sfumato.diffusion.schedule import Node, edm_grid, flow_grid, log_grid, scaled_linear, spaced_grid
from sfumato.diffusion.walk import Walk, arithmetic, invert, latent, reinvert, resample, sample

Seeded = Callable[[int], torch.Generator]
TABLE = scaled_linear()
STEPS = (10, 20, 28, 50, 100)
GRIDS = {"eps": lambda n: log_grid(TABLE, n), "v": lambda n: spaced_grid(TABLE, n), "flow": lambda n: flow_grid(n, 3.0)}


def both_trips(plan: Plan, predictor: Predictor, clean: Tensor, noise: Tensor) -> tuple[bool, bool, Walk, Walk]:
    """Whether image -> noise -> image and noise -> image -> noise came back bit for bit, and both walks out."""
    enter = arithmetic(plan).enter
    out, down = invert(plan, predictor, clean), sample(plan, predictor, noise)
    home, away = resample(plan, predictor, out, verify=True), reinvert(plan, predictor, down, verify=True)
    returned = torch.equal(home.pair.cleaner, enter(clean)), torch.equal(away.pair.noisier, enter(noise))
    return (*returned, out, down)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("rounded", [None, torch.bfloat16])
@pytest.mark.parametrize("prediction", GRIDS)
def test_both_round_trips_are_equal_to_the_bit(
    prediction: Prediction, rounded: torch.dtype | None, steps: int, seeded: Seeded
) -> None:
    mixture = stiff_mixture(24, seeded(0), dtype=torch.float32, prediction=prediction, rounded=rounded)
    grid = GRIDS[prediction](steps)
    clean, noise = mixture.sample(4, grid.nodes[0], seeded(1)), torch.randn(4, 24, generator=seeded(2))
    for gamma in (1.0, 0.96, "optimal", "o-belm"):
        plan = make_plan(grid, gamma, anyway=True)
        home, away, out, down = both_trips(plan, mixture, clean, noise)
        assert home, gamma
        assert away, gamma
        if gamma == 1.0:
            assert not out.bits.steps
            assert not down.bits.steps
        if gamma == 0.96:
            assert not out.bits.steps
            assert down.bits.per_element(noise.numel()) <= 6 * max(1, steps / 50)


def test_the_floats_that_went_in_come_out(seeded: Seeded) -> None:
    """torch.equal of float32 latents, once they lie on the lattice; snapping moves them by 2e-6 at most."""
    mixture = stiff_mixture(64, seeded(0), dtype=torch.float32)
    clean = mixture.sample(16, TABLE.at(0), seeded(1))
    plan = make_plan(log_grid(TABLE, 20))
    states = arithmetic(plan)
    snapped = states.show(states.enter(clean))
    assert float((snapped - clean).abs().max()) <= 2.0**-18
    out = invert(plan, mixture, snapped)
    assert torch.equal(latent(plan, resample(plan, mixture, out)), snapped)
    assert float((latent(plan, out) - snapped).abs().max()) > 0.5  # the trip was made


@pytest.mark.parametrize("way", ["euler", "heun"])
@pytest.mark.parametrize("kind", ["x0", "eps"])
def test_edm_comes_back_to_the_bit_with_either_increment(kind: Prediction, way: str, seeded: Seeded) -> None:
    mixture = stiff_mixture(24, seeded(0), dtype=torch.float32, prediction=kind)
    grid = edm_grid(18)
    plan = make_plan(grid, "optimal", down=way, up=way)  # type: ignore[arg-type]
    noise = 80 * torch.randn(4, 24, generator=seeded(2))
    home, away, _, _ = both_trips(plan, mixture, mixture.sample(4, grid.nodes[0], seeded(1)), noise)
    assert home
    assert away


@pytest.mark.parametrize(("gamma", "bound"), [(1.0, 2e-5), (0.96, 5e-6)])
def test_in_floats_the_trip_is_off_by_rounding_only(gamma: float, bound: float, seeded: Seeded) -> None:
    mixture = stiff_mixture(64, seeded(0), dtype=torch.float32)
    clean = mixture.sample(16, TABLE.at(0), seeded(1))
    for grid in (log_grid(TABLE, 50), spaced_grid(TABLE, 50)):
        plan = make_plan(grid, gamma, level=None)
        home = resample(plan, mixture, invert(plan, mixture, clean))
        assert float((home.pair.cleaner - clean).abs().max()) <= bound


def test_a_shorter_inversion_goes_back_from_where_it_stopped(seeded: Seeded) -> None:
    """Strength 0.8: the first 40 of 50 levels, there and back."""
    mixture = stiff_mixture(24, seeded(0), dtype=torch.float32)
    plan = make_plan(log_grid(TABLE, 50).until(40))
    clean = mixture.sample(4, TABLE.at(0), seeded(1))
    out = invert(plan, mixture, clean)
    assert out.pair.node == 40
    assert torch.equal(resample(plan, mixture, out).pair.cleaner, arithmetic(plan).enter(clean))


@pytest.mark.parametrize("weight", [1.0, 3.0, 7.5])
def test_guidance_comes_back_to_the_bit(weight: float, seeded: Seeded) -> None:
    class TwoPrompts:
        """Context (B, 1, 1): 0 the whole mixture, 1 half of its components."""

        prediction: Prediction = "eps"
        whole = stiff_mixture(24, seeded(0), dtype=torch.float32)
        half = Mixture(whole.means[:4], whole.stds[:4])

        def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
            return torch.where(context.tokens[:, 0] > 0, self.half(latent, node), self.whole(latent, node))

    prompt, empty = Context(torch.ones(4, 1, 1)), Context(torch.zeros(4, 1, 1))
    guided = Guided(TwoPrompts(), prompt, empty, weight)
    plan = make_plan(log_grid(TABLE, 28))
    clean = TwoPrompts.half.sample(4, TABLE.at(0), seeded(1))
    home, away, out, _ = both_trips(plan, guided, clean, torch.randn(4, 24, generator=seeded(2)))
    assert home
    assert away
    other = resample(plan, Guided(TwoPrompts(), empty, empty), out)
    assert not torch.equal(other.pair.cleaner, arithmetic(plan).enter(clean))  # another prompt, another picture


def test_guidance_goes_from_the_empty_answer_past_the_prompts() -> None:
    class Echo:
        prediction: Prediction = "eps"

        def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
            return context.tokens[:, 0].expand_as(latent)

    def answer(weight: float) -> float:
        five, two = (Context(torch.full((1, 1, 1), number)) for number in (5.0, 2.0))
        guided = Guided(Echo(), five, two, weight)
        return float(guided(torch.zeros(1, 1), TABLE.at(0)))

    assert [answer(w) for w in (0.0, 0.5, 1.0, 3.0)] == [2.0, 3.5, 5.0, 11.0]
