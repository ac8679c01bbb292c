"""A staging as one model sees it: objects by the slots of their words, and their regions on any grid of places."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from sfumato.place.box import Box
from sfumato.place.masks import check_size, latent_boxes, over_time
from sfumato.place.phrases import Tokens, slots_of, words_slots
from sfumato.place.staging import Staging

Read = Callable[[str], Tokens]
"""A prompt's tokens, slot by slot: `Model.tokens`."""


@dataclass(frozen=True)
class Actor:
    """An object as one model sees it, over the frames of its latent.

    name: Of the object.
    slots: In which its words stand, frame by frame; where one prompt turns into another, those of both.
    boxes: Of each frame of the latent: none where it is not to be seen, several where time is compressed.
    depths, strengths: Of each frame.
    """

    name: str
    slots: tuple[tuple[int, ...], ...]
    boxes: tuple[tuple[Box, ...], ...]
    depths: tuple[float, ...]
    strengths: tuple[float, ...]


class Regions(NamedTuple):
    """Where objects are on one grid of places, (A, F, h, w) each, float32, 0..1.

    masks: The part of each place within the object's box.
    shown: That, less what nearer objects' boxes cover; brought up so that its largest is 1, lest a box smaller than a
        place fade away on coarse layers.
    bumps: A Gaussian over the box, 1 at its centre.
    """

    masks: Tensor
    shown: Tensor
    bumps: Tensor


@dataclass(frozen=True)
class Cast:
    """All objects of a shot, as one model sees them.

    actors: The objects.
    frames: Of the latent.
    words: All slots in which a word of the prompt stands, frame by frame.
    """

    actors: tuple[Actor, ...]
    frames: int
    words: tuple[tuple[int, ...], ...]
    _kept: dict[tuple[int, int], Regions] = field(default_factory=dict, repr=False, compare=False)

    def regions(self, height: int, width: int) -> Regions:
        """Where the objects are on a grid; made once for each."""
        if (height, width) not in self._kept:
            self._kept[height, width] = self._regions(height, width)
        return self._kept[height, width]

    def spans(self, slots: int) -> Tensor:
        """(A, F, slots) float32, 1 where a slot is of an object's words."""
        return _marked([actor.slots for actor in self.actors], slots)

    def others(self, slots: int) -> Tensor:
        """(F, slots) float32, 1 where a slot is of a word that no object is called by."""
        taken = self.spans(slots).amax(0) if self.actors else torch.zeros(self.frames, slots)
        return _marked([self.words], slots)[0] * (1 - taken)

    def _regions(self, height: int, width: int) -> Regions:
        pairs = [over_time(actor.boxes, height, width) for actor in self.actors]
        masks, bumps = (torch.stack([pair[i] for pair in pairs]) for i in (0, 1))
        shown = masks.clone()
        for a, actor in enumerate(self.actors):
            for b, other in enumerate(self.actors):
                nearer = torch.tensor([y < x for x, y in zip(actor.depths, other.depths, strict=True)])
                shown[a] = torch.where(nearer[:, None, None], shown[a] * (1 - masks[b]), shown[a])
        most = shown.amax((2, 3), keepdim=True)
        return Regions(masks, shown / torch.where((most > 0) & (most < 1), most, 1.0), bumps)


def make_cast(
    staging: Staging, first: int, last: int, read: Read, size: tuple[int, int, int], alone: bool = True
) -> Cast:
    """The objects of some frames of a staging, for a latent.

    Args:
        staging: Who is where.
        first, last: The clip's frames, both too.
        read: The model's tokens.
        size: Of the latent: frames, height and width.
        alone: See `latent_boxes`.

    Raises:
        RequestError: what `Staging.check`, `slots_of`, `latent_boxes` and `check_size` refuse.
    """
    staging.check(first, last)
    frames, height, width = size
    times = moments(first, last, frames)
    prompts = [_around(staging, time) for time in times]
    actors = []
    for subject in staging.subjects:
        boxes = [staging.seen(subject, frame) for frame in range(first, last + 1)]
        groups = latent_boxes(boxes, frames, alone)
        check_size(subject.name, groups, height, width)
        slots = [sorted({s for p in pair for s in slots_of(subject.called(p), p, read(p))}) for pair in prompts]
        actors.append(
            Actor(
                subject.name,
                tuple(map(tuple, slots)),
                tuple(map(tuple, groups)),
                tuple(subject.depth.at(time) for time in times),
                tuple(subject.strength.at(time) for time in times),
            )
        )
    words = [sorted({slot for p in pair for slot in words_slots(read(p))}) for pair in prompts]
    return Cast(tuple(actors), frames, tuple(map(tuple, words)))


def moments(first: int, last: int, frames: int) -> list[float]:
    """The frame of the clip that each frame of the latent stands for."""
    if frames == 1:
        return [float(first)]
    return [first + i * (last - first) / (frames - 1) for i in range(frames)]


def _around(staging: Staging, moment: float) -> set[str]:
    before, after, part = staging.worded(moment)
    return {before} if part == 0 else {before, after}


def _marked(rows: Sequence[Sequence[tuple[int, ...]]], slots: int) -> Tensor:
    found = torch.zeros(len(rows), len(rows[0]) if rows else 0, slots)
    for row, frames in enumerate(rows):
        for frame, chosen in enumerate(frames):
            found[row, frame, list(chosen)] = 1
    return found
