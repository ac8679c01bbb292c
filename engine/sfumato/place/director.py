"""What a method of placement does to a walk, step by step."""

from collections.abc import Generator
from typing import NamedTuple, Protocol

from torch import Tensor

from sfumato.diffusion.protocols import Prediction
from sfumato.diffusion.schedule import Grid, Node
from sfumato.place.calibration import Calibration
from sfumato.place.cast import Cast
from sfumato.place.hooks import Steer
from sfumato.place.phrases import Tokens


class Asked(NamedTuple):
    """A question: the network's answer to the prompt alone, without guidance, while steered."""

    latent: Tensor
    node: Node
    steer: Steer


class Sloped(NamedTuple):
    """A question: the slope of a loss, a scalar, along what it depends on."""

    loss: Tensor
    along: Tensor


Nudging = Generator[Asked | Sloped, Tensor, Tensor]
"""Yields questions, is sent their answers, and returns a latent; as `sfumato.diffusion.ddim.Asking` does, so that many
walks can be asked together. Gradients are on while it runs, and go through answers."""


class Scene(NamedTuple):
    """What a method is told.

    cast: Who is where.
    grid: The walk's levels.
    knob: Strength, 0..1.
    calibration: What that is on this model.
    tokens: Of the prompt, slot by slot.
    size: Of the latent: frames, height and width.
    seed: Of what is drawn.
    prediction: Of the network.
    """

    cast: Cast
    grid: Grid
    knob: float
    calibration: Calibration
    tokens: Tokens
    size: tuple[int, int, int]
    seed: int
    prediction: Prediction


class Director(Protocol):
    """A method at work on one walk. It may keep state: it is made anew for every walk."""

    def start(self, noise: Tensor) -> Tensor:
        """The noise to begin with, given what was drawn: (1, C, h, w), or (1, C, F, h, w)."""
        ...

    def steer(self, node: Node) -> Steer | None:
        """What is done to attention at a level; None for nothing."""
        ...

    def nudge(self, latent: Tensor, node: Node) -> Nudging:
        """The latent to go on with, given the one at a level, before the network answers for the step."""
        ...


class Plain:
    """Nothing is done."""

    def start(self, noise: Tensor) -> Tensor:
        """See `Director`."""
        return noise

    def steer(self, node: Node) -> Steer | None:
        """See `Director`."""
        return None

    def nudge(self, latent: Tensor, node: Node) -> Nudging:
        """See `Director`."""
        yield from ()
        return latent
