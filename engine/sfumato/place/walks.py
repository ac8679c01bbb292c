"""Walks from noise to data with objects being placed: several at a time, in the network's same calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfumato.diffusion.ddim import increment
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.protocols import Context
from sfumato.diffusion.schedule import Node
from sfumato.errors import RequestError
from sfumato.place.calibration import Calibration
from sfumato.place.cast import make_cast
from sfumato.place.director import Asked, Director, Nudging, Scene, Sloped
from sfumato.place.each import grouped
from sfumato.place.hooks import Enough, Steer, directed
from sfumato.place.keyed import Keyed, keyed_words
from sfumato.place.methods import begin
from sfumato.place.request import Request
from sfumato.place.sites import Space
from sfumato.report import Report, Step

if TYPE_CHECKING:
    from sfumato.models.model import Model


class Row:
    """One walk of several.

    noise: (1, C, h, w), or (1, C, F, h, w).
    context: Its prompt's.
    words: (F, K, C) where they are not the same in all frames.
    director: Its method at work.
    calls: Passes of the network so far; one with a gradient counts as one.
    kept: Its latent at every level, where the walks keep them.
    """

    def __init__(self, model: Model, request: Request, calibration: Calibration, first: int, last: int) -> None:
        self.noise = drawn(model, request, last - first + 1)
        frames = self.noise.shape[2] if self.noise.dim() == 5 else 1
        self.size = (frames, self.noise.shape[-2], self.noise.shape[-1])
        self.cast = make_cast(request.staging, first, last, model.tokens, self.size)
        self.context, self.words = keyed_words(model.embedder, request.staging, first, last, frames)
        prediction, tokens = model.denoiser.prediction, model.tokens(request.staging.worded(first)[0])
        grid = model.grid(request.steps)
        self.scene = Scene(self.cast, grid, request.strength, calibration, tokens, self.size, request.seed, prediction)
        self.director: Director = begin(request.method if self.cast.actors else "none", self.scene)
        self.calls = 0
        self.kept: dict[Node, Tensor] = {}

    def told(self, steer: Steer | None, keyed: bool) -> Steer | None:
        """A steer that also tells every frame its words, where any row of the walks wants that."""
        if not keyed:
            return steer
        words = self.context.tokens.expand(self.size[0], -1, -1) if self.words is None else self.words
        return Keyed(steer or Steer(), words)


class Walks:
    """Walks of one model, alike in method, steps, guidance and size.

    Args:
        model: As loaded.
        requests, frames: What is to be rendered, and the first and last frame of each.
        calibration: Of the model.
        keep: Whether to keep the latents of every level.
    """

    def __init__(
        self,
        model: Model,
        requests: Sequence[Request],
        calibration: Calibration,
        frames: Sequence[tuple[int, int]],
        keep: bool = False,
    ) -> None:
        self.model, self.guidance, self.keep = model, requests[0].guidance, keep
        pairs = zip(requests, frames, strict=True)
        self.rows = [Row(model, request, calibration, *span) for request, span in pairs]
        self.keyed = any(row.words is not None for row in self.rows)
        self.empty = model.embedder([""])
        self.grid = model.grid(requests[0].steps)
        self.space = Space(*self.rows[0].size, self.empty.tokens.shape[1])
        self.latents: list[Tensor] = []

    def run(self, report: Report) -> None:
        """From noise to `latents`, one for each row."""
        nodes, steps = self.grid.nodes, self.grid.steps
        self.latents = [row.director.start(row.noise) * nodes[-1].sigma for row in self.rows]
        for step in range(steps, 0, -1):
            here, there = nodes[step], nodes[step - 1]
            self.latents = self._nudged(here)
            self._kept(here)
            with torch.no_grad():
                whole = torch.cat(self.latents)
                answer = self._guided(whole, here)
                whole = whole + increment(whole, answer, self.model.denoiser.prediction, here, there)
            self.latents = list(torch.split(whole, 1))
            report(Step("place", steps - step + 1, steps))
        self._kept(nodes[0])

    def _kept(self, node: Node) -> None:
        for row, latent in zip(self.rows, self.latents, strict=True):
            if self.keep:
                row.kept[node] = latent

    def _guided(self, latent: Tensor, node: Node) -> Tensor:
        for row in self.rows:
            row.calls += 1
        prompts = Context.cat([row.context for row in self.rows])
        empty = Context.cat([self.empty] * len(self.rows))
        guided = Guided(self.model.denoiser, prompts, empty, self.guidance)
        steers = [row.told(row.director.steer(node), self.keyed) for row in self.rows]
        if not any(steers):
            return guided(latent, node)
        on, steer = grouped([*[None] * (len(steers) * (guided.copies - 1)), *steers])
        with directed(self.model.network, self.space, on, steer):
            return guided(latent, node)

    def _nudged(self, node: Node) -> list[Tensor]:
        """All rows' latents after their directors' nudges, which ask together what they ask at the same time."""
        with torch.enable_grad():
            pairs = zip(self.rows, self.latents, strict=True)
            nudging = [row.director.nudge(latent, node) for row, latent in pairs]
            found: dict[int, Tensor] = {}
            waiting = _sent(nudging, dict.fromkeys(range(len(nudging))), found)
            while waiting:
                slopes = {number: asked for number, asked in waiting.items() if isinstance(asked, Sloped)}
                if slopes:
                    answers = _sloped(slopes)
                else:
                    answers = self._answered({n: a for n, a in waiting.items() if isinstance(a, Asked)})
                for number in answers:
                    del waiting[number]
                waiting |= _sent(nudging, answers, found)
        return [found[number].detach() for number in range(len(nudging))]

    def _answered(self, asked: dict[int, Asked]) -> dict[int, Tensor | None]:
        """The network's answers to those who ask at the level of the first; none where all of them saw enough."""
        node = next(iter(asked.values())).node
        numbers = [number for number, ask in asked.items() if ask.node == node]
        for number in numbers:
            self.rows[number].calls += 1
        steers = [self.rows[number].told(asked[number].steer, self.keyed) for number in numbers]
        on, steer = grouped(steers)
        with directed(self.model.network, self.space, on, steer):
            latent = torch.cat([asked[number].latent for number in numbers])
            context = Context.cat([self.rows[number].context for number in numbers])
            try:
                answer = torch.split(self.model.denoiser(latent, node, context), 1)
            except Enough:
                return dict.fromkeys(numbers)
        return dict(zip(numbers, answer, strict=True))


