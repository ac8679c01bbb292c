"""Inversion and sampling inside diffusers' own, unmodified pipelines: what went in comes out, to the bit."""

import functools
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.models.scheduler import BDIAScheduler
from sfumato_plugins.benches.inversion_networks import clean_latents, network_of, run_pipeline, tiny_pipeline

FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16
PREDICTIONS = {"sd": ("epsilon", "v_prediction"), "sdxl": ("epsilon", "v_prediction"), "sd3": (None,), "flux": (None,)}
THIN: list[tuple[Any, ...]] = [  # pipeline, prediction, steps, guidance, dtype, gamma
    ("sd", "epsilon", 10, 7.5, FLOAT32, "auto"),
    ("sd", "v_prediction", 10, 3, BFLOAT16, 0.96),
    ("sdxl", "epsilon", 10, 3, BFLOAT16, "auto"),
    ("sdxl", "v_prediction", 10, 1, FLOAT32, "optimal"),
    ("sd3", None, 10, 7.5, BFLOAT16, "auto"),
    ("sd3", None, 20, 1, FLOAT32, 0.96),
    ("flux", None, 10, 3, FLOAT32, "auto"),
    ("flux", None, 20, 1, BFLOAT16, "optimal"),
]
WHOLE = [
    (name, prediction, steps, guidance, dtype, "auto")
    for name, predictions in PREDICTIONS.items()
    for prediction in predictions
    for steps in (10, 20, 28, 50, 100)
    for guidance in (1, 3, 7.5)
    for dtype in (FLOAT32, BFLOAT16)
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@functools.cache
def pipe_of(name: str, dtype: torch.dtype) -> tuple[Any, Any]:
    pipe = tiny_pipeline(name, dtype)
    return pipe, pipe.scheduler.config


def scheduler_of(stock: Any, prediction: str | None, **more: Any) -> BDIAScheduler:
    made: BDIAScheduler = BDIAScheduler.from_config(
        stock, **({"prediction_type": prediction} if prediction else {}), **more
    )
    return made


def run(pipe: Any, scheduler: Any, latents: Tensor, guidance: float, steps: int, prompt: str = "a red ball") -> Tensor:
    pipe.scheduler = scheduler
    found: Tensor = run_pipeline(pipe, prompt, latents, guidance, steps)
    return found


def assert_trip(
    name: str, prediction: str | None, steps: int, guidance: float, dtype: torch.dtype, gamma: float | str
) -> None:
    pipe, stock = pipe_of(name, dtype)
    up = scheduler_of(stock, prediction, direction="invert", gamma=gamma)
    z = up.snap(clean_latents(pipe, seeded(), dtype))
    noise = run(pipe, up, z, guidance, steps)
    down = up.fresh(direction="sample").load_record(up.record(), verify=True)
    back = run(pipe, down, down.latents(dtype), guidance, steps)
    assert torch.equal(back, z)
    assert (noise.dtype, back.dtype) == (dtype, dtype)
    assert float((noise - z).float().std()) > 0.3  # it went somewhere
    assert float(noise.float().std()) < 30
    assert up.plan.grid.kind == ("vp" if prediction else "flow")


@pytest.mark.parametrize(("name", "prediction", "steps", "guidance", "dtype", "gamma"), THIN)
def test_a_picture_comes_back_to_the_bit(
    name: str, prediction: str | None, steps: int, guidance: float, dtype: torch.dtype, gamma: float | str
) -> None:
    assert_trip(name, prediction, steps, guidance, dtype, gamma)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "prediction", "steps", "guidance", "dtype", "gamma"), WHOLE)
def test_a_picture_comes_back_to_the_bit_whatever_is_asked(
    name: str, prediction: str | None, steps: int, guidance: float, dtype: torch.dtype, gamma: float | str
) -> None:
    assert_trip(name, prediction, steps, guidance, dtype, gamma)


