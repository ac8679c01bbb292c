"""Compositing: every object first alone, in a walk with its own words, then all together in one.

Both papers do it where there are more objects than one walk can hold apart, and pay with a walk for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from sfumato.diffusion.schedule import Node
from sfumato.place.calibration import Calibration
from sfumato.place.director import Nudging, Plain
from sfumato.place.request import Request
from sfumato.place.staging import Staging
from sfumato.place.trailblazer import composed_published
from sfumato.place.walks import Walks
from sfumato.report import Report, silent

if TYPE_CHECKING:
    from sfumato.models.model import Model
    from sfumato.place.box import Box

PART = 0.5  # of the steps are composed: 20 of 40


class Composing(Plain):
    """Blends the walks of objects alone into the boxes of one that has them all, in its first steps.

    Ma, Lewis, Kleijn, "TrailBlazer", 2024, equation (4): `composed_published`; attention is left alone. Directed
    Diffusion (AAAI 2024) blends "in the first steps" too, and does not say how.

    # Ours: the same weight for it, N_C half of the steps; and where no boxes overlap the mean over objects is not
    # taken, which would dilute every one of R objects to 1/R of itself: what counts in a box is its own object.
    """

    def __init__(self, alone: Sequence[tuple[Mapping[Node, Tensor], Sequence[Box | None]]], steps: int) -> None:
        self.alone, self.steps, self.done = alone, max(1, round(PART * steps)), 0

    def nudge(self, latent: Tensor, node: Node) -> Nudging:
        """See `Director`."""
        yield from ()
        if self.done < self.steps:
            flat = latent if latent.dim() == 5 else latent[:, :, None]
            for kept, boxes in reversed(self.alone):  # what is named first is in front
                own = kept[node] if latent.dim() == 5 else kept[node][:, :, None]
                flat = composed_published(flat, [(own, boxes)], self.done, self.steps)
            latent = flat if latent.dim() == 5 else flat[:, :, 0]
        self.done += 1
        return latent


class ComposedWalks(Walks):
    """Walks whose objects are made alone first, by a method, each under its own phrase."""

    def __init__(
        self,
        inner: str,
        model: Model,
        requests: Sequence[Request],
        calibration: Calibration,
        frames: Sequence[tuple[int, int]],
    ) -> None:
        plain = [replace(request, method="none") for request in requests]
        super().__init__(model, plain, calibration, frames)
        self.inner, self.requests, self.frames, self.calibration = inner, requests, frames, calibration

    def run(self, report: Report) -> None:
        """See `Walks`."""
        for row, request, span in zip(self.rows, self.requests, self.frames, strict=True):
            if not request.strength or not row.cast.actors:
                continue
            alone = [replace(request, method=self.inner, staging=s) for s in stagings_alone(request.staging)]
            walks = Walks(self.model, alone, self.calibration, [span] * len(alone), keep=True)
            walks.run(silent)
            boxes = [[group[0] if group else None for group in actor.boxes] for actor in row.cast.actors]
            kept = [one.kept for one in walks.rows]
            near = sorted(range(len(kept)), key=lambda n: row.cast.actors[n].depths[0])
            row.director = Composing([(kept[n], boxes[n]) for n in near], self.grid.steps)
            row.calls += sum(one.calls for one in walks.rows)
        super().run(report)


def stagings_alone(staging: Staging) -> list[Staging]:
    """A staging for each object, with nothing else in the prompt: the phrase that each key's prompt has for it."""
    found = []
    for subject in staging.subjects:
        prompts = tuple((frame, subject.called(prompt)) for frame, prompt in staging.prompts)
        found.append(replace(staging, prompts=prompts, subjects=(subject,)))
    return found


Makes = Callable[["Model", Sequence[Request], Calibration, Sequence[tuple[int, int]]], Walks]
COMPOSED: Mapping[str, Makes] = {
    "directed-diffusion-composed": lambda *rest: ComposedWalks("directed-diffusion", *rest),
    "trailblazer-composed": lambda *rest: ComposedWalks("trailblazer", *rest),
    "fast-composed": lambda *rest: ComposedWalks("fast", *rest),
}
