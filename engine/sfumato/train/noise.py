"""What a denoising network is asked in training, and what it should have answered."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sfumato.diffusion.protocols import Context, Denoiser, Prediction
from sfumato.diffusion.schedule import Node
from sfumato.models.model import Levels

_TOLD = ("timestep", "timesteps")  # what networks call their time


class Rows(NamedTuple):
    """A noise level for each row of a batch, (B,) each: z = alpha x0 + sigma eps."""

    time: Tensor
    alpha: Tensor
    sigma: Tensor


def drawn_rows(levels: Levels, uniform: Tensor) -> Rows:
    """Levels at shares (B,) of how often each is trained, in 0..1.

    VP: every training time alike (Ho et al., "DDPM", 2020, algorithm 1). Flow: t = sigmoid(n), n normal, then the
    model's own shift (Esser et al. 2024, equations 19 and 23).
    """
    if levels.table is None:
        even = torch.special.ndtri(uniform.double().clamp(1e-6, 1 - 1e-6)).sigmoid()
        t = (levels.shift * even / (1 + (levels.shift - 1) * even)).float()
        return Rows(t, 1 - t, t)
    power = torch.tensor(levels.table.power, dtype=torch.float64)
    time = (uniform * len(power)).long().clamp(max=len(power) - 1)
    return Rows(time.float(), power[time].sqrt().float(), (1 - power[time]).sqrt().float())


def wanted(prediction: Prediction, clean: Tensor, noise: Tensor, rows: Rows) -> Tensor:
    """What the network should answer; see `sfumato.diffusion.protocols.Prediction`."""
    alpha, sigma = (_beside(level, clean) for level in (rows.alpha, rows.sigma))
    answers = {"eps": noise, "x0": clean, "flow": noise - clean, "v": alpha * noise - sigma * clean}
    return answers[prediction]


def loss_of(denoiser: Denoiser, network: nn.Module, clean: Tensor, noise: Tensor, rows: Rows, said: Context) -> Tensor:
    """(B,) mean squared error of each row's answer.

    Args:
        denoiser: Asks `network`. clean, noise: (B, C, h, w) float32. said: Of B prompts.
    """
    z = _beside(rows.alpha, clean) * clean + _beside(rows.sigma, clean) * noise
    with _told(network, rows.time):
        answer = denoiser(z, Node(1.0, math.nan, math.nan), said)
    apart: Tensor = (answer.float() - wanted(denoiser.prediction, clean, noise, rows)).square().flatten(1).mean(1)
    return apart


@contextmanager
def _told(network: nn.Module, times: Tensor) -> Iterator[None]:
    """Denoisers tell all rows one time; in training each has its own, in the network's units: times what 1 became."""

    def each(
        module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for name in _TOLD:
            if name in kwargs:
                return args, {**kwargs, name: kwargs[name] * times.to(kwargs[name].device)}
        return (args[0], args[1] * times.to(args[1].device), *args[2:]), kwargs

    hook = network.register_forward_pre_hook(each, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _beside(level: Tensor, like: Tensor) -> Tensor:
    return level.to(like.device).view(-1, *[1] * (like.dim() - 1))
