"""The levels our scheduler walks are those of the stock scheduler whose configuration it was given."""

import math
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from sfumato.errors import RequestError
from sfumato.models.scheduler import BDIAScheduler
from sfumato.models.scheduler_grids import stock_table

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
PLAIN: dict[str, Any] = {"start": "euler"}  # one call a step, as stock schedulers have


def ours(stock: Any, **more: Any) -> BDIAScheduler:
    made: BDIAScheduler = BDIAScheduler.from_config(stock.config, **{**PLAIN, **more})
    return made


def ddim(**more: Any) -> Any:
    return diffusers.DDIMScheduler(**{**SD, "set_alpha_to_one": False, "clip_sample": False, **more})


@pytest.mark.parametrize(
    "config",
    [
        SD,
        {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"trained_betas": [float(b) for b in np.linspace(0.001, 0.03, 1000)]},
    ],
)
def test_the_table_is_the_stock_schedulers_to_the_bit(config: dict[str, Any]) -> None:
    stock = diffusers.DDIMScheduler(**config, clip_sample=False)
    power = torch.tensor(stock_table(ours(stock).config).power)
    assert torch.equal(power, stock.alphas_cumprod)


@pytest.mark.parametrize("steps", [10, 20, 28, 50, 100])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("offset", [0, 1])
def test_sampling_asks_at_the_stock_timesteps(steps: int, spacing: str, one: bool, offset: int) -> None:
    stock = ddim(timestep_spacing=spacing, set_alpha_to_one=one, steps_offset=offset)
    scheduler = ours(stock)
    for made in (stock, scheduler):
        made.set_timesteps(steps)
    wanted = [float(t) for t in stock.timesteps if one or t > 0]  # time 0 to itself is no step
    assert scheduler.timesteps.tolist() == wanted
    levels = [stock.alphas_cumprod[int(t)].item() for t in wanted]
    data = 1.0 if one else stock.alphas_cumprod[0].item()
    nodes = scheduler.plan.grid.nodes[::-1]
    assert [n.alpha**2 for n in nodes] == pytest.approx([*levels, data], rel=1e-12)
    assert all(n.alpha**2 + n.sigma**2 == pytest.approx(1) for n in nodes)


@pytest.mark.parametrize(
    "stock",
    [
        diffusers.PNDMScheduler(**SD, skip_prk_steps=True),
        diffusers.EulerDiscreteScheduler(**SD, timestep_spacing="leading"),
        diffusers.EulerAncestralDiscreteScheduler(**SD, timestep_spacing="trailing"),
    ],
)
def test_it_takes_the_place_of_what_stable_diffusion_ships_with(stock: Any) -> None:
    scheduler = ours(stock)
    for made in (stock, scheduler):
        made.set_timesteps(20)
    assert sorted(set(scheduler.timesteps.tolist())) == sorted({float(t) for t in stock.timesteps})


def test_karras_levels_are_the_stock_schedulers() -> None:
    stock = diffusers.EulerDiscreteScheduler(**SD, use_karras_sigmas=True)
    scheduler = ours(stock, set_alpha_to_one=True)
    for made in (stock, scheduler):
        made.set_timesteps(20)
    ratios = [n.ratio for n in scheduler.plan.grid.nodes[::-1]]
    assert ratios == pytest.approx(stock.sigmas.tolist(), rel=1e-3)
    assert scheduler.timesteps.tolist() == pytest.approx(stock.timesteps.tolist(), abs=0.51)  # stock rounds times


@pytest.mark.parametrize("steps", [10, 28, 50])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"shift": 3.0},
        {"shift": 3.0, "shift_terminal": 0.02},
        {"shift": 3.0, "use_karras_sigmas": True},
        {"use_exponential_sigmas": True},
    ],
)
def test_flow_levels_are_the_stock_schedulers(steps: int, config: dict[str, Any]) -> None:
    stock = diffusers.FlowMatchEulerDiscreteScheduler(**config)
    scheduler = ours(stock)
    for made in (stock, scheduler):
        made.set_timesteps(steps)
    assert scheduler.timesteps.tolist() == pytest.approx(stock.timesteps.tolist(), rel=1e-5)
    assert [n.sigma for n in scheduler.plan.grid.nodes[::-1]] == pytest.approx(stock.sigmas.tolist(), rel=1e-5)