@pytest.mark.parametrize(("name", "prediction", "dtype"), [("sd", "epsilon", BFLOAT16), ("flux", None, FLOAT32)])
@pytest.mark.parametrize("gamma", [1.0, 0.96])
def test_noise_comes_back_to_the_bit(name: str, prediction: str | None, dtype: torch.dtype, gamma: float) -> None:
    pipe, stock = pipe_of(name, dtype)
    down = scheduler_of(stock, prediction, direction="sample", gamma=gamma)
    noise = down.snap(clean_latents(pipe, seeded(1), dtype))
    run(pipe, down, noise, 3, 10)
    record = down.record()
    up = down.fresh(direction="invert", gamma=1.0).load_record(record, verify=True)
    assert torch.equal(run(pipe, up, up.latents(dtype), 3, 10), noise)
    assert record.walk.bits.per_element(noise.numel()) <= (0 if gamma == 1 else 6 * 10 / 50)


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "flux"])
def test_with_hardly_any_gamma_a_pipeline_draws_what_it_draws_with_its_own_scheduler(name: str) -> None:
    pipe, stock = pipe_of(name, FLOAT32)
    vp = "beta_schedule" in stock
    kind = diffusers.DDIMScheduler if vp else diffusers.FlowMatchEulerDiscreteScheduler
    theirs = kind.from_config(stock, **({"clip_sample": False, "set_alpha_to_one": False} if vp else {}))
    ours = scheduler_of(stock, "epsilon" if vp else None, gamma=1 / 256, start="euler")
    noise = clean_latents(pipe, seeded(2))
    wanted = run(pipe, theirs, noise, 1, 20)
    assert run(pipe, ours, noise, 1, 20) == pytest.approx(wanted, abs=0.03 * float(wanted.std()))


@pytest.mark.parametrize(("name", "prediction"), [("sd", "epsilon"), ("sd3", None)])
def test_the_network_is_asked_once_a_step_and_three_times_more_at_the_start(name: str, prediction: str | None) -> None:
    pipe, stock = pipe_of(name, FLOAT32)
    up = scheduler_of(stock, prediction, direction="invert")
    calls: list[int] = []
    counter = network_of(pipe).register_forward_hook(lambda module, inputs, out: calls.append(1))
    try:
        run(pipe, up, clean_latents(pipe, seeded()), 7.5, 10)
        assert len(calls) == 13
        down = up.fresh(direction="sample").load_record(up.record())
        run(pipe, down, down.latents(), 7.5, 10)
        assert len(calls) == 13 + 9
    finally:
        counter.remove()


def test_a_record_of_part_strength_gives_back_the_picture_and_can_be_edited() -> None:
    pipe, stock = pipe_of("sd", FLOAT32)
    up = scheduler_of(stock, "epsilon", direction="invert", strength=0.5)
    z = up.snap(clean_latents(pipe, seeded()))
    run(pipe, up, z, 3, 20)
    down = up.fresh(direction="sample").load_record(up.record())
    assert torch.equal(run(pipe, down, down.latents(), 3, 10), z)
    assert not torch.equal(run(pipe, down, down.latents(), 3, 10, "a blue cube"), z)
    assert down.drifted == 8


def test_the_example_in_the_docstring_runs_as_it_stands() -> None:
    pipe, stock = pipe_of("sd", FLOAT32)
    pipe.scheduler = diffusers.PNDMScheduler.from_config(stock)
    example = [line[8:] for line in (BDIAScheduler.__doc__ or "").splitlines() if line.startswith(8 * " ")]
    names = {"BDIAScheduler": BDIAScheduler, "pipe": pipe, "latent": clean_latents(pipe, seeded())}
    exec("\n".join(example).replace("50", "10"), names)  # fewer steps, for the clock
    assert torch.equal(names["same"], names["latent"])


def test_two_pictures_at_once_come_back_too() -> None:
    pipe, stock = pipe_of("sd", FLOAT32)
    up = scheduler_of(stock, "epsilon", direction="invert")
    z = up.snap(torch.cat([clean_latents(pipe, seeded(s)) for s in (0, 1)]))
    how: dict[str, Any] = {"height": 32, "width": 32, "num_inference_steps": 10, "output_type": "latent"}
    pipe.scheduler = up
    pipe(["a red ball", "a blue cube"], latents=z, **how)
    pipe.scheduler = down = up.fresh(direction="sample").load_record(up.record())
    assert torch.equal(pipe(["a red ball", "a blue cube"], latents=down.latents(), **how).images, z)


