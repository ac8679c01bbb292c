"""The noise levels a diffusers scheduler would walk, from its configuration."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sfumato.diffusion.protocols import Prediction
from sfumato.diffusion.schedule import Grid, Node, Table, karras_grid, level_grid, log_grid, logit_grid, vp_grid
from sfumato.errors import RequestError

PREDICTIONS: dict[str, Prediction] = {
    "epsilon": "eps",
    "v_prediction": "v",
    "sample": "x0",
    "flow_prediction": "flow",
}
RHO = 7.0  # Karras et al. 2022


def stock_grid(
    config: Mapping[str, Any],
    steps: int,
    times: Sequence[float] | None = None,
    sigmas: Sequence[float] | None = None,
    mu: float | None = None,
) -> Grid:
    """The levels a configuration of `BDIAScheduler` asks for; see `set_timesteps` there for what may be given.

    Raises:
        RequestError: levels that cannot be walked, or are not known.
    """
    flow, strength = config["prediction_type"] == "flow_prediction", float(config["strength"])
    if strength < 1 and config["direction"] == "sample":
        raise RequestError(
            "pure noise is sampled from the last level, whatever the strength",
            "strength is of an inversion: load its record, or pass strength=1",
        )
    if config["grid"] == "log" and times is None:
        grid = logit_grid(steps) if flow else log_grid(stock_table(config), steps)
    elif flow:
        grid = flow_levels(config, steps, times, sigmas, mu)
    else:
        grid = vp_levels(config, steps, times, sigmas)
    return grid.until(round(strength * grid.steps))


def stock_table(config: Mapping[str, Any]) -> Table:
    """The signal power (alpha^2, diffusers' alphas_cumprod) of every training time, float32 arithmetic as there.

    Raises:
        RequestError: no such beta_schedule; a schedule that leaves no signal.
    """
    times, kind = int(config["num_train_timesteps"]), config["beta_schedule"]
    low, high = float(config["beta_start"]), float(config["beta_end"])
    if config.get("trained_betas") is not None:
        betas = torch.tensor(config["trained_betas"], dtype=torch.float32)
    elif kind == "linear":
        betas = torch.linspace(low, high, times, dtype=torch.float32)
    elif kind == "scaled_linear":
        betas = torch.linspace(low**0.5, high**0.5, times, dtype=torch.float32) ** 2
    elif kind == "squaredcos_cap_v2":
        # Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models", 2021, eq. (17); beta at most .999
        power = [math.cos((i / times + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(times + 1)]
        betas = torch.tensor([min(1 - b / a, 0.999) for a, b in itertools.pairwise(power)])
    else:
        raise RequestError(f"beta_schedule is {kind}", "give linear, scaled_linear, squaredcos_cap_v2 or trained_betas")
    return Table(tuple(torch.cumprod(1 - betas, 0).tolist()))


def vp_levels(
    config: Mapping[str, Any], steps: int, times: Sequence[float] | None = None, sigmas: Sequence[float] | None = None
) -> Grid:
    """The grid of a VP pipeline: its own times, or given ones, or given sigma / alpha; and the data below them.

    The data's level is that of the first training time, or with set_alpha_to_one free of noise. Where the pipeline's
    own last step goes from that level to itself, it is left out and the grid has a step less.

    Raises:
        RequestError: levels outside the schedule, or more steps than it has times.
    """
    table = stock_table(config)
    data = Node(0.0, 1.0, 0.0) if config["set_alpha_to_one"] else table.at(0)
    if times is not None:
        found = [table.at(_known(t, table)) for t in times]
    elif sigmas is not None:
        found = [table.where(_within(s, table)) for s in sigmas if s > 0]
    elif config["use_karras_sigmas"] or config["use_exponential_sigmas"]:
        # Differs from stock schedulers where the data's level is the first time's: they would walk a step to itself.
        make = karras_grid if config["use_karras_sigmas"] else log_grid
        found = list(make(table, steps - 1 if config["set_alpha_to_one"] else steps).nodes)
    else:
        found = [table.at(_known(t, table)) for t in _spaced(config, steps)]
    noisy = sorted({n for n in found if n.ratio > data.ratio}, key=lambda n: n.ratio)
    return vp_grid(table, (data, *noisy))


def flow_levels(
    config: Mapping[str, Any],
    steps: int,
    times: Sequence[float] | None = None,
    sigmas: Sequence[float] | None = None,
    mu: float | None = None,
) -> Grid:
    """The grid of a flow matching pipeline, and t = 0 below it. Nodes have t in 0 .. 1 for time.

    times: Taken as they are, in units of 1 / num_train_timesteps. sigmas: t before shifting, as Flux gives them.

    Raises:
        RequestError: mu is missing where the shift depends on the picture's size; levels outside 0 .. 1.
    """
    every, dynamic = int(config["num_train_timesteps"]), bool(config["use_dynamic_shifting"])
    if dynamic and mu is None and times is None:
        raise RequestError("this schedule's shift depends on the picture's size, and nobody gave mu", "pass mu=")
    if times is not None:
        levels = np.array(times, np.float64) / every
    else:
        multistep = bool(config["use_flow_sigmas"])  # UniPC and DPM-Solver keep flow models' levels in their own way
        shift = float(config["flow_shift"] if multistep else config["shift"])
        low = 1 / every if dynamic or multistep else _shifted(1 / every, shift)
        even = np.linspace(1, low, steps + multistep)[:steps]
        if sigmas is not None:
            even = np.array([s for s in sigmas if s > 0], np.float64)
        if dynamic:
            shift = float(mu or 0) if config["time_shift_type"] == "linear" else math.exp(float(mu or 0))
        levels = _curved(config, _stretched(config, _shifted(even, shift)))
    inside = sorted({float(t) for t in levels if t > 0})
    if not inside or inside[-1] > 1 + 1e-6:
        raise RequestError("flow matching has levels between 0 and 1", "give sigmas in 0 .. 1")
    return level_grid([0.0, *(min(t, 1.0) for t in inside)])


def _spaced(config: Mapping[str, Any], steps: int) -> list[float]:
    """Training times of a pipeline, ascending; the three spacings of Lin et al., "Common Diffusion Noise Schedules and
    Sample Steps are Flawed", 2024, table 2."""
    every, spacing = int(config["num_train_timesteps"]), config["timestep_spacing"]
    if steps > every:
        raise RequestError(f"{steps} steps of a schedule with {every} training times", f"take {every} or fewer")
    if spacing == "leading":
        return [float(i * (every // steps) + int(config["steps_offset"])) for i in range(steps)]
    if spacing == "trailing":
        return [float(t) for t in np.round(np.arange(every, 0, -every / steps))[::-1][-steps:] - 1]
    if spacing == "linspace":
        return [float(t) for t in np.linspace(0, every - 1, steps).round()]
    raise RequestError(f"timestep_spacing is {spacing}", "give leading, trailing or linspace")


def _known(time: float, table: Table) -> float:
    if not 0 <= time < len(table.power):
        raise RequestError(f"time {time:g} is outside the schedule's 0 .. {len(table.power) - 1}", "give times in it")
    return float(time)


def _within(ratio: float, table: Table) -> float:
    low, high = table.at(0).ratio, table.at(len(table.power) - 1).ratio
    if not 0.99 * low <= ratio <= 1.01 * high:
        raise RequestError(f"sigma {ratio:g} is outside the schedule's {low:.3g} .. {high:.3g}", "give sigmas in it")
    return float(ratio)


def _shifted(t: Any, shift: float) -> Any:
    """Esser et al., "Scaling Rectified Flow Transformers", 2024, eq. (23); with exp(mu) it is Flux's dynamic shift."""
    return shift * t / (1 + (shift - 1) * t)


def _stretched(config: Mapping[str, Any], levels: Any) -> Any:
    """Levels moved so that the last before data is shift_terminal, where that is set."""
    last = config["shift_terminal"]
    return 1 - (1 - levels) * (1 - last) / (1 - levels.min()) if last else levels


def _curved(config: Mapping[str, Any], levels: Any) -> Any:
    """Levels between the same ends, spaced as Karras et al. 2022, eq. (5), or exponentially, where that is asked."""
    ramp = np.linspace(0, 1, len(levels))
    low, high = levels.min(), levels.max()
    if config["use_karras_sigmas"]:
        return (high ** (1 / RHO) + ramp * (low ** (1 / RHO) - high ** (1 / RHO))) ** RHO
    return np.exp(np.log(high) + ramp * (np.log(low) - np.log(high))) if config["use_exponential_sigmas"] else levels
