"""Scenes for models whose things are to be put into boxes: anywhere, of any size, in front of each other and cut."""

import math
import random
from collections.abc import Iterator

from sfumato.models.training.scenes import COLOURS, GROUNDS, SHAPES, Scene, Thing

LEAST = 0.2  # of the frame: size of the smallest thing
MOST = (0.6, 0.45, 0.36)  # size of the largest where there are one, two, three
NARROW = 2 / 3  # the smallest width over height, and one over the largest
HIDING = 0.1  # share of scenes of several in which things may hide each other
CUT = 0.15  # share of things that the frame may cut


def placed_scenes(
    seed: int, shapes: tuple[str, ...] = SHAPES, counts: tuple[float, ...] = (4, 3, 2)
) -> Iterator[Scene]:
    """Random scenes without end, the same for the same seed; no two things in one have the same colour.

    Places and sizes are uniform, because data with things in the middle would make every placing look good.

    Args:
        seed: Of everything.
        shapes: Those that occur.
        counts: How often there are one, two, ... things, in any unit.
    """
    rng = random.Random(seed)
    while True:
        count = rng.choices(range(1, len(counts) + 1), counts)[0]
        things = _things(rng, shapes, count)
        yield Scene(things, rng.choice(tuple(GROUNDS)), rng.uniform(-1, 1), rng.getrandbits(31))


def _things(rng: random.Random, shapes: tuple[str, ...], count: int) -> tuple[Thing, ...]:
    """Drawn anew as a whole until they do not touch, or may: dropping only the last would crowd the first outwards."""
    hiding = rng.random() < HIDING
    while True:
        colours = rng.sample(tuple(COLOURS), count)
        things = tuple(_thing(rng, rng.choice(shapes), colour, MOST[count - 1]) for colour in colours)
        if not any(touch(a, b, 0.5 if hiding else 1.05) for n, a in enumerate(things) for b in things[:n]):
            return things


def _thing(rng: random.Random, shape: str, colour: str, most: float) -> Thing:
    aspect = math.exp(rng.uniform(math.log(NARROW), -math.log(NARROW)))
    thing = Thing(shape, colour, 0.5, 0.5, rng.uniform(LEAST, most), aspect=aspect)
    share = 0.4 if rng.random() < CUT else 1.0
    x, y = (rng.uniform(half * share, 1 - half * share) for half in thing.halves)
    return Thing(shape, colour, x, y, thing.size, aspect=aspect)


def touch(a: Thing, b: Thing, share: float) -> bool:
    """Whether the spaces of two things meet, were they this share of their size."""
    wide, high = (share * (one + other) for one, other in zip(a.halves, b.halves, strict=True))
    return abs(a.x - b.x) < wide and abs(a.y - b.y) < high
