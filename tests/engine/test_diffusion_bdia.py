"""BDIA: exact to the bit both ways, second order, latents near the exact flow's, one call a step, and refusals."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.baselines import edict_invert, edict_sample, fireflow_walk, midpoint_walk, obelm_walk
from sfumato.diffusion.bdia import Plan, drift, make_plan
from sfumato.diffusion.ddim import ddim_invert, ddim_sample, started
from sfumato.diffusion.gamma import choose_gammas, growth, lowest_gamma, optimal_gammas
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.mixture import Mixture, reference, stiff_mixture
from sfumato.diffusion.protocols import Context, Prediction, Predictor
from sfumato.diffusion.schedule import (
    Grid,
    Node,
    edm_grid,
    flow_grid,
    karras_grid,
    log_grid,
    logit_grid,
    scaled_linear,
    spaced_grid,
)
from sfumato.diffusion.walk import (
    Walk,
    arithmetic,
    invert,
    latent,
    reinvert,
    resample,
    resample_stored,
    sample,
    smoothed,
)
from sfumato.errors import RequestError

TABLE = scaled_linear()
STEPS = (10, 20, 28, 50, 100)
GRIDS = {"eps": lambda n: log_grid(TABLE, n), "v": lambda n: spaced_grid(TABLE, n), "flow": lambda n: flow_grid(n, 3.0)}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rms(a: Tensor, b: Tensor) -> float:
    return float((a - b).double().square().mean().sqrt())


def typical(a: Tensor, b: Tensor) -> float:
    """Median over latents of each one's RMS: one in forty starts between two components, where no solver is near."""
    return float((a - b).double().square().mean(1).sqrt().median())


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


@pytest.fixture(scope="module")
def truth() -> tuple[Mixture, Tensor, Tensor]:
    """A stiff mixture in float64, clean latents, and where its exact flow takes them."""
    mixture = stiff_mixture(64, seeded())
    clean = mixture.sample(16, TABLE.at(0), seeded(1))
    return mixture, clean, reference(mixture, clean, TABLE.at(0), TABLE.at(999))


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
def test_both_round_trips_are_equal_to_the_bit(prediction: Prediction, rounded: torch.dtype | None, steps: int) -> None:
    mixture = stiff_mixture(24, seeded(), dtype=torch.float32, prediction=prediction, rounded=rounded)
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


def test_the_floats_that_went_in_come_out(truth: tuple[Mixture, Tensor, Tensor]) -> None:
    """torch.equal of float32 latents, once they lie on the lattice; snapping moves them by 2e-6 at most."""
    mixture = Mixture(truth[0].means.float(), truth[0].stds.float())
    plan = make_plan(log_grid(TABLE, 20))
    states = arithmetic(plan)
    snapped = states.show(states.enter(truth[1].float()))
    assert float((snapped - truth[1]).abs().max()) <= 2.0**-18
    out = invert(plan, mixture, snapped)
    assert torch.equal(latent(plan, resample(plan, mixture, out)), snapped)
    assert float((latent(plan, out) - snapped).abs().max()) > 0.5  # the trip was made


@pytest.mark.parametrize("weight", [1.0, 3.0, 7.5])
def test_guidance_comes_back_to_the_bit(weight: float) -> None:
    class TwoPrompts:
        """Context (B, 1, 1): 0 the whole mixture, 1 half of its components."""

        prediction: Prediction = "eps"
        whole = stiff_mixture(24, seeded(), dtype=torch.float32)
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


