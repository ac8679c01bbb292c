"""The scheduler by itself: the walks of the core, asked for from outside; what it refuses, and how it says so."""

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from sfumato.diffusion import walk as core
from sfumato.diffusion.mixture import Mixture, stiff_mixture
from sfumato.diffusion.record import RecordMismatchError
from sfumato.diffusion.schedule import Node
from sfumato.diffusion.stepper import DriftedError, LatentPair
from sfumato.errors import InputError, RequestError
from sfumato.models.scheduler import BDIAScheduler
from sfumato.models.scheduler_grids import PREDICTIONS, stock_table

SIZE = 24
Network = Callable[[Tensor, Tensor], Tensor]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Told:
    """The exact network of a mixture, which like any in a pipeline is told a time and no level."""

    def __init__(self, scheduler: BDIAScheduler, rounded: torch.dtype | None = None) -> None:
        self.mixture: Mixture = stiff_mixture(
            SIZE, seeded(), dtype=torch.float32, prediction=scheduler.prediction, rounded=rounded
        )
        self.prediction, self.calls = scheduler.prediction, 0
        self.table = None if self.prediction == "flow" else stock_table(scheduler.config)

    def told(self, latent: Tensor, time: Tensor) -> Tensor:
        self.calls += 1
        t = float(time)
        return self.mixture(latent, self.table.at(t) if self.table else Node(t, 1 - t / 1000, t / 1000))

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        """As the core's Predictor: told what the scheduler would tell it."""
        time = 1000 * node.sigma if self.prediction == "flow" else node.time
        return self.told(latent, torch.tensor(time, dtype=torch.float32))


def made(prediction: str = "epsilon", direction: str = "invert", **more: Any) -> BDIAScheduler:
    return BDIAScheduler(prediction_type=prediction, direction=direction, **more)


def clean(scheduler: BDIAScheduler, dtype: torch.dtype = torch.float32) -> Tensor:
    return scheduler.snap((0.5 * torch.randn(4, SIZE, generator=seeded(1))).to(dtype))


def pipeline(scheduler: BDIAScheduler, network: Network, latents: Tensor, steps: int, **step: Any) -> Tensor:
    """What every pipeline's loop comes to."""
    scheduler.set_timesteps(steps)
    latents = latents * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        out = network(scheduler.scale_model_input(latents, t), t)
        latents = scheduler.step(out, t, latents, return_dict=False, **step)[0]
    return latents


def inverted(steps: int = 10, **more: Any) -> tuple[BDIAScheduler, Told, Tensor]:
    up = made(**more)
    network, z = Told(up), clean(up)
    pipeline(up, network.told, z, steps)
    return up, network, z


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("gamma", [1.0, 0.96, "optimal"])
@pytest.mark.parametrize("start", ["heun", "euler"])
def test_its_walks_are_the_cores_to_the_bit(prediction: str, gamma: Any, start: str) -> None:
    up, down = (made(prediction, direction, gamma=gamma, start=start) for direction in ("invert", "sample"))
    network, z = Told(up), clean(up)
    noise = pipeline(up, network.told, z, 20)
    wanted = core.invert(up.plan, network, z)
    assert up.record().walk.digests == wanted.digests
    assert torch.equal(noise, core.latent(up.plan, wanted))
    assert network.calls == 2 * (20 + 3 * (start == "heun"))
    pipeline(down, network.told, noise, 20)
    assert down.record().walk.digests == core.sample(down.plan, network, noise).digests


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("gamma", "steps"), [(1.0, 10), (0.96, 50), ("optimal", 28), (1.0, 100)])
def test_a_picture_comes_back_to_the_bit(prediction: str, dtype: torch.dtype, gamma: Any, steps: int) -> None:
    up = made(prediction, gamma=gamma)
    network, z = Told(up, rounded=dtype), clean(up, dtype)
    noise = pipeline(up, network.told, z, steps)
    assert noise.dtype == dtype
    assert not torch.equal(noise, z)
    down = up.fresh(direction="sample").load_record(up.record(), verify=True)
    network.calls = 0
    back = pipeline(down, network.told, down.latents(dtype), steps)
    assert torch.equal(back, z)
    assert (network.calls, down.drifted) == (steps - 1, None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("gamma", "most"), [(1.0, 0.0), (0.96, 6.0), ("optimal", 13.0)])