def test_the_pipeline_makes_pictures_of_it_as_ever() -> None:
    pipe, stock = pipe_of("sd", FLOAT32)
    pipe.scheduler = scheduler_of(stock, "epsilon", grid="log")
    found = pipe("a red ball", height=32, width=32, num_inference_steps=5, output_type="np", generator=seeded()).images
    assert found.shape == (1, 32, 32, 3)


def test_a_callback_that_alters_latents_is_refused_and_one_that_looks_is_not() -> None:
    pipe, stock = pipe_of("sd", FLOAT32)
    how: dict[str, Any] = {"height": 32, "width": 32, "num_inference_steps": 5, "output_type": "latent"}
    pipe.scheduler = up = scheduler_of(stock, "epsilon", direction="invert")
    pipe("a ball", latents=clean_latents(pipe, seeded()), callback_on_step_end=lambda p, i, t, k: k, **how)
    assert up.record().walk.pair.node == 5

    def darken(pipe: Any, i: int, t: Any, found: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"latents": found["latents"] * 0.9}

    with pytest.raises(RequestError, match="they were altered: 1024 of 1024 values"):
        pipe("a ball", latents=clean_latents(pipe, seeded()), callback_on_step_end=darken, **how)
    pipe.scheduler = up.fresh(altered="inexact")
    found = pipe("a ball", latents=clean_latents(pipe, seeded()), callback_on_step_end=darken, **how).images
    assert found.isfinite().all()


def test_noise_on_the_way_and_image_to_image_are_refused() -> None:
    pipe, stock = pipe_of("sd", FLOAT32)
    pipe.scheduler = scheduler_of(stock, "epsilon", direction="invert")
    with pytest.raises(RequestError, match=r"eta is 0\.5"):
        pipe("a ball", latents=clean_latents(pipe, seeded()), height=32, width=32, num_inference_steps=5, eta=0.5)
    other = diffusers.StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    other.scheduler = scheduler_of(stock, "epsilon")
    other.set_progress_bar_config(disable=True)
    with pytest.raises(RequestError, match=r"begin in the middle.*\n.*strength="):
        other("a ball", image=torch.rand(1, 3, 32, 32, generator=seeded()), num_inference_steps=10)


@pytest.mark.parametrize(("name", "full"), [("sd", "10/10"), ("flux", "13/13")])
def test_the_progress_bar_fills_and_no_more(name: str, full: str) -> None:
    pipe, stock = pipe_of(name, FLOAT32)
    shown = io.StringIO()
    pipe.set_progress_bar_config(file=shown, mininterval=0)
    try:
        prediction = "epsilon" if name == "sd" else None
        run(pipe, scheduler_of(stock, prediction, direction="invert"), clean_latents(pipe, seeded()), 1, 10)
    finally:
        pipe.set_progress_bar_config(disable=True)
    last = shown.getvalue().split("\r")[-1]
    assert "100%" in last
    assert full in last


@pytest.mark.slow
def test_a_new_process_gives_the_picture_back(tmp_path: Path) -> None:
    pipe, stock = pipe_of("sd", BFLOAT16)
    up = scheduler_of(stock, "epsilon", direction="invert")
    z = up.snap(clean_latents(pipe, seeded(), BFLOAT16))
    run(pipe, up, z, 7.5, 10)
    up.record().save(tmp_path / "r.safetensors")
    code = f"""
import sys, torch
from sfumato.models.scheduler import BDIAScheduler
from sfumato_plugins.benches.inversion_networks import run_pipeline, tiny_pipeline
torch.set_num_threads({torch.get_num_threads()})
pipe = tiny_pipeline("sd", torch.bfloat16)
pipe.scheduler = down = BDIAScheduler.from_config(pipe.scheduler.config).load_record(sys.argv[1], verify=True)
torch.save(run_pipeline(pipe, "a red ball", down.latents(torch.bfloat16), 7.5, 10), sys.argv[2])
"""
    subprocess.run([sys.executable, "-c", code, tmp_path / "r.safetensors", tmp_path / "z.pt"], check=True)
    assert torch.equal(torch.load(tmp_path / "z.pt"), z)
