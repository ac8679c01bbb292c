"""A scheduler's configuration, as noise levels."""

import math
from collections.abc import Mapping
from typing import Any

from sfumato.diffusion.protocols import Prediction
from sfumato.diffusion.schedule import Table
from sfumato.errors import RequestError
from sfumato.models.model import Levels

FAINTEST = 1e-2  # alpha below which an inversion divides by too little signal
_ANSWERS: dict[str, Prediction] = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}


def read_levels(config: Mapping[str, Any]) -> Levels:
    """The levels of a diffusers scheduler's configuration.

    Training times at which alpha is below `FAINTEST` are left out, zero terminal SNR with them: sampling wants them,
    inversion cannot use them.

    Raises:
        RequestError: noise of another kind than VP with eps, v or x0 prediction, or flow matching.
    """
    name = str(config.get("_class_name", "a scheduler without a name"))
    if "FlowMatch" in name:
        return Levels("flow", shift=_shift(config))
    prediction = _ANSWERS.get(str(config.get("prediction_type", "epsilon")))
    if prediction is None or "EDM" in name:
        raise RequestError(
            f"{name} with prediction_type {config.get('prediction_type')} is noise sfumato cannot invert",
            "take a model trained to predict epsilon, v_prediction or sample, or by flow matching",
        )
    return Levels(prediction, _table(config))


def _table(config: Mapping[str, Any]) -> Table:
    from diffusers import DDPMScheduler

    asked = {k: v for k, v in config.items() if k in _BETAS}
    try:
        power = [float(p) for p in DDPMScheduler(**asked).alphas_cumprod.double()]
    except (NotImplementedError, TypeError, ValueError) as error:
        raise RequestError(f"the scheduler's betas make no schedule: {asked}", "copy the model again") from error
    return Table(tuple(p for p in power if p >= FAINTEST**2))


_BETAS = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr")


def _shift(config: Mapping[str, Any]) -> float:
    """A fixed shift, or Flux's, which grows with the picture: exp(mu), and mu is "max_shift" at its native size."""
    if not config.get("use_dynamic_shifting"):
        return float(config.get("shift", 1.0))
    mu = float(config.get("max_shift", 1.15))
    return mu if config.get("time_shift_type") == "linear" else math.exp(mu)