def test_noise_comes_back_to_the_bit_with_few_bits_kept(dtype: torch.dtype, gamma: Any, most: float) -> None:
    down = made(direction="sample", gamma=gamma)
    network = Told(down, rounded=dtype)
    noise = down.snap(torch.randn(4, SIZE, generator=seeded(2)).to(dtype))
    pipeline(down, network.told, noise, 50)
    made_of = down.record()
    up = down.fresh(direction="invert", gamma=1.0).load_record(made_of, verify=True)
    assert torch.equal(pipeline(up, network.told, up.latents(dtype), 50), noise)
    assert made_of.walk.bits.per_element(noise.numel()) <= most


def test_with_hardly_any_gamma_it_samples_what_stock_ddim_samples() -> None:
    stock = diffusers.DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    stock = diffusers.DDIMScheduler.from_config(stock.config, clip_sample=False, steps_offset=1)
    ours = BDIAScheduler.from_config(stock.config, gamma=1 / 256, start="euler")
    network, noise = Told(ours), torch.randn(4, SIZE, generator=seeded(3))
    stock.set_timesteps(50)
    z = noise
    for t in stock.timesteps:
        z = stock.step(network.told(z, t), t, z).prev_sample
    assert pipeline(ours, network.told, noise, 50) == pytest.approx(z, abs=0.01 * float(z.std()))


@pytest.mark.parametrize("prediction", ["epsilon", "flow_prediction"])
def test_an_edit_of_part_strength_begins_where_the_inversion_ended(prediction: str) -> None:
    up = made(prediction, strength=0.5)
    network, z = Told(up), clean(up)
    noise = pipeline(up, network.told, z, 20)
    assert (up.num_inference_steps, len(up.timesteps)) == (10, 13)
    down = up.fresh(direction="sample").load_record(up.record())
    assert torch.equal(pipeline(down, network.told, down.latents(), 10), z)
    assert not torch.equal(noise, z)
    with pytest.raises(RequestError, match=r"a walk of 10 steps .* and 20 steps are asked for"):
        down.set_timesteps(20)
    with pytest.raises(RequestError, match="whatever the strength"):
        up.fresh(direction="sample").set_timesteps(20)


def test_one_inversion_serves_many_edits() -> None:
    up, network, z = inverted()
    down = up.fresh(direction="sample").load_record(up.record())
    darker = pipeline(down, lambda z, t: network.told(z, t) * 1.01, down.latents(), 10)
    assert down.drifted == 8  # 10 and 9 are the pair
    again = pipeline(down, network.told, down.latents(), 10)
    assert torch.equal(again, z)
    assert down.drifted is None
    assert not torch.equal(darker, z)


def test_a_record_goes_through_a_file(tmp_path: Path) -> None:
    up, network, z = inverted(gamma=1.0, store_states=True)
    up.record("weights", "a red ball").save(tmp_path / "r.safetensors")
    down = up.fresh(direction="sample").load_record(tmp_path / "r.safetensors", model="weights", verify=True)
    assert torch.equal(pipeline(down, network.told, down.latents(), 10), z)
    other = up.fresh(direction="sample").load_record(tmp_path / "r.safetensors", model="others")
    with pytest.raises(RecordMismatchError, match="model: weights in the record, others here"):
        pipeline(other, network.told, other.latents(), 10)
    with pytest.raises(InputError, match="cannot read"):
        up.fresh(direction="sample").load_record(tmp_path / "none.safetensors")


def test_a_record_of_another_dtype_is_named_unless_told_to_try() -> None:
    up, network, z = inverted()
    down = up.fresh(direction="sample").load_record(up.record())
    with pytest.raises(RecordMismatchError, match="dtype: float32 in the record, bfloat16 here"):
        pipeline(down, network.told, down.latents(torch.bfloat16), 10)
    down.load_record(up.record(), anyway=True)
    assert not torch.equal(pipeline(down, network.told, down.latents(torch.bfloat16), 10).float(), z)


