"""What the exact scheduler is configured with: all that stock schedulers are, and what is its own."""

import inspect
from collections.abc import Sequence
from typing import Any, Self

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers, SchedulerMixin

from sfumato.diffusion.bdia import Plan, make_plan
from sfumato.diffusion.gamma import Policy
from sfumato.diffusion.lattice import LEVEL
from sfumato.errors import RequestError
from sfumato.models.scheduler_grids import PREDICTIONS, stock_grid, stock_table
from sfumato.models.scheduler_refusals import refuse_config


class Configured(SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """A scheduler's settings, and the walk that they ask for."""

    _compatibles = [*(e.name for e in KarrasDiffusionSchedulers), "FlowMatchEulerDiscreteScheduler"]  # noqa: RUF012
    order = 1
    init_noise_sigma = 1.0

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        beta_schedule: str = "scaled_linear",
        trained_betas: Sequence[float] | None = None,
        prediction_type: str = "epsilon",
        timestep_spacing: str = "leading",
        steps_offset: int = 1,
        set_alpha_to_one: bool = False,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        rescale_betas_zero_snr: bool = False,
        clip_sample: bool = False,
        thresholding: bool = False,
        shift: float = 1.0,
        shift_terminal: float | None = None,
        use_dynamic_shifting: bool = False,
        time_shift_type: str = "exponential",
        base_shift: float = 0.5,
        max_shift: float = 1.15,
        base_image_seq_len: int = 256,
        max_image_seq_len: int = 4096,
        use_flow_sigmas: bool = False,
        flow_shift: float = 1.0,
        invert_sigmas: bool = False,
        stochastic_sampling: bool = False,
        direction: str = "sample",
        gamma: Policy = "auto",
        grid: str = "pipeline",
        start: str = "heun",
        strength: float = 1.0,
        level: int = LEVEL,
        altered: str = "refuse",
        low_gamma: bool = False,
        store_states: bool = False,
    ) -> None:
        """Mostly what stock schedulers are configured with, and meant as there; see `from_config`. Ours:

        direction: "invert", from picture to noise, or "sample".
        gamma: See `sfumato.diffusion.gamma.choose_gammas`; "auto" inverts with 1, and samples noise with "optimal".
        grid: "pipeline", the levels the stock scheduler would walk, or "log", those on which latents come out best.
        start: The first step, where there is no record: "heun", four network calls, or "euler", one.
        strength: The part of the walk to invert: .8 of 50 steps is the 40 nearest the picture, and sampling from that
            record begins there. Image-to-image calls this strength too.
        level: States are multiples of 2^-level.
        altered: What to do when latents come back other than they were handed out: "refuse", or "inexact", which goes
            on from them, always with the Euler start, and makes no record.
        low_gamma: Invert even with a gamma that amplifies errors too much.
        store_states: Keep every state in the record.

        Raises:
            RequestError: a configuration that cannot be exact, or that is none.
        """
        refuse_config(self.config)
        self.prediction = PREDICTIONS[prediction_type]
        if self.prediction != "flow":
            stock_table(self.config)  # refuses schedules without an end
        self.timesteps = torch.arange(num_train_timesteps - 1, -1, -1, dtype=torch.float32)
        self.num_inference_steps: int | None = None

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """One for the pipeline whose stock scheduler has this configuration; kwargs are ours, or overrule it.

        Differs from other schedulers: what the stock scheduler leaves at its default is taken over too, because the
        levels must be its own; and a setting nobody knows is refused.
        """
        unknown = set(kwargs) - set(inspect.signature(cls).parameters)
        if unknown and not return_unused_kwargs:
            raise RequestError(
                f"{cls.__name__} has no setting called {', '.join(sorted(unknown))}", "see its docstring"
            )
        stock = {k: v for k, v in dict(config or {}).items() if k != "_use_default_values"}
        if "shift" in stock and not {"prediction_type", "beta_schedule"} & set(stock):  # it does not say what it is
            stock["prediction_type"] = "flow_prediction"
        return super().from_config(stock, return_unused_kwargs=return_unused_kwargs, **kwargs)

    def fresh(self, **changes: Any) -> Self:
        """Another of the same configuration, changed where asked, without a record: one for each request."""
        mine = {k: self.config[k] for k in inspect.signature(type(self)).parameters}
        other: Self = type(self)(**{**mine, **changes})
        return other

    def planned(
        self,
        steps: int | None,
        times: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
    ) -> Plan:
        """The walk that these settings ask for; arguments as `set_timesteps` has them."""
        config = self.config
        steps = counted(steps, times, sigmas)
        return make_plan(
            stock_grid(config, steps, times, sigmas, mu),
            config["gamma"],
            level=config["level"],
            inverting=config["direction"] == "invert",
            anyway=config["low_gamma"],
            start="euler" if config["altered"] == "inexact" else config["start"],
        )

    def __len__(self) -> int:
        return int(self.config["num_train_timesteps"])


def counted(steps: int | None, times: Sequence[float] | None, sigmas: Sequence[float] | None) -> int:
    """How many steps a pipeline asks for, whichever way it says so."""
    if times is not None:
        return len(times)
    if sigmas is not None:
        return sum(s > 0 for s in sigmas)
    if steps is None:
        raise RequestError("nobody says how many steps to take", "give num_inference_steps, timesteps or sigmas")
    return int(steps)
