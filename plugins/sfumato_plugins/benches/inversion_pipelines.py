"""Exact trips inside diffusers' own pipelines beside what diffusers has, and what the scheduler costs there.

Networks are small, random and of the true classes (`inversion_networks`), latents noise of unit size. `equal` counts
trips that ended on the same bits, picture -> noise -> picture and noise -> picture -> noise. `stock` is the first of
them by the pipeline's own means: DDIMScheduler and DDIMInverseScheduler, or Euler's steps there and back, diffusers
having no inverse for flow matching; its errors are RMS, median and worst.
"""

from __future__ import annotations

import functools
import time
from typing import Any, Callable

from sfumato_plugins.benches.inversion_networks import clean_latents, network_of, run_pipeline, tiny_pipeline

Row = dict[str, Any]
Say = Callable[[str], None]
CASES = (
    ("sd", "epsilon"),
    ("sd", "v_prediction"),
    ("sdxl", "epsilon"),
    ("sdxl", "v_prediction"),
    ("sd3", "flow"),
    ("flux", "flow"),
)
NAMES = {"sd": "Stable Diffusion", "sdxl": "SDXL", "sd3": "SD3", "flux": "Flux"}
PROMPT = "a photo of a red ball on the table"


def pipeline_rows(say: Say, quick: bool = False, full: bool = False) -> list[Row]:
    """Every row; none where diffusers is not installed.

    quick: Two pipelines, ten steps, bfloat16.
    full: Every number of steps and guidance, and a network of Stable Diffusion's size.
    """
    try:
        import diffusers  # noqa: F401
    except ImportError:
        say("pipelines: left out, pip install 'sfumato[diffusion]' measures them")
        return []
    rows = []
    for name, prediction in (CASES[0], CASES[-1]) if quick else CASES:
        before = time.perf_counter()
        rows.append(trip_row(name, prediction, quick, full))
        say(
            f"{rows[-1]['method']}: {rows[-1]['equal']} of {rows[-1]['of']} trips, {time.perf_counter() - before:.1f} s"
        )
    for name in ("sd",) if quick else NAMES:
        rows.extend(cost_rows(name, 10 if quick else 50))
    return rows + (size_rows(say) if full else [])


def pipeline_targets(rows: list[Row]) -> list[tuple[str, float, str, float]]:
    """What is promised of them, as far as it was measured: name, value, sign, bound."""
    calls = [row["network_calls"] - row["steps"] for row in rows if "network_calls" in row]
    shares = [row["percent_of_forward"] for row in rows if row.get("percent_of_forward") and "gamma" in row["method"]]
    found = [("pipelines: calls besides one a step", float(max(calls)), "<=", 4.0)] if calls else []
    return found + (
        [("pipelines: a step, % of Stable Diffusion 1.5's network", max(shares), "<=", 5.0)] if shares else []
    )


def trip_row(name: str, prediction: str, quick: bool, full: bool) -> Row:
    """Trips of one pipeline and prediction, counted."""
    import torch

    generator = torch.Generator().manual_seed(0)
    steps, guidances = (
        (10, 20, 28, 50, 100) if full else (10,) if quick else (10, 50),
        (1, 3, 7.5) if full else (1, 7.5),
    )
    equal = of = 0
    errors: list[float] = []
    for dtype in (torch.bfloat16,) if quick else (torch.float32, torch.bfloat16):
        pipe = tiny_pipeline(name, dtype)
        stock = pipe.scheduler.config
        for count in steps:
            for guidance in guidances[-1:] if quick else guidances:
                latents = clean_latents(pipe, generator, dtype)
                for direction in ("invert", "sample"):
                    equal += _comes_back(pipe, stock, prediction, direction, latents, guidance, count)
                    of += 1
                errors.append(_stock_error(pipe, stock, prediction, latents, guidance, count))
    errors.sort()
    return {
        "case": f"pipelines: trips equal to the bit, N {', '.join(map(str, steps))}",
        "method": f"{NAMES[name]}, {prediction}",
        "equal": equal,
        "of": of,
        "stock": "DDIM and its inverse" if prediction != "flow" else "Euler and back",
        "stock_median": errors[len(errors) // 2],
        "stock_worst": errors[-1],
    }


def cost_rows(name: str, steps: int) -> list[Row]:
    """Calls of the network, counted by a hook, and milliseconds of scheduler.step; the network here is tiny."""
    import torch

    pipe = tiny_pipeline(name)
    stock, latents = pipe.scheduler.config, clean_latents(pipe, torch.Generator().manual_seed(0))
    prediction = "epsilon" if "beta_schedule" in stock else "flow"
    up = _scheduler(stock, prediction, "invert")
    rows = []
    for method, scheduler in (("invert", up), ("resample", None), ("stock sampling", _plain(stock, prediction))):
        if scheduler is None:
            scheduler = up.fresh(direction="sample").load_record(up.record())
            latents = scheduler.latents()
        calls, spent = _metered(pipe, scheduler, latents, steps)
        rows.append(
            {
                "case": f"pipelines: calls and cost of a step, N {steps}",
                "method": f"{NAMES[name]}, {method}",
                "steps": steps,
                "network_calls": calls,
                "step_ms": spent,
            }
        )
    return rows


def size_rows(say: Say, calls: int = 3) -> list[Row]:
    """scheduler.step beside a network of Stable Diffusion 1.5's size: 860 M random weights, one picture of 512 px.

    CPU milliseconds of one thread, so that a busy machine does not make the network look slower than it is; 3.4 GB and
    some seconds a call. Guidance would double the network's time and leave the scheduler's.
    """
    import torch
    from diffusers import DDIMScheduler

    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 4, 64, 64, generator=generator)
    forward = _forward_ms(latents, torch.randn(1, 77, 768, generator=generator), calls)
    say(f"a network of Stable Diffusion 1.5's size: {forward / 1000:.1f} s a call")
    sd = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    stock = DDIMScheduler(**sd, set_alpha_to_one=False, clip_sample=False)
    steps = {"DDIMScheduler": _steps_ms(stock, latents)}
    for gamma in (1.0, 0.96):
        up = _scheduler(stock.config, "epsilon", "invert", gamma)
        steps[f"invert, gamma {gamma:g}"] = _steps_ms(up, latents)
        down = up.fresh(direction="sample").load_record(up.record())
        steps[f"resample, gamma {gamma:g}"] = _steps_ms(down, down.latents())
    case = "pipelines: a step at Stable Diffusion 1.5's size"
    return [
        {"case": case, "method": m, "step_ms": ms, "forward_ms": forward, "percent_of_forward": 100 * ms / forward}
        for m, ms in steps.items()
    ]


