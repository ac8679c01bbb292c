"""What the bench of shots asks for: things our models know, on paths."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato_plugins.benches.place_cases import said, things

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.place.box import Box
    from sfumato.place.staging import Staging

KINDS = ("linear", "zigzag", "grow", "crossing", "entering", "leaving", "turning")
LEAST, MOST = 0.28, 0.45  # of the frame: sides of boxes; of two in a picture the largest is less
NARROW = 1.4
FAR = 0.3  # of the frame: the shortest way of a centre


@dataclass(frozen=True)
class Shot:
    """A shot to make. boxes: frame by frame, then object by object; None where it is not to be seen.

    prompts: (frame, prompt); of two, the first turns into the second. phrases: of each object, one for each prompt.
    """

    kind: str
    ground: str
    prompts: tuple[tuple[int, str], ...]
    phrases: tuple[tuple[str, ...], ...]
    boxes: tuple[tuple[Box | None, ...], ...]
    seed: int

    @property
    def frames(self) -> int:
        return len(self.boxes)

    def staging(self) -> Staging:
        """As the engine wants it: frames 0 and on, what is named first in front."""
        from sfumato.place.staging import Staging, Subject
        from sfumato.place.track import BoxTrack, Curve

        subjects = tuple(
            Subject(phrases[0], phrases, BoxTrack.baked(0, [row[n] for row in self.boxes]), Curve.level(float(n)))
            for n, phrases in enumerate(self.phrases)
        )
        return Staging(self.prompts, subjects, 0, self.frames)


def shots(kind: str, count: int, frames: int, seed: int) -> list[Shot]:
    """Random shots of a kind; the same for the same seed, and the first n of more."""
    rng = random.Random(f"trail {kind} {seed}")
    return [_shot(kind, frames, rng) for _ in range(count)]


def truth(shot: Shot, size: int) -> Tensor:
    """What the shot is to look like, rendered: (F, 3, size, size), 0..1; the farthest first, as it has to be."""
    from sfumato.models.training.render import render
    from sfumato.models.training.scenes import Scene
    from sfumato.place.detect_shapes import within

    scenes = []
    for row in shot.boxes:
        pairs = [(phrases[0].split(), box) for phrases, box in zip(shot.phrases, row) if box]
        drawn = tuple(within(shape, box, colour) for (colour, shape), box in reversed(pairs))
        scenes.append(Scene(drawn, shot.ground, seed=shot.seed))
    pictures, _ = render(scenes, size)
    return pictures


def _shot(kind: str, frames: int, rng: random.Random) -> Shot:
    count = 2 if kind == "crossing" else 1
    named, ground = things(count, rng)
    phrases: tuple[tuple[str, ...], ...] = tuple((phrase,) for phrase in named)
    prompts: tuple[tuple[int, str], ...] = ((0, said(named, ground)),)
    if kind == "turning":
        colour, shape = named[0].split()
        other = colour
        while other == colour:
            other = things(1, rng)[0][0].split()[0]
        phrases = ((named[0], f"{other} {shape}"),)
        prompts = ((0, prompts[0][1]), (frames - 1, said((phrases[0][1],), ground)))
    paths = _crossing(frames, rng) if kind == "crossing" else [_path(kind, frames, rng)]
    return Shot(kind, ground, prompts, phrases, tuple(zip(*paths)), rng.getrandbits(31))


def _path(kind: str, frames: int, rng: random.Random) -> list[Box | None]:
    width, height = _size(rng, MOST)
    while True:
        (x0, y0), (x1, y1) = (
            (rng.uniform(width / 2, 1 - width / 2), rng.uniform(height / 2, 1 - height / 2)) for _ in "ab"
        )
        if kind == "grow" or ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 >= FAR:
            break
    if kind in ("entering", "leaving"):
        x1 = -0.55 * width if rng.random() < 0.5 else 1 + 0.55 * width
    small = rng.uniform(0.55, 0.7)
    found: list[Box | None] = []
    for frame in range(frames):
        part = frame / (frames - 1)
        part = 1 - abs(1 - 2 * part) if kind == "zigzag" else 1 - part if kind == "entering" else part
        scale = small + (1 - small) * part if kind == "grow" else 1.0
        x, y = (x0, y0) if kind == "grow" else (x0 + part * (x1 - x0), y0 + part * (y1 - y0))
        found.append(_around(x, y, width * scale, height * scale))
    return found


def _crossing(frames: int, rng: random.Random) -> list[list[Box | None]]:
    """Two that change sides; they pass each other, one a little higher, and overlap while they do."""
    width, height = _size(rng, 0.36)
    low, high = width / 2 + 0.02, 1 - width / 2 - 0.02
    middle, apart = rng.uniform(0.4, 0.6), rng.uniform(0.5, 0.9) * height / 2
    rows = [middle - apart, middle + apart]
    rng.shuffle(rows)
    return [
        [_around(a + frame / (frames - 1) * (b - a), y, width, height) for frame in range(frames)]
        for a, b, y in ((low, high, rows[0]), (high, low, rows[1]))
    ]


def _size(rng: random.Random, most: float) -> tuple[float, float]:
    while True:
        width, height = rng.uniform(LEAST, most), rng.uniform(LEAST, most)
        if max(width, height) <= NARROW * min(width, height):
            return width, height


def _around(x: float, y: float, width: float, height: float) -> Box | None:
    """The box, as far as it is in the frame; None where next to nothing is."""
    from sfumato.place.box import Box

    box = Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2).inside()
    return box if box and min(box.width, box.height) >= 0.06 else None
