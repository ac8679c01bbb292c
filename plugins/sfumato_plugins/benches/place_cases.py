"""What the placement bench asks for: prompts of things our models know, and boxes anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.place.box import Box
    from sfumato.place.staging import Staging

LEAST = 0.25  # of the frame: the smallest side of a box
MOST = {1: 0.55, 2: 0.42, 3: 0.36}  # the largest, by the number of objects
NARROW = 1.5  # a box's longer side over its shorter at most, as in what the models were shown
GAP = 0.02  # between boxes


@dataclass(frozen=True)
class Case:
    """A picture to make: `phrases` name a colour and a shape each, as the detector does. seed: Of its noise."""

    prompt: str
    ground: str
    phrases: tuple[str, ...]
    boxes: tuple[Box, ...]
    seed: int

    def staging(self) -> Staging:
        """As the engine wants it."""
        from sfumato.place.staging import one_still

        return one_still(self.prompt, list(zip(self.phrases, self.boxes)))


def cases(count: int, objects: int, seed: int) -> list[Case]:
    """Random cases, uniform in place and size; the same for the same seed, and the first n of more."""
    from itertools import islice

    return list(islice(_cases(objects, random.Random(f"place {objects} {seed}")), count))


def _cases(objects: int, rng: random.Random) -> Iterator[Case]:
    while True:
        phrases, ground = things(objects, rng)
        yield Case(said(phrases, ground), ground, phrases, boxes(objects, rng), rng.getrandbits(31))


def things(count: int, rng: random.Random, shapes: tuple[str, ...] = ()) -> tuple[tuple[str, ...], str]:
    """So many of different colours, and a ground."""
    from sfumato.models.training.scenes import COLOURS, GROUNDS, SHAPES

    colours = rng.sample(tuple(COLOURS), count)
    return tuple(f"{c} {rng.choice(shapes or SHAPES)}" for c in colours), rng.choice(tuple(GROUNDS))


def said(phrases: tuple[str, ...], ground: str) -> str:
    """A prompt of things on a ground."""
    named = [f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}" for phrase in phrases]
    return (", ".join(named[:-1]) + " and " if len(named) > 1 else "") + named[-1] + f" on {ground}"


def boxes(count: int, rng: random.Random) -> tuple[Box, ...]:
    """So many, apart from each other; all are drawn anew where one finds no room, lest the first crowd the others."""
    while True:
        drawn = tuple(_box(rng, MOST[count]) for _ in range(count))
        if not any(_near(a, b) for i, a in enumerate(drawn) for b in drawn[:i]):
            return drawn


def _box(rng: random.Random, most: float) -> Box:
    from sfumato.place.box import Box

    while True:
        width, height = rng.uniform(LEAST, most), rng.uniform(LEAST, most)
        if max(width, height) <= NARROW * min(width, height):
            break
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    return Box(left, top, left + width, top + height)


def _near(a: Box, b: Box) -> bool:
    return a.left < b.right + GAP and b.left < a.right + GAP and a.top < b.bottom + GAP and b.top < a.bottom + GAP