def drawn(model: Model, request: Request, frames: int) -> Tensor:
    """(1, C, h, w), or (1, C, F, h, w) for a model of clips; drawn on the CPU, so that every device has the same."""
    height, width = request.size or model.size
    if height % model.multiple or width % model.multiple:
        raise RequestError(
            f"{width} x {height} pixels for {model.name}", f"give sides that are multiples of {model.multiple}"
        )
    weights = next(model.network.parameters())
    with torch.no_grad():
        shape = model.codec.encode(torch.zeros(1, 3, height, width, device=weights.device)).shape
    whole = shape if model.frames == 1 else (1, shape[1], frames, *shape[2:])
    return torch.randn(*whole, generator=torch.Generator().manual_seed(request.seed)).to(weights.device)


def _sent(
    nudging: Sequence[Nudging], answers: dict[int, Tensor | None], found: dict[int, Tensor]
) -> dict[int, Asked | Sloped]:
    """Their next questions; what those return that have none goes into `found`."""
    waiting: dict[int, Asked | Sloped] = {}
    for number, answer in answers.items():
        try:
            waiting[number] = nudging[number].send(answer)  # type: ignore[arg-type]  # the first is None
        except StopIteration as end:
            found[number] = end.value
    return waiting


def _sloped(asked: dict[int, Sloped]) -> dict[int, Tensor | None]:
    """Slopes of losses that do not depend on each other's rows, in one pass back."""
    whole = torch.stack([ask.loss for ask in asked.values()]).sum()
    return dict(zip(asked, torch.autograd.grad(whole, [ask.along for ask in asked.values()]), strict=True))