@pytest.mark.parametrize("seed", range(20))
def test_a_changed_bit_in_an_answer_is_caught_or_without_effect(seed: int) -> None:
    up, network, z = inverted(20)
    down = up.fresh(direction="sample").load_record(up.record(), verify=True)
    call, where, bit = (int(torch.randint(n, (), generator=seeded(seed))) for n in (19, 4 * SIZE, 31))

    def faulty(latent: Tensor, time: Tensor) -> Tensor:
        out = network.told(latent, time)
        if network.calls == call + 1:
            out.view(torch.int32).view(-1)[where] ^= 1 << bit
        return out

    network.calls = 0
    try:
        back = pipeline(down, faulty, down.latents(), 20)
    except RequestError:
        return
    assert torch.equal(back, z)


@pytest.mark.parametrize("which", ["noisier", "cleaner"])
@pytest.mark.parametrize("bit", [0, 7, 20])
def test_a_changed_bit_in_the_record_is_caught(which: str, bit: int) -> None:
    up, network, _ = inverted()
    record = up.record()
    changed = {n: getattr(record.walk.pair, n).clone() for n in ("noisier", "cleaner")}
    changed[which].view(-1)[5] ^= 1 << bit
    broken = replace(record, walk=replace(record.walk, pair=LatentPair(**changed, node=10)))
    down = up.fresh(direction="sample").load_record(broken, verify=True)
    with pytest.raises(DriftedError, match="left the recorded one at noise level"):
        pipeline(down, network.told, down.latents(), 10)


@pytest.mark.parametrize("call", [1, 3, 4, 12])  # of the start, between start and steps, within, the last
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_changed_bit_in_the_latents_is_refused(call: int, dtype: torch.dtype) -> None:
    up = made()
    network, z = Told(up, rounded=dtype), clean(up, dtype)
    up.set_timesteps(10)
    for i, t in enumerate(up.timesteps):
        if i == call:
            z.view(torch.int32 if dtype == torch.float32 else torch.int16).view(-1)[7] ^= 1
            with pytest.raises(
                RequestError, match=r"they were altered: 1 of 96 values, by up to .*\n.*altered='inexact'"
            ):
                up.step(network.told(z, t), t, z)
            return
        z = up.step(network.told(z, t), t, z).prev_sample


