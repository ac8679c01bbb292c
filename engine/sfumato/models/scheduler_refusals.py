"""What would break exactness inside a pipeline, each with its sentence."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sfumato.diffusion.lattice import from_lattice
from sfumato.diffusion.stepper import Direction, LatentPair
from sfumato.errors import RequestError

_BREAKERS = {
    "clip_sample": "cuts predictions off, and what is cut off does not come back",
    "thresholding": "cuts predictions off, and what is cut off does not come back",
    "rescale_betas_zero_snr": "leaves no signal in the last level (zero terminal SNR), and from pure noise no way "
    "leads back",
    "stochastic_sampling": "adds noise on the way, which cannot be taken away again",
    "invert_sigmas": "counts levels from noise to data, which this scheduler does not know",
    "use_beta_sigmas": "is a spacing of levels this scheduler does not know",
}
_CHOICES = {
    "direction": ("sample", "invert"),
    "prediction_type": ("epsilon", "v_prediction", "sample", "flow_prediction"),
    "grid": ("pipeline", "log"),
    "start": ("heun", "euler"),
    "altered": ("refuse", "inexact"),
    "time_shift_type": ("exponential", "linear"),
}


def refuse_config(config: Mapping[str, Any]) -> None:
    """Raises RequestError for a configuration that cannot be walked exactly, or that is none."""
    for name, why in _BREAKERS.items():
        if config[name]:
            raise RequestError(f"{name} {why}", f"pass {name}=False, if the model may do without")
    for name, known in _CHOICES.items():
        if config[name] not in known:
            raise RequestError(f"{name} is {config[name]}", f"give {' or '.join(known)}")
    if not 0 < config["strength"] <= 1:
        raise RequestError(f"strength is {config['strength']}", "give a number above 0 and up to 1")
    if not 8 <= config["level"] <= 24:
        raise RequestError(f"level is {config['level']}", "give a number of bits, 8 to 24")


def refuse_start(pair: LatentPair, direction: Direction, level: int, sample: Tensor) -> None:
    """Raises RequestError where a walk from a record begins with its older latent, or with latents of another shape."""
    newer, older = (pair.cleaner, pair.noisier) if direction == "sample" else (pair.noisier, pair.cleaner)
    if sample.shape != newer.shape:
        raise RequestError(
            f"the latents are {tuple(sample.shape)}, and the loaded record's {tuple(newer.shape)}",
            "ask the pipeline for the size and number of pictures the record was made with",
        )
    shown, end = (from_lattice(m, level).to(sample.dtype) for m in (newer, older))
    if torch.equal(sample, end) and not torch.equal(sample, shown):
        raise restart_error()


def busy_error() -> RequestError:
    """Two threads use one scheduler."""
    return RequestError(
        "this scheduler is in the middle of another request", "give each request its own: scheduler.fresh()"
    )


def restart_error() -> RequestError:
    """The latent at the walk's end was given alone."""
    return RequestError(
        "a walk can only go on from two neighbouring latents, and the one at its end was given",
        "load the record, and pass the pipeline latents=scheduler.latents(dtype)",
    )


def altered_error(handed: Tensor, sample: Tensor) -> RequestError:
    """Something between two steps changed the latents."""
    if handed.shape != sample.shape:
        what = f"have another shape: {tuple(sample.shape)} for {tuple(handed.shape)}"
    else:
        off = (sample.float() - handed.float()).abs()
        what = f"were altered: {int((off != 0).sum())} of {off.numel()} values, by up to {float(off.max()):.3g}"
    return RequestError(
        f"the latents came back to the scheduler other than they were handed out; they {what}",
        "leave out callbacks, masks and inpainting, or give up exactness with altered='inexact'",
    )


def refuse_middle() -> RequestError:
    """An image-to-image pipeline wants to begin in the middle with noise."""
    return RequestError(
        "this scheduler does not begin in the middle of a walk with noise added to a picture",
        "invert the picture with strength=..., and sample from that record in the text-to-image pipeline",
    )
