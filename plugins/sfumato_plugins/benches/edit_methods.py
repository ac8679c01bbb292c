"""Ways to edit a picture by its words, on the model's own latents: BDIA and the inversions it is measured beside."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.diffusion.bdia import Plan
    from sfumato.diffusion.guidance import Guided
    from sfumato.models.model import Model


@dataclass(frozen=True)
class Settings:
    """Of an edit: as `sfumato edit` has them."""

    steps: int = 50
    strength: float = 0.8
    guidance: float = 3.0


@dataclass(frozen=True)
class Edited:
    """pictures: (B, 3, H, W) 0..1 as the model made them; calls of the network, one for a guided pair; seconds."""

    pictures: Tensor
    calls: int
    seconds: float


class Counted:
    """A denoiser that counts how often it is asked."""

    def __init__(self, denoiser: Any) -> None:
        self.denoiser, self.calls = denoiser, 0

    @property
    def prediction(self) -> Any:
        return self.denoiser.prediction

    def __call__(self, latent: Any, node: Any, context: Any) -> Any:
        self.calls += 1
        return self.denoiser(latent, node, context)


Walk = Callable[["Model", "Tensor", "Guided", "Guided", Settings], "Tensor"]


def edit(
    method: str, model: Model, pictures: Tensor, source: Sequence[str], target: Sequence[str], how: Settings
) -> Edited:
    """Edit pictures (B, 3, H, W) of the model's size, each with its own two prompts."""
    import torch

    from sfumato.diffusion.guidance import Guided

    counted = Counted(model.denoiser)
    before = time.perf_counter()
    with torch.no_grad():
        empty = model.embedder([""] * len(pictures))
        ours, theirs = (Guided(counted, model.embedder(list(p)), empty, how.guidance) for p in (source, target))
        latent = METHODS[method](model, model.codec.encode(pictures), ours, theirs, how)
        made = model.codec.decode(latent).clamp(0, 1)
    return Edited(made, counted.calls, time.perf_counter() - before)


def _plan(model: Model, how: Settings, gamma: float | str = "auto") -> Plan:
    """The walk that `sfumato edit` makes."""
    from sfumato.diffusion.request import EditSettings, plan_of

    return plan_of(model, EditSettings(steps=how.steps, strength=how.strength, guidance=how.guidance, gamma=gamma))


def _bdia(gamma: float | str = "auto", guided: bool = False) -> Walk:
    """N + 3 calls up, N - 1 down: as many as DDIM's with a step more. guided: Whether the way up is, too."""

    def walk(model: Model, clean: Tensor, source: Guided, target: Guided, how: Settings) -> Tensor:
        from sfumato.diffusion.walk import Walk, invert, latent, resample

        plan = _plan(model, how, gamma)
        inverted = invert(plan, _up(source, guided), clean)
        return latent(plan, resample(plan, target, Walk(inverted.pair)))

    return walk


def _ddim(rounds: int = 0, guided: bool = False) -> Walk:
    """N + 1 steps up and down."""

    def walk(model: Model, clean: Tensor, source: Guided, target: Guided, how: Settings) -> Tensor:
        from sfumato.diffusion.ddim import ddim_invert, ddim_sample

        grid = model.grid(how.steps + 1).until(_plan(model, how).grid.steps + 1)
        return ddim_sample(target, grid, ddim_invert(_up(source, guided), grid, clean, rounds))

    return walk


def _up(source: Guided, guided: bool) -> Guided:
    return source if guided else replace(source, weight=1.0)


OURS, THEIRS = "BDIA", "DDIM"
METHODS: dict[str, Walk] = {
    OURS: _bdia(),
    THEIRS: _ddim(),
    "BDIA, guided up too": _bdia(guided=True),
    "DDIM, guided up too": _ddim(guided=True),
    "BDIA 1.0": _bdia(1.0),
    "BDIA 0.96": _bdia(0.96),
    "DDIM, 3 fixed-point rounds": _ddim(rounds=3),
}
EQUAL = (OURS, THEIRS)
"""Those that `sfumato edit` and usual code walk, asking the network equally often; the others come with --full."""
