"""Exact inversion inside diffusers' own pipelines, as a scheduler."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from torch import Tensor

from sfumato.diffusion.bdia import Plan
from sfumato.diffusion.lattice import from_lattice, to_lattice
from sfumato.diffusion.record import InversionRecord, load_record
from sfumato.diffusion.stepper import going_back
from sfumato.errors import RequestError
from sfumato.models.scheduler_config import Configured, counted
from sfumato.models.scheduler_refusals import refuse_middle, restart_error
from sfumato.models.scheduler_request import Loaded, Request


class BDIAScheduler(Configured):
    """Samples and inverts in unmodified pipelines, and comes back to the bit: BDIA (see `sfumato.diffusion.bdia`).

    Any pipeline will do that loops over `timesteps` and calls `step`, such as Stable Diffusion's, SDXL's, SD3's and
    Flux's. Inverting is a call of it with direction "invert", the picture's latent as latents=, and
    output_type="latent":

        stock = pipe.scheduler.config
        pipe.scheduler = up = BDIAScheduler.from_config(stock, direction="invert")
        latent = up.snap(latent)  # to multiples of 2^-18: this is what comes back
        pipe("a red ball", latents=latent, guidance_scale=3, num_inference_steps=50, output_type="latent")
        record = up.record()  # record.save("ball.safetensors") for another process

        pipe.scheduler = down = up.fresh(direction="sample").load_record(record)
        again = {"latents": down.latents(latent.dtype), "guidance_scale": 3, "num_inference_steps": 50}
        edit = pipe("a blue ball", **again).images[0]
        same = pipe("a red ball", **again, output_type="latent").images  # torch.equal(same, latent)

    The states live in here, as integers; the pipeline is handed a cast of the newer one in its own dtype, and must hand
    it back unchanged. So a half-precision pipeline comes back exactly too. The network must answer the same bits for
    the same input: the same batch, guidance, threads, attention and device.

    A network call a step; three more once where `start` is "heun", which is how a pipeline comes to loop over more
    `timesteps` than steps. From a record there is one fewer.

    One scheduler serves one request at a time; `fresh()` or copy.deepcopy give another. Every call of the pipeline
    begins a new walk, or begins at the loaded record again.
    """

    _loaded: Loaded | None = None
    _request: Request | None = None

    def __copy__(self) -> "BDIAScheduler":
        """Another, that goes back from the same record, with no request of its own."""
        other = self.fresh()
        if self._loaded:
            other._loaded, other.num_inference_steps = self._loaded, self.num_inference_steps
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> "BDIAScheduler":
        return self.__copy__()

    def snap(self, latents: Tensor) -> Tensor:
        """The latents nearest to these that come back exactly, in their dtype: what is inverted to the bit."""
        level = self.config["level"]
        return from_lattice(to_lattice(latents.float(), level), level).to(latents.dtype)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: torch.device | str | None = None,
        timesteps: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
    ) -> None:
        """Begin a walk; `timesteps` are then what to ask the network at, in order, some of them twice with "heun".

        Args:
            num_inference_steps: N; of a loaded record, as many as its walk has.
            device: Of `timesteps`.
            timesteps: Training times to walk in place of N of the schedule's own, in any order.
            sigmas: The same as sigma / alpha, or for flow matching as t before shifting.
            mu: The shift for the picture's size, where the configuration says use_dynamic_shifting.

        Raises:
            RequestError: another request is under way; levels that cannot be walked; another number of steps than the
                record's.
        """
        if self._request:
            self._request.claim()
        plan = self._plan(num_inference_steps, timesteps, sigmas, mu)
        self._request = Request(
            plan,
            self.prediction,
            self.config["direction"],
            self._loaded,
            unit=float(self.config["num_train_timesteps"]),
            inexact=self.config["altered"] == "inexact",
            store=self.config["store_states"],
        )
        self.timesteps = torch.tensor(self._request.times, device=device)
        self.num_inference_steps = plan.grid.steps

    def scale_model_input(self, sample: Tensor, timestep: Any = None) -> Tensor:
        """The sample: states are what the network is shown."""
        return sample

    def step(
        self, model_output: Tensor, timestep: Any, sample: Tensor, eta: float = 0.0, return_dict: bool = True
    ) -> Any:
        """Take the network's answer, and give the latents to ask it about next; at the walk's end, its last ones.

        Args:
            model_output: What the network answered, guidance done, shape of sample, any float dtype.
            timestep: The one of `timesteps` it was told.
            sample: The latents it was shown: at first anybody's, then what the last step gave.
            eta: 0. Noise that is added on the way cannot be taken away again.
            return_dict: Give a SchedulerOutput, else a tuple.

        Raises:
            RequestError: eta; a step out of turn; latents altered since they were handed out; another's request; an
                answer that is not a number or has not the latents' shape; a walk that leaves the lattice.
            RecordMismatchError: on the first step from a record that was made with something else.
            DriftedError: the walk left the record's, and `load_record` was told to verify.
        """
        if eta:
            raise RequestError(f"eta is {eta:g}: noise added on the way cannot be taken away again", "pass eta=0")
        if self._request is None:
            raise RequestError("step was called before the walk began", "call set_timesteps first")
        handed = self._request.step(model_output, timestep, sample)
        return SchedulerOutput(prev_sample=handed) if return_dict else (handed,)

    def record(self, model: str = "", conditions: str = "") -> InversionRecord:
        """What going back from here needs, once the walk is at its end.

        model, conditions: Digests of the weights (`weights_digest`) and of prompts and guidance, for a later
            `load_record` to compare; the scheduler sees neither.

        Raises:
            RequestError: the walk is not at its end, or latents were altered on the way.
        """
        request = self._request
        if request is None or request.stepper is None or request.here is None or request.stepper.ask:
            done = f"{request.taken} of {len(request.times)}" if request else "none"
            raise RequestError(f"the walk is not at its end: {done} of its calls are made", "let the pipeline finish")
        if not request.exact:
            raise RequestError("latents were altered on the way, so there is no exact way back", "leave them alone")
        here = replace(request.here, model=model, conditions=conditions)
        return InversionRecord(request.plan, request.stepper.walk, self.prediction, here)

    def load_record(
        self,
        record: InversionRecord | str | Path,
        *,
        verify: bool = False,
        anyway: bool = False,
        model: str = "",
        conditions: str = "",
    ) -> "BDIAScheduler":
        """Go back from where a walk ended, from now on, with its levels and gammas; the configuration's do not count.

        Args:
            record: One, or its file.
            verify: Compare every state with the recorded one: for the same prompt, not for an edit.
            anyway: Do not compare what is here with what the record was made with.
            model, conditions: As in `record`; compared where both are told.

        Returns:
            This scheduler.

        Raises:
            RequestError: one latent where a record is needed; a record of the other direction, of another prediction or
                of float states.
            InputError: the file is no record, or damaged.
        """
        record = load_record(record) if isinstance(record, str | Path) else record
        if not isinstance(record, InversionRecord):
            raise restart_error()
        if record.prediction != self.prediction or record.plan.level is None:
            what = "float states" if record.plan.level is None else f"a network that answers {record.prediction}"
            raise RequestError(
                f"the record is of {what}, and this scheduler wants integers and {self.prediction}",
                "use the pipeline the record was made with",
            )
        if self._request:
            self._request.claim()
        going_back(record.plan, record.walk, record.plan.grid.steps if self.config["direction"] == "sample" else 1)
        self._loaded = Loaded(record, verify, anyway, model, conditions)
        self._request, self.num_inference_steps = None, record.plan.grid.steps
        return self

    def latents(self, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Tensor:
        """What to hand the pipeline as latents= with a loaded record: its newer state, in the pipeline's dtype."""
        if self._loaded is None:
            raise RequestError("no record is loaded, so there are no latents to go on with", "call load_record first")
        return self._loaded.latents(self.config["direction"]).to(device, dtype)

    @property
    def plan(self) -> Plan:
        """The walk under way: exact levels and gammas."""
        if self._request is None:
            raise RequestError("no walk was begun", "call set_timesteps first, or the pipeline")
        return self._request.plan

    @property
    def drifted(self) -> int | None:
        """The first noise level at which this walk was elsewhere than the loaded record's; in an edit it will be."""
        return self._request.stepper.drifted if self._request and self._request.stepper else None

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Pipelines say 0 before they begin; anything else is refused."""
        if begin_index:
            raise refuse_middle()

    def add_noise(self, *args: Any, **kwargs: Any) -> Tensor:
        """Refused: an inversion takes its place."""
        raise refuse_middle()

    scale_noise = add_noise

    def _plan(
        self, steps: int | None, times: Sequence[float] | None, sigmas: Sequence[float] | None, mu: float | None
    ) -> Plan:
        """The record's walk where one is loaded, else the one the settings ask for."""
        if self._loaded is None:
            return self.planned(steps, times, sigmas, mu)
        plan = self._loaded.record.plan
        asked = counted(steps, times, sigmas)
        if times is not None or asked != plan.grid.steps:
            raise RequestError(
                f"the loaded record is a walk of {plan.grid.steps} steps with levels of its own, and "
                f"{'others are' if times is not None else f'{asked} steps are'} asked for",
                f"pass num_inference_steps={plan.grid.steps} and no timesteps",
            )
        return plan
