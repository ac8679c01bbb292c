"""What an edit is asked for: its settings, and what follows from them and a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from sfumato.diffusion.bdia import Plan, make_plan
from sfumato.diffusion.gamma import Policy
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.protocols import Prediction, Predictor
from sfumato.diffusion.residual import DIFFER
from sfumato.diffusion.schedule import Node
from sfumato.diffusion.window import View, choose_view
from sfumato.errors import RequestError
from sfumato.plate import Plate

if TYPE_CHECKING:
    from sfumato.models.model import Model


@dataclass(frozen=True)
class EditSettings:
    """All that decides an edit besides its plate, prompts, mask and model.

    steps: Of the whole walk between picture and noise.
    gamma: See `choose_gammas`; "auto" is "optimal" here: it keeps more of what was not edited than 1, which rings.
    guidance: Weight of the target prompt on the way down.
    invert_guidance: Weight of the source prompt on the way up and on the exact way back. 1 loses least on the way.
    strength: How far up the walk goes, 0..1: less keeps more. 0 changes nothing; two steps are walked all the same.
    keep_detail: How much of the plate's own detail, grain and highlights stays where the edit put something else, 0..1.
        0 for another thing; 1 where the thing stays and its light or colour changes.
    auto_mask: Without a mask the edit acts where it differs so much (display-referred 0..1) from the reconstruction,
        and nothing else is touched; 0 lets it act everywhere.
    exposure: Stops by which the model is shown the plate brighter: for dark plates, or below 0 for bright ones.
    attention: Prompt-to-prompt control of the target's attention; see `sfumato.models.attention.controlled`.
    weights: Words of the target and how much more they count, with attention control.
    until, layout: The part of the steps in which cross and self attention are the source's.
    method: "ddim" is the inexact peer, for comparison.
    seed: Of the grain.

    Raises:
        RequestError: a number out of its range, no such method.
    """

    steps: int = 50
    gamma: Policy = "auto"
    guidance: float = 3.0
    invert_guidance: float = 1.0
    strength: float = 0.8
    keep_detail: float = 0.0
    auto_mask: float = DIFFER
    exposure: float = 0.0
    attention: Literal["off", "replace", "refine", "reweight"] = "off"
    weights: Mapping[str, float] = field(default_factory=dict)
    until: float = 0.8
    layout: float = 0.0
    method: Literal["bdia", "ddim"] = "bdia"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("strength", "keep_detail", "auto_mask"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise RequestError(f"{name.replace('_', ' ')} is {value:g}", "give a number from 0 to 1")
        if self.method not in ("bdia", "ddim"):
            raise RequestError(f"no way to invert is called {self.method}", "choose bdia or ddim")
        if not -32 <= self.exposure <= 32:
            raise RequestError(f"exposure is {self.exposure:g} stops", "give a number from -32 to 32")


PLAIN = EditSettings()


class Counted:
    """A predictor that counts how often the network is asked; both halves of guidance travel in one call."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.calls = 0

    @property
    def prediction(self) -> Prediction:
        return self._predictor.prediction

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        self.calls += 1
        return self._predictor(latent, node)


def under(model: Model, prompt: str, guidance: float) -> Guided:
    """The model under a prompt, for one picture."""
    return Guided(model.denoiser, model.embedder([prompt]), model.embedder([""]), guidance)


def plan_of(model: Model, settings: EditSettings) -> Plan:
    """The walk of an edit: the model's own grid, up to where `strength` says, two steps at least."""
    grid = model.grid(settings.steps)
    last = max(2, round(settings.strength * grid.steps))
    return make_plan(grid.until(last), "optimal" if settings.gamma == "auto" else settings.gamma)


def view_of(plate: Plate, mask: Tensor | None, model: Model) -> View:
    """What the model is shown: the mask and its surroundings, or the whole picture.

    Raises:
        RequestError: the mask is of another size.
    """
    if mask is not None and mask.shape != (1, plate.height, plate.width):
        raise RequestError(
            f"the mask is {mask.shape[-1]} x {mask.shape[-2]}, and the plate {plate.width} x {plate.height}",
            "give a mask of the plate's own size",
        )
    return choose_view(plate, model.size, model.multiple, mask)


def said(prompt: str, which: str) -> None:
    """Raises RequestError where a prompt says nothing."""
    if not prompt.strip():
        raise RequestError(f"the {which} prompt is empty", f"say in a few words what the {which} shows")


def device_of(model: Model) -> torch.device:
    """Where a model's network is."""
    return next(model.network.parameters()).device


def dtype_of(model: Model) -> torch.dtype:
    """Of a model's network."""
    return next(model.network.parameters()).dtype