def _scheduler(stock: Any, prediction: str, direction: str, gamma: float = 1.0) -> Any:
    from sfumato.models.scheduler import BDIAScheduler

    told = {} if prediction == "flow" else {"prediction_type": prediction}
    return BDIAScheduler.from_config(stock, direction=direction, gamma=gamma, **told)


def _plain(stock: Any, prediction: str, inverse: bool = False) -> Any:
    """What diffusers has for the same levels."""
    import diffusers

    if prediction != "flow":
        kind = diffusers.DDIMInverseScheduler if inverse else diffusers.DDIMScheduler
        return kind.from_config(stock, prediction_type=prediction, clip_sample=False, set_alpha_to_one=False)
    return _euler_back().from_config(stock) if inverse else diffusers.FlowMatchEulerDiscreteScheduler.from_config(stock)


def _euler_back() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    class EulerBack(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
        """Euler's steps from t = 0 up, each asked at the level it leaves."""

        @functools.wraps(FlowMatchEulerDiscreteScheduler.set_timesteps)  # pipelines look at what it accepts
        def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
            super().set_timesteps(*args, **kwargs)
            self.sigmas: Any = self.sigmas.flip(0)
            self.timesteps = self.sigmas[:-1] * self.config.num_train_timesteps

    return EulerBack


def _comes_back(
    pipe: Any, stock: Any, prediction: str, direction: str, latents: Any, guidance: float, steps: int
) -> bool:
    """There in one direction and back in the other, from these latents."""
    import torch

    pipe.scheduler = there = _scheduler(stock, prediction, direction)
    start = there.snap(latents)
    run_pipeline(pipe, PROMPT, start, guidance, steps)
    other = {"invert": "sample", "sample": "invert"}[direction]
    pipe.scheduler = back = there.fresh(direction=other).load_record(there.record(), verify=True)
    return torch.equal(run_pipeline(pipe, PROMPT, back.latents(latents.dtype), guidance, steps), start)


def _stock_error(pipe: Any, stock: Any, prediction: str, latents: Any, guidance: float, steps: int) -> float:
    pipe.scheduler = _plain(stock, prediction, inverse=True)
    noise = run_pipeline(pipe, PROMPT, latents, guidance, steps)
    pipe.scheduler = _plain(stock, prediction)
    back = run_pipeline(pipe, PROMPT, noise, guidance, steps)
    return float((back - latents).float().square().mean().sqrt())


def _metered(pipe: Any, scheduler: Any, latents: Any, steps: int) -> tuple[int, float]:
    """Network calls of a run, and the median milliseconds of its scheduler's steps."""
    calls: list[None] = []
    spent: list[float] = []
    step = scheduler.step

    @functools.wraps(step)  # pipelines look at what step accepts
    def timed(*args: Any, **kwargs: Any) -> Any:
        before = time.perf_counter()
        found = step(*args, **kwargs)
        spent.append(1000 * (time.perf_counter() - before))
        return found

    scheduler.step = timed
    pipe.scheduler = scheduler
    counter = network_of(pipe).register_forward_hook(lambda module, inputs, out: calls.append(None))
    try:
        run_pipeline(pipe, PROMPT, latents, 1.0, steps)
    finally:
        counter.remove()
        del scheduler.step
    return len(calls), _median(spent)


def _forward_ms(latents: Any, words: Any, calls: int) -> float:
    """Median CPU milliseconds of one thread that a call takes."""
    import torch
    from diffusers import UNet2DConditionModel

    network = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8).eval()
    threads, spent = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            for _ in range(calls + 1):  # the first one warms up
                before = time.process_time()
                network(latents, 500, encoder_hidden_states=words, return_dict=False)
                spent.append(1000 * (time.process_time() - before))
    finally:
        torch.set_num_threads(threads)
    return _median(spent[1:])


def _steps_ms(scheduler: Any, latents: Any) -> float:
    """Median CPU milliseconds of a step of a 50 step walk whose network answers with other noise each time."""
    import torch

    generator, spent = torch.Generator().manual_seed(1), []
    scheduler.set_timesteps(50)
    for t in scheduler.timesteps:
        out = torch.randn(latents.shape, generator=generator)
        before = time.process_time()
        latents = scheduler.step(out, t, latents, return_dict=False)[0]
        spent.append(1000 * (time.process_time() - before))
    return _median(spent)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