def test_latents_altered_on_purpose_are_followed_and_never_recorded() -> None:
    up = made(altered="inexact")
    network, z = Told(up), clean(up)
    up.set_timesteps(10)
    assert len(up.timesteps) == 10
    whole = z
    for t in up.timesteps:
        whole = up.step(network.told(whole, t), t, whole).prev_sample
    assert up.record().walk.pair.node == 10
    up.set_timesteps(10)
    for i, t in enumerate(up.timesteps):
        if i == 5:
            z[0] += 0.5  # one picture of four
        z = up.step(network.told(z, t), t, z).prev_sample
    assert torch.equal(z[1:], whole[1:])
    assert not torch.equal(z[0], whole[0])
    with pytest.raises(RequestError, match="altered on the way"):
        up.record()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"clip_sample": True}, "clip_sample cuts predictions off"),
        ({"thresholding": True}, "thresholding cuts predictions off"),
        ({"rescale_betas_zero_snr": True}, r"zero terminal SNR.*\n.*rescale_betas_zero_snr=False"),
        ({"trained_betas": [0.1, 0.2, 1.0]}, "zero terminal SNR"),
        ({"beta_schedule": "sigmoid"}, "beta_schedule is sigmoid"),
        ({"stochastic_sampling": True}, "adds noise on the way"),
        ({"invert_sigmas": True}, "counts levels from noise to data"),
        ({"use_beta_sigmas": True}, "a spacing of levels this scheduler does not know"),
        ({"direction": "up"}, "direction is up\n.*sample or invert"),
        ({"prediction_type": "score"}, "prediction_type is score"),
        ({"grid": "fine"}, "grid is fine"),
        ({"start": "cold"}, "start is cold"),
        ({"altered": "yes"}, "altered is yes"),
        ({"strength": 0.0}, "strength is 0"),
        ({"level": 40}, "level is 40"),
    ],
)
def test_a_configuration_that_cannot_be_exact_is_refused(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        BDIAScheduler(**config)


def test_what_a_stock_scheduler_does_by_default_is_taken_over_and_refused_too() -> None:
    with pytest.raises(RequestError, match="clip_sample"):
        BDIAScheduler.from_config(diffusers.DDIMScheduler().config)
    kept = BDIAScheduler.from_config(diffusers.DDIMScheduler().config, clip_sample=False)
    assert kept.config["set_alpha_to_one"]
    assert kept.config["beta_schedule"] == "linear"


def test_a_setting_that_nobody_knows_is_refused() -> None:
    with pytest.raises(RequestError, match="no setting called gama"):
        BDIAScheduler.from_config(diffusers.PNDMScheduler().config, gama=0.96)


def test_gammas_too_low_to_invert_with_are_refused_unless_told_to() -> None:
    with pytest.raises(RequestError, match=r"gamma 0\.9 is too low to invert 50 steps"):
        made(gamma=0.9).set_timesteps(50)
    made(gamma=0.9, low_gamma=True).set_timesteps(50)
    made(direction="sample", gamma=0.5).set_timesteps(50)


def test_a_network_that_answers_the_picture_cannot_begin_where_there_is_no_noise() -> None:
    with pytest.raises(RequestError, match="x0 prediction has no meaning at time 0"):
        made("sample", set_alpha_to_one=True).set_timesteps(10)


def test_noise_on_the_way_is_refused() -> None:
    up = made()
    with pytest.raises(RequestError, match=r"eta is 0.5: noise added on the way.*\n.*eta=0"):
        pipeline(up, Told(up).told, clean(up), 10, eta=0.5)


def test_one_latent_is_not_enough_to_go_back_from() -> None:
    up = made()
    network, z = Told(up), clean(up)
    noise = pipeline(up, network.told, z, 10)
    down = up.fresh(direction="sample")
    sentence = r"two neighbouring latents, and the one at its end was given\n.*scheduler.latents\(dtype\)"
    with pytest.raises(RequestError, match=sentence):
        down.load_record(noise)  # type: ignore[arg-type]
    down.load_record(up.record())
    with pytest.raises(RequestError, match=sentence):
        pipeline(down, network.told, noise, 10)
    with pytest.raises(RequestError, match="were altered: 96 of 96 values"):
        pipeline(down, network.told, z + 1, 10)
    with pytest.raises(RequestError, match=r"the latents are \(2, 24\), and the loaded record's \(4, 24\)"):
        pipeline(down, network.told, z[:2], 10)
    with pytest.raises(RequestError, match="no record is loaded"):
        up.fresh(direction="sample").latents()


def test_a_record_of_another_kind_is_refused() -> None:
    up, _, _ = inverted()
    with pytest.raises(RequestError, match="ended at noise level 10, and going back by this plan begins at 1"):
        up.fresh().load_record(up.record())
    with pytest.raises(RequestError, match="a network that answers eps, and this scheduler wants integers and v"):
        made("v_prediction", "sample").load_record(up.record())
    floats = replace(up.record(), plan=replace(up.plan, level=None))
    with pytest.raises(RequestError, match="the record is of float states"):
        up.fresh(direction="sample").load_record(floats)
    with pytest.raises(RequestError, match="others are asked for"):
        up.fresh(direction="sample").load_record(up.record()).set_timesteps(timesteps=[900, 500, 100])


def test_steps_out_of_turn_are_refused() -> None:
    up = made()
    network, z = Told(up), clean(up)
    with pytest.raises(RequestError, match="call set_timesteps first"):
        up.step(z, 0, z)
    with pytest.raises(RequestError, match="call set_timesteps first"):
        print(up.plan)
    with pytest.raises(RequestError, match="not at its end: none of its calls"):
        up.record()
    up.set_timesteps(10)
    with pytest.raises(RequestError, match="step was called for time 101, and the walk is at 0"):
        up.step(z, 101, z)
    up.step(network.told(z, up.timesteps[0]), up.timesteps[0], z)
    with pytest.raises(RequestError, match="not at its end: 1 of 13 of its calls"):
        up.record()
    noise = pipeline(up, network.told, z, 10)
    with pytest.raises(RequestError, match="this walk is at its end"):
        up.step(noise, up.timesteps[-1], noise)
    assert up.record().walk.pair.node == 10


def test_answers_that_cannot_be_used_are_refused() -> None:
    up = made()
    z = clean(up)
    with pytest.raises(RequestError, match=r"the network answers \(4, 48\) for latents \(4, 24\)"):
        pipeline(up, lambda z, t: torch.cat([z, z], 1), z, 10)
    for bad in ("nan", "inf"):
        with pytest.raises(RequestError, match="the network's answer at time 0 is not finite"):
            pipeline(up, lambda z, t, bad=bad: z * float(bad), z, 10)
    with pytest.raises(RequestError, match="a latent or step is not a number"):
        pipeline(up, lambda z, t: z, z * float("nan"), 10)


def test_beginning_in_the_middle_is_refused_with_what_to_do_instead() -> None:
    up = made()
    up.set_begin_index(0)
    for refused in (lambda: up.set_begin_index(10), lambda: up.add_noise(), lambda: up.scale_noise()):
        with pytest.raises(RequestError, match=r"begin in the middle.*\n.*strength="):
            refused()


def test_one_scheduler_serves_one_request_at_a_time() -> None:
    up = made()
    network, z = Told(up), clean(up)
    begun, done = threading.Event(), threading.Event()

    def first() -> Tensor:
        up.set_timesteps(10)
        latents = z
        for i, t in enumerate(up.timesteps):
            if i == 5:
                begun.set()
                done.wait(60)
            latents = up.step(network.told(latents, t), t, latents).prev_sample
        return latents

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        assert begun.wait(60)
        try:
            for intrude in (lambda: up.set_timesteps(10), lambda: up.step(z, up.timesteps[5], z)):
                with pytest.raises(RequestError, match=r"in the middle of another request\n.*scheduler.fresh\(\)"):
                    intrude()
            mine = up.fresh()
            noise = pipeline(mine, network.told, z, 10)
        finally:
            done.set()
        assert torch.equal(running.result(60), noise)
    assert up.record().walk.digests == mine.record().walk.digests
    up.set_timesteps(10)  # the other is through


def test_a_request_that_was_given_up_does_not_stand_in_the_way() -> None:
    up = made()
    network, z = Told(up), clean(up)
    up.set_timesteps(10)
    up.step(network.told(z, up.timesteps[0]), up.timesteps[0], z)
    assert pipeline(up, network.told, z, 10).isfinite().all()


def test_copies_go_back_from_the_same_record_with_requests_of_their_own() -> None:
    up, network, z = inverted()
    down = up.fresh(direction="sample").load_record(up.record(), verify=True)
    down.set_timesteps(10)
    for other in (copy.copy(down), copy.deepcopy(down)):
        assert torch.equal(pipeline(other, network.told, other.latents(), 10), z)
        assert other.config == down.config


def test_what_the_pipeline_does_to_its_latents_afterwards_does_not_reach_the_states() -> None:
    up = made()
    network, z = Told(up), clean(up)
    noise = pipeline(up, network.told, z, 10)
    before = noise.clone()
    noise.zero_()
    down = up.fresh(direction="sample").load_record(up.record())
    down.latents().zero_()
    assert torch.equal(pipeline(down, network.told, down.latents(), 10), z)
    assert torch.equal(core.latent(up.plan, up.record().walk), before)


def test_its_configuration_survives_a_folder(tmp_path: Path) -> None:
    up = made("v_prediction", gamma=0.96, grid="log", strength=0.8)
    up.save_pretrained(tmp_path)
    read = BDIAScheduler.from_pretrained(tmp_path)
    for scheduler in (up, read, BDIAScheduler.from_config(up.config)):
        scheduler.set_timesteps(20)
    assert read.plan == up.plan
    assert len(read) == 1000
