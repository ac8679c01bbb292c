"""What the gate of placing asks for: things of the models' world, where chance puts them."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from typing import NamedTuple

from sfumato.models.training.clips import PACES
from sfumato.models.training.placement import placed_scenes, touch
from sfumato.models.training.scenes import SHAPES, Scene, Thing
from sfumato.place.box import Box
from sfumato.place.staging import Staging, Subject
from sfumato.place.track import BoxTrack

FRAMES = 8
PATCHES = 8  # of a side of the micro model's pictures: finer is nothing it can draw


class Case(NamedTuple):
    """Something to render. phrases: Of its objects, a colour and a shape each."""

    staging: Staging
    phrases: tuple[str, ...]
    seed: int


def asked(which: str, kind: str, count: int, seed: int) -> list[Case]:
    """So many cases of one kind; the same for the same seed, and the first of more."""
    rng = random.Random(f"{which} {kind} {seed}")
    if which == "shots":
        return list(islice(_shots(kind, rng), count))
    return list(islice(_stills(int(kind), rng, which == "micro"), count))


def _stills(objects: int, rng: random.Random, micro: bool) -> Iterator[Case]:
    source = placed_scenes(rng.getrandbits(40), shapes=("box",) if micro else SHAPES)
    for scene in source:
        if len(scene.things) == objects and whole(scene):
            boxes = [_on_patches(t) if micro else Box(*t.bounds) for t in scene.things]
            yield _case(scene, [(box,) for box in boxes], rng)


def whole(scene: Scene) -> bool:
    """Whether nothing is cut by the frame or hidden."""
    inside = all(min(t.bounds) >= 0 and max(t.bounds) <= 1 for t in scene.things)
    return inside and not any(touch(a, b, 1.0) for n, a in enumerate(scene.things) for b in scene.things[:n])


def _on_patches(thing: Thing) -> Box:
    left, top, right, bottom = (round(edge * PATCHES) / PATCHES for edge in thing.bounds)
    return Box(left, top, max(right, left + 2 / PATCHES), max(bottom, top + 2 / PATCHES))


def _shots(kind: str, rng: random.Random) -> Iterator[Case]:
    """Things that go from one place to another; of which two cross, and of which one comes in from the side."""
    scenes = placed_scenes(rng.getrandbits(40), counts=(0, 1) if kind == "crossing" else (1,))
    for a, b in pairwise(scene for scene in scenes if whole(scene)):
        ends = [_end(kind, thing, other, rng) for thing, other in zip(a.things, reversed(b.things), strict=True)]
        pace = PACES["zigzag" if kind == "zigzag" else "linear"]
        ways = [[_between(*end, pace(frame / (FRAMES - 1))) for frame in range(FRAMES)] for end in ends]
        yield _case(a, [tuple(Box(*thing.bounds) for thing in way) for way in ways], rng)


def _end(kind: str, thing: Thing, other: Thing, rng: random.Random) -> tuple[Thing, Thing]:
    """How a thing is in the first frame, and in the last."""
    if kind == "grow":
        small, large = replace(thing, size=rng.uniform(0.22, 0.3)), replace(thing, size=rng.uniform(0.45, 0.55))
        wide, high = large.halves
        x, y = rng.uniform(wide, 1 - wide), rng.uniform(high, 1 - high)
        small, large = replace(small, x=x, y=y), replace(large, x=x, y=y)
        return (small, large) if rng.random() < 0.5 else (large, small)
    there = replace(thing, x=min(max(other.x, thing.halves[0]), 1 - thing.halves[0]))
    there = replace(there, y=min(max(other.y, thing.halves[1]), 1 - thing.halves[1]))
    if kind == "entering":
        side = rng.choice((-thing.halves[0], 1 + thing.halves[0]))
        return (replace(thing, x=side), there) if rng.random() < 0.5 else (there, replace(thing, x=side))
    return thing, there


def _between(a: Thing, b: Thing, part: float) -> Thing:
    return replace(a, x=a.x + part * (b.x - a.x), y=a.y + part * (b.y - a.y), size=a.size + part * (b.size - a.size))


def _case(scene: Scene, tracks: list[tuple[Box, ...]], rng: random.Random) -> Case:
    phrases = tuple(f"{thing.colour} {thing.shape}" for thing in scene.things)
    named = [f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}" for phrase in phrases]
    said = (", ".join(named[:-1]) + " and " if len(named) > 1 else "") + named[-1] + f" on {scene.ground}"
    subjects = tuple(
        Subject(phrase, (phrase,), BoxTrack.baked(0, track)) for phrase, track in zip(phrases, tracks, strict=True)
    )
    return Case(Staging(((0, said),), subjects, 0, len(tracks[0])), phrases, rng.getrandbits(31))
