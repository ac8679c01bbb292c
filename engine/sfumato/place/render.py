"""Pictures with the objects where their boxes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfumato.diffusion.ddim import increment
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.schedule import Node
from sfumato.errors import RequestError
from sfumato.place.box import Box
from sfumato.place.calibration import DEFAULT, Calibration
from sfumato.place.cast import Cast, make_cast
from sfumato.place.director import Director, Scene
from sfumato.place.hooks import Steer, directed
from sfumato.place.keyed import Keyed, keyed_words
from sfumato.place.methods import begin
from sfumato.place.sites import Space
from sfumato.place.staging import Staging
from sfumato.report import Report, Step, silent

if TYPE_CHECKING:
    from sfumato.models.model import Model

Measure = Callable[[Tensor, Sequence[str]], list[Box | None]]
"""A picture (3, H, W), 0..1, and phrases -> where each is found in it; None where it is not."""


@dataclass(frozen=True)
class Request:
    """What is to be rendered.

    staging: Prompts, boxes, depths and strengths.
    first, last: Frames, both too; the staging's unless given.
    method: See `sfumato.place.methods`.
    strength: One knob for all objects, 0..1; 0 places nothing.
    steps: Of denoising.
    seed: Of the noise.
    guidance: Weight of the prompt.
    size: Height and width in pixels; the model's own unless given.

    Raises:
        RequestError: a number out of its range.
    """

    staging: Staging
    first: int | None = None
    last: int | None = None
    method: str = "precise"
    strength: float = 0.7
    steps: int = 40
    seed: int = 0
    guidance: float = 3.0
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise RequestError(f"strength is {self.strength:g}", "give a number from 0 to 1")
        if self.steps < 2:
            raise RequestError(f"{self.steps} steps", "two are the least, 40 are usual")


@dataclass(frozen=True)
class Rendered:
    """What came of it.

    pictures: (F, 3, H, W) float32, display-referred, 0..1.
    asked: For each frame, a box for each object, as far as it is in the picture; None where it is not to be seen.
    found: The same as measured; empty without a measure.
    latent: What the pictures were decoded from.
    calls: Passes of the network; one with a gradient counts as one here.
    """

    pictures: Tensor
    asked: tuple[tuple[Box | None, ...], ...]
    found: tuple[tuple[Box | None, ...], ...]
    latent: Tensor
    calls: int

    def ious(self) -> list[list[float | None]]:
        """IoU of asked and found for each frame and object: 0 where either lacks, None where neither is."""
        return [[_iou(a, b) for a, b in zip(*rows, strict=True)] for rows in zip(self.asked, self.found, strict=True)]


def place(
    model: Model,
    request: Request,
    report: Report = silent,
    calibration: Calibration = DEFAULT,
    measure: Measure | None = None,
) -> Rendered:
    """Render a still, a clip, or with a model of stills several stills that share their noise.

    The same request gives the same bits on one machine, whatever else was rendered before.

    Args:
        model: As loaded.
        request: What is wanted.
        report: Told after every step.
        calibration: Of this model: `read_calibration`.
        measure: Finds objects in the finished pictures.

    Raises:
        RequestError: what `make_cast` refuses; a size or number of frames that the model cannot make.
    """
    staging = request.staging
    first = staging.start if request.first is None else request.first
    last = staging.last if request.last is None else request.last
    clip = getattr(model, "frames", 1)
    if clip > 1 and last - first + 1 != clip:
        raise RequestError(
            f"{last - first + 1} frames for {model.name}, which makes clips of {clip}", f"give a range of {clip} frames"
        )
    spans = [(first, last)] if clip > 1 else [(frame, frame) for frame in range(first, last + 1)]
    walks = [_Walk(model, request, calibration, *span) for span in spans]
    latents = [walk.run(report) for walk in walks]
    with torch.no_grad():
        pictures = torch.cat([_decoded(model, latent) for latent in latents]).clamp(0, 1)
    frames = range(first, last + 1)
    asked = tuple(tuple(_seen(staging.seen(s, frame)) for s in staging.subjects) for frame in frames)
    found: list[tuple[Box | None, ...]] = []
    if measure is not None:
        for frame, picture in zip(frames, pictures, strict=True):
            phrases = [s.called(staging.nearest(frame)) for s in staging.subjects]
            found.append(tuple(measure(picture, phrases)))
    return Rendered(pictures, asked, tuple(found), torch.cat(latents), sum(walk.calls for walk in walks))


class _Walk:
    """One walk from noise to data: a still, or a clip."""

    def __init__(self, model: Model, request: Request, calibration: Calibration, first: int, last: int) -> None:
        self.model, self.request, self.calls = model, request, 0
        self.noise = _noise(model, request, last - first + 1)
        size = (self.noise.shape[2] if self.noise.dim() == 5 else 1, *self.noise.shape[-2:])
        self.cast: Cast = make_cast(request.staging, first, last, model.tokens, (size[0], size[1], size[2]))
        prompt = request.staging.worded(first)[0]
        self.context, words = keyed_words(model.embedder, request.staging, first, last, size[0])
        self.empty = model.embedder([""])
        self.words = words
        self.space = Space(size[0], size[1], size[2], self.context.tokens.shape[1])
        self.grid = model.grid(request.steps)
        scene = Scene(
            self.cast,
            self.grid,
            request.strength,
            calibration,
            model.tokens(prompt),
            (size[0], size[1], size[2]),
            request.seed,
            model.denoiser.prediction,
        )
        self.director: Director = begin(request.method if self.cast.actors else "none", scene)

    def run(self, report: Report) -> Tensor:
        nodes, prediction = self.grid.nodes, self.model.denoiser.prediction
        latent = self.director.start(self.noise) * nodes[-1].sigma
        for step in range(self.grid.steps, 0, -1):
            here, there = nodes[step], nodes[step - 1]
            latent = self.director.nudge(latent, here, self._ask).detach()
            with torch.no_grad():
                latent = latent + increment(latent, self._guided(latent, here), prediction, here, there)
            report(Step("place", self.grid.steps - step + 1, self.grid.steps))
        return latent

    def _ask(self, latent: Tensor, node: Node, steer: Steer) -> Tensor:
        self.calls += 1
        with directed(self.model.network, self.space, [True], self._told(steer)):
            return self.model.denoiser(latent, node, self.context)

    def _guided(self, latent: Tensor, node: Node) -> Tensor:
        self.calls += 1
        guided = Guided(self.model.denoiser, self.context, self.empty, self.request.guidance)
        steer = self.director.steer(node)
        if steer is None and self.words is None:
            return guided(latent, node)
        rows = [False] * (guided.copies - 1) + [True]
        with directed(self.model.network, self.space, rows, self._told(steer or Steer())):
            return guided(latent, node)

    def _told(self, steer: Steer) -> Steer:
        return steer if self.words is None else Keyed(steer, self.words)


def _noise(model: Model, request: Request, frames: int) -> Tensor:
    """(1, C, h, w), or (1, C, F, h, w) for a model of clips; drawn on the CPU, so that every device has the same."""
    height, width = request.size or model.size
    if height % model.multiple or width % model.multiple:
        raise RequestError(
            f"{width} x {height} pixels for {model.name}", f"give sides that are multiples of {model.multiple}"
        )
    weights = next(model.network.parameters())
    with torch.no_grad():
        shape = model.codec.encode(torch.zeros(1, 3, height, width, device=weights.device)).shape
    whole = shape if getattr(model, "frames", 1) == 1 else (1, shape[1], frames, *shape[2:])
    return torch.randn(*whole, generator=torch.Generator().manual_seed(request.seed)).to(weights.device)


def _decoded(model: Model, latent: Tensor) -> Tensor:
    return model.codec.decode(latent[0].transpose(0, 1) if latent.dim() == 5 else latent).float().cpu()


def _seen(box: Box | None) -> Box | None:
    return box.inside() if box else None


def _iou(asked: Box | None, found: Box | None) -> float | None:
    if asked is None and found is None:
        return None
    return asked.iou(found) if asked and found else 0.0
