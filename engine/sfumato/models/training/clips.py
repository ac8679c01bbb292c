"""Short clips of moving things, with exact boxes in every frame: what the embedded model of shots was trained on."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from sfumato.models.training.placement import CUT, MOST, placed_scenes, touch
from sfumato.models.training.scenes import COLOURS, Scene, Thing

Path = Callable[[float], float]
PACES: dict[str, Path] = {  # how far along its way a thing is at a time, both 0..1
    "linear": lambda time: time,
    "zigzag": lambda time: 1 - abs(1 - 2 * time),
    "stop": lambda time: min(max(2 * time - 0.5, 0.0), 1.0),
    "still": lambda time: 0.0,
}
CROSSING = 0.2  # share of clips in which things may pass in front of each other
GROWING = 0.35  # share of things whose size changes on the way
OUTSIDE = 0.15  # share of ways that begin or end outside the frame
TURNING = 0.2  # share of clips in which a thing takes another colour


class Clip(NamedTuple):
    """A scene for each frame, and the same scenes as what they turn into: evenly, from the first frame to the last.

    Where nothing turns, both are the same.
    """

    scenes: tuple[Scene, ...]
    turned: tuple[Scene, ...]


def clips(seed: int, frames: int = 8, counts: tuple[float, ...] = (3, 2)) -> Iterator[Clip]:
    """Random clips without end; the same seed, the same clips.

    Each thing goes from one place to another, both uniform, at a pace of its own; the ground and the light stay.

    Args:
        seed: Of everything.
        frames: Of a clip.
        counts: How often there are one, two, ... things, in any unit.
    """
    rng = random.Random(seed ^ 0x5EED)  # not the one that draws the scenes
    for first in placed_scenes(seed, counts=counts):
        crossing = rng.random() < CROSSING
        for _ in range(50):
            tracks = [_track(rng, thing, len(first.things), frames) for thing in first.things]
            if crossing or not any(_meet(a, b) for n, a in enumerate(tracks) for b in tracks[:n]):
                scenes = tuple(replace(first, things=things) for things in zip(*tracks, strict=True))
                yield Clip(scenes, _turned(rng, scenes) if rng.random() < TURNING else scenes)
                break


def _turned(rng: random.Random, scenes: tuple[Scene, ...]) -> tuple[Scene, ...]:
    """The same scenes with one thing in a colour that none has."""
    old = rng.choice(scenes[0].things).colour
    new = rng.choice([colour for colour in COLOURS if colour not in {thing.colour for thing in scenes[0].things}])
    return tuple(
        replace(s, things=tuple(replace(t, colour=new) if t.colour == old else t for t in s.things)) for s in scenes
    )


def _track(rng: random.Random, thing: Thing, count: int, frames: int) -> list[Thing]:
    """A thing in every frame."""
    pace = PACES[rng.choice(tuple(PACES))]
    size = rng.uniform(0.2, MOST[count - 1]) if rng.random() < GROWING else thing.size
    end = replace(thing, size=size)
    start, end = _somewhere(rng, thing), _somewhere(rng, end)
    found = []
    for frame in range(frames):
        part = pace(frame / (frames - 1))
        x, y, size = (a + part * (b - a) for a, b in ((start.x, end.x), (start.y, end.y), (start.size, end.size)))
        found.append(replace(thing, x=x, y=y, size=size))
    return found


def _somewhere(rng: random.Random, thing: Thing) -> Thing:
    """Anywhere in the frame, seldom cut by it, and seldom just outside."""
    wide, high = thing.halves
    share = -1.0 if rng.random() < OUTSIDE else 0.4 if rng.random() < CUT else 1.0
    x, y = rng.uniform(wide * share, 1 - wide * share), rng.uniform(high * abs(share), 1 - high * abs(share))
    if share < 0:
        x = rng.choice((-wide, 1 + wide))
    return replace(thing, x=x, y=y)


def _meet(one: list[Thing], other: list[Thing]) -> bool:
    return any(touch(a, b, 1.0) for a, b in zip(one, other, strict=True))