@pytest.mark.parametrize("kind", ["exponential", "linear"])
def test_flux_hands_over_sigmas_and_a_shift_for_the_pictures_size(kind: str) -> None:
    stock = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, time_shift_type=kind)
    scheduler = ours(stock)
    for made in (stock, scheduler):
        made.set_timesteps(sigmas=np.linspace(1.0, 1 / 28, 28), mu=0.9)
    assert scheduler.timesteps.tolist() == pytest.approx(stock.timesteps.tolist(), rel=1e-5)
    with pytest.raises(RequestError, match="nobody gave mu"):
        ours(stock).set_timesteps(28)


def test_flow_levels_of_a_multistep_scheduler_are_its_own() -> None:
    flow = {"use_flow_sigmas": True, "flow_shift": 3.0, "prediction_type": "flow_prediction"}
    stock = diffusers.UniPCMultistepScheduler(**flow)
    scheduler = ours(stock)
    for made in (stock, scheduler):
        made.set_timesteps(20)
    assert scheduler.timesteps.tolist() == pytest.approx(stock.timesteps.tolist(), abs=1)  # stock cuts to whole numbers


def test_inverting_asks_at_the_same_levels_upwards_and_the_data_first() -> None:
    up, down = (ours(ddim(), direction=d) for d in ("invert", "sample"))
    for made in (up, down):
        made.set_timesteps(50)
    assert up.plan.grid == down.plan.grid
    assert up.timesteps.tolist() == [0, *range(1, 981, 20)][:50]
    assert down.timesteps.tolist() == [*range(981, 0, -20)]


def test_the_better_start_asks_four_times_where_the_plain_one_asks_once() -> None:
    scheduler = ours(ddim(), direction="invert", start="heun")
    scheduler.set_timesteps(50)
    between = scheduler.plan.grid.low.time
    told = scheduler.timesteps.tolist()
    assert told[:6] == pytest.approx([0, between, between, 1, 1, 21])
    assert (len(told), scheduler.num_inference_steps, scheduler.order) == (53, 50, 1)


def test_strength_inverts_the_levels_nearest_the_picture_only() -> None:
    scheduler, whole = ours(ddim(), direction="invert", strength=0.8), ours(ddim(), direction="invert")
    for made in (scheduler, whole):
        made.set_timesteps(50)
    assert scheduler.plan.grid.nodes == whole.plan.grid.nodes[:41]
    assert scheduler.timesteps.tolist() == whole.timesteps.tolist()[:40]


@pytest.mark.parametrize("stock", [ddim(), diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)])
def test_the_grid_for_good_latents_has_even_steps_in_log_of_noise_over_signal(stock: Any) -> None:
    scheduler = ours(stock, grid="log")
    scheduler.set_timesteps(20)
    logs = [math.log(n.ratio) for n in scheduler.plan.grid.nodes[1:-1]]
    assert np.diff(logs) == pytest.approx(np.diff(logs)[0])


def test_times_and_sigmas_may_be_given_as_to_stock_schedulers() -> None:
    scheduler = ours(ddim())
    scheduler.set_timesteps(timesteps=[999, 850, 600, 300, 100, 24])
    assert scheduler.timesteps.tolist() == [999, 850, 600, 300, 100, 24]
    assert scheduler.num_inference_steps == 6
    scheduler.set_timesteps(sigmas=[14.6, 6.475, 1.396, 0.399, 0.152, 0.0])
    assert [n.ratio for n in scheduler.plan.grid.nodes[:0:-1]] == pytest.approx([14.6, 6.475, 1.396, 0.399, 0.152])
    flow = ours(diffusers.FlowMatchEulerDiscreteScheduler())
    flow.set_timesteps(timesteps=[1000, 700, 200])
    assert [n.sigma for n in flow.plan.grid.nodes] == [0, 0.2, 0.7, 1]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"timesteps": [1200, 500, 100]}, "time 1200 is outside the schedule"),
        ({"sigmas": [80.0, 3.0, 1.0]}, "sigma 80 is outside the schedule"),
        ({"num_inference_steps": 1001}, "1001 steps of a schedule with 1000 training times"),
        ({"num_inference_steps": 1}, "a walk of 1 steps"),
        ({}, "nobody says how many steps"),
    ],
)
def test_levels_that_are_not_there_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        ours(ddim()).set_timesteps(**given)


def test_flow_levels_above_one_are_refused() -> None:
    with pytest.raises(RequestError, match="between 0 and 1"):
        ours(diffusers.FlowMatchEulerDiscreteScheduler()).set_timesteps(timesteps=[2000, 500, 100])