def test_smoothing_leaves_a_straight_walk_where_it_is() -> None:
    class Straight:
        prediction: Prediction = "flow"

        def __call__(self, latent: Tensor, node: Node) -> Tensor:
            return torch.full_like(latent, 3.0)

    plan = make_plan(flow_grid(10), 1.0, level=None)
    walk = sample(plan, Straight(), torch.full((1, 2), 4.0).double())
    torch.testing.assert_close(smoothed(plan, Straight(), walk), torch.ones(1, 2).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("way", ["euler", "heun"])
@pytest.mark.parametrize("kind", ["x0", "eps"])
def test_edm_comes_back_to_the_bit_with_either_increment(kind: Prediction, way: str) -> None:
    mixture = stiff_mixture(24, seeded(), dtype=torch.float32, prediction=kind)
    grid = edm_grid(18)
    plan = make_plan(grid, "optimal", down=way, up=way)  # type: ignore[arg-type]
    noise = 80 * torch.randn(4, 24, generator=seeded(2))
    home, away, _, _ = both_trips(plan, mixture, mixture.sample(4, grid.nodes[0], seeded(1)), noise)
    assert home
    assert away


@pytest.mark.parametrize("seed", range(3))
def test_the_step_is_the_papers_equation(seed: int, truth: tuple[Mixture, Tensor, Tensor]) -> None:
    """(A1) and (A2) written out, in float64, against our form in one drift."""
    mixture, grid, gamma = truth[0], log_grid(TABLE, 20), 0.96
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


def test_on_a_flow_the_step_is_equation_a3() -> None:
    mixture, grid = stiff_mixture(8, seeded(), prediction="flow"), flow_grid(10, 3.0)
    z = torch.randn(4, 8, generator=seeded(1), dtype=torch.float64)
    less, here, more = (n.time for n in grid.nodes[4:7])
    for gamma in (1.0, 0.9):
        got = drift(make_plan(grid, gamma, level=None), mixture, z, 5)
        wanted = (1 - gamma) * z + ((less - here) - gamma * (more - here)) * mixture(z, grid.nodes[5])
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


def test_obelm_in_its_own_coefficients_is_bdia_with_optimal_gammas(truth: tuple[Mixture, Tensor, Tensor]) -> None:
    mixture, clean, _ = truth
    for grid in (spaced_grid(TABLE, 50), log_grid(TABLE, 50)):
        exact = tuple(Fraction(g) for g in optimal_gammas(grid))
        plan = Plan(grid, exact, None, "euler")
        ours = invert(plan, mixture, clean)
        second = started(mixture, clean, grid.nodes[0], grid.nodes[1], None)
        cleaner, noisier = obelm_walk(mixture, grid, clean, second, inverting=True)
        torch.testing.assert_close(noisier, ours.pair.noisier, rtol=0, atol=1e-10)
        home = obelm_walk(mixture, grid, noisier, cleaner, inverting=False)
        torch.testing.assert_close(home[1], clean, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("gamma", "bound"), [(1.0, 2e-5), (0.96, 5e-6)])
def test_in_floats_the_trip_is_off_by_rounding_only(
    gamma: float, bound: float, truth: tuple[Mixture, Tensor, Tensor]
) -> None:
    mixture = Mixture(truth[0].means.float(), truth[0].stds.float())
    for grid in (log_grid(TABLE, 50), spaced_grid(TABLE, 50)):
        plan = make_plan(grid, gamma, level=None)
        home = resample(plan, mixture, invert(plan, mixture, truth[1].float()))
        assert float((home.pair.cleaner - truth[1].float()).abs().max()) <= bound


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


def test_smoothing_a_flows_output_takes_its_ringing_away_and_touches_no_state() -> None:
    mixture = stiff_mixture(32, seeded(), prediction="flow")
    noise = torch.randn(8, 32, generator=seeded(1), dtype=torch.float64)
    fine = flow_grid(2000)
    exact = midpoint_walk(mixture, [n.time for n in fine.nodes[::-1]], noise)
    plan = make_plan(logit_grid(28), 1.0, level=None)
    walk = sample(plan, mixture, noise)
    before = walk.pair.cleaner.clone()
    assert rms(smoothed(plan, mixture, walk), exact) < 0.3 * rms(latent(plan, walk), exact)
    assert torch.equal(walk.pair.cleaner, before)


def test_edict_comes_back_and_the_flow_baselines_do_not(truth: tuple[Mixture, Tensor, Tensor]) -> None:
    mixture, clean, _ = truth
    grid = spaced_grid(TABLE, 20)
    home = edict_sample(mixture, grid, edict_invert(mixture, grid, (clean, clean)))
    assert rms(home[0], clean) < 1e-12
    flow = stiff_mixture(32, seeded(), prediction="flow")
    x, up = flow.sample(8, Node(0, 1, 0), seeded(1)), [n.time for n in flow_grid(28).nodes]
    for walk in (midpoint_walk, fireflow_walk):
        assert 1e-6 < rms(walk(flow, up[::-1], walk(flow, up, x)), x) < 1e-2


@pytest.mark.parametrize(("start", "more"), [("euler", 0), ("heun", 3)])
@pytest.mark.parametrize("steps", [10, 50])
def test_a_step_costs_one_call(steps: int, start: str, more: int) -> None:
    counted = Counted(stiff_mixture(4, seeded(), dtype=torch.float32))
    plan = make_plan(log_grid(TABLE, steps), start=start)  # type: ignore[arg-type]
    walk = invert(plan, counted, torch.zeros(1, 4))
    assert counted.calls == steps + more
    resample(plan, counted, walk)
    assert counted.calls == 2 * steps - 1 + more


def test_a_shorter_inversion_goes_back_from_where_it_stopped() -> None:
    """Strength 0.8: the first 40 of 50 levels, there and back."""
    mixture = stiff_mixture(24, seeded(), dtype=torch.float32)
    plan = make_plan(log_grid(TABLE, 50).until(40))
    clean = mixture.sample(4, TABLE.at(0), seeded(1))
    out = invert(plan, mixture, clean)
    assert out.pair.node == 40
    assert torch.equal(resample(plan, mixture, out).pair.cleaner, arithmetic(plan).enter(clean))


@pytest.mark.parametrize(("steps", "least"), [(10, 0.774), (20, 0.886), (28, 0.918), (50, 0.954), (100, 0.977)])
def test_a_gamma_too_low_to_invert_with_is_refused_by_the_number_of_steps(steps: int, least: float) -> None:
    grid = log_grid(TABLE, steps)
    assert lowest_gamma(steps) == pytest.approx(least, abs=6e-4)
    with pytest.raises(RequestError, match="too low to invert") as refused:
        make_plan(grid, least - 0.01)
    assert f"take {math.ceil(lowest_gamma(steps) * 1000) / 1000:g} or more" in refused.value.hint
    assert growth(make_plan(grid, least + 0.01).gammas) < 10
    assert make_plan(grid, least - 0.01, anyway=True).gammas
    assert make_plan(grid, 0.5, inverting=False).gammas[0] == Fraction(1, 2)
    with pytest.raises(RequestError, match="too low to invert"):
        make_plan(grid, 1e-9)


@pytest.mark.parametrize("gamma", [0, -0.5, 1.01, float("nan"), "best"])
def test_what_is_no_gamma_is_refused(gamma: float | str) -> None:
    with pytest.raises(RequestError, match="gamma is"):
        choose_gammas(gamma, log_grid(TABLE, 10))


def test_auto_is_exact_on_a_lattice_and_safe_in_floats() -> None:
    grid = log_grid(TABLE, 50)
    assert set(choose_gammas("auto", grid)) == {Fraction(1)}
    assert lowest_gamma(50) <= min(choose_gammas("auto", grid, lattice=False)) < 0.96
    assert choose_gammas("auto", grid, inverting=False) == choose_gammas("optimal", grid)
    clamped = choose_gammas("optimal", flow_grid(28, 3.0))
    assert Fraction(3, 10) <= min(clamped) <= max(clamped) == 1
    assert max(choose_gammas("o-belm", flow_grid(28, 3.0))) > 1


def walked() -> tuple[Plan, Mixture, Walk]:
    mixture = stiff_mixture(24, seeded(), dtype=torch.float32)
    plan = make_plan(log_grid(TABLE, 20))
    return plan, mixture, invert(plan, mixture, mixture.sample(4, TABLE.at(0), seeded(1)), store=True)


def test_going_back_from_one_latent_is_refused() -> None:
    plan, mixture, walk = walked()
    with pytest.raises(RequestError, match="two neighbouring latents"):
        resample(plan, mixture, latent(plan, walk))  # type: ignore[arg-type]


def test_a_walk_is_refused_by_another_plan_and_in_the_wrong_direction() -> None:
    plan, mixture, walk = walked()
    with pytest.raises(RequestError, match="ended at noise level 20"):
        resample(make_plan(log_grid(TABLE, 28)), mixture, walk)
    with pytest.raises(RequestError, match="ended at noise level 20"):
        reinvert(plan, mixture, walk)


def test_a_pair_is_two_of_a_kind() -> None:
    _, _, walk = walked()
    with pytest.raises(RequestError, match="differ in shape or kind"):
        replace(walk.pair, cleaner=walk.pair.cleaner[:1])


def test_a_network_that_answers_nan_is_named_not_rounded() -> None:
    class Broken:
        prediction: Prediction = "eps"

        def __call__(self, latent: Tensor, node: Node) -> Tensor:
            return latent * float("nan") if node.time > 500 else latent

    with pytest.raises(RequestError, match="not a number"):
        invert(make_plan(log_grid(TABLE, 20)), Broken(), torch.zeros(1, 4))


class Shaky:
    """A network on hardware that does not add up in the same order twice."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture, self.generator = mixture, seeded(9)

    @property
    def prediction(self) -> Prediction:
        return self.mixture.prediction

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        out = self.mixture(latent, node)
        return out + 1e-4 * torch.randn(out.shape, generator=self.generator)


def test_stored_states_come_back_to_the_bit_on_hardware_that_does_not() -> None:
    plan, mixture, walk = walked()
    shaky = Shaky(mixture)
    assert not torch.equal(resample(plan, shaky, walk).pair.cleaner, walk.states[0])
    assert torch.equal(resample_stored(plan, shaky, shaky, walk).pair.cleaner, walk.states[0])


def test_an_edit_by_stored_states_is_the_edit_where_hardware_is_steady() -> None:
    plan, mixture, walk = walked()
    other = Mixture(mixture.means[:2], mixture.stds[:2])
    edited = resample(plan, other, walk).pair.cleaner
    assert torch.equal(resample_stored(plan, other, mixture, walk).pair.cleaner, edited)
    with pytest.raises(RequestError, match="stored no states"):
        resample_stored(plan, other, mixture, replace(walk, states={}))


def test_a_grid_that_ends_without_noise_is_sampled_but_not_inverted() -> None:
    mixture = stiff_mixture(8, seeded(), prediction="x0", dtype=torch.float32)
    grid: Grid = edm_grid(18, zero=True)
    plan = make_plan(grid, "optimal", inverting=False)
    noise = 80 * torch.randn(2, 8, generator=seeded(1))
    assert torch.isfinite(latent(plan, sample(plan, mixture, noise))).all()
    with pytest.raises(RequestError, match="no noise"):
        invert(plan, mixture, torch.zeros(2, 8))
