"""Scenes of plain things on a ground: what the embedded model was trained on, with exact ground truth."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

Colour = tuple[float, float, float]

COLOURS: dict[str, Colour] = {  # display-referred sRGB
    "red": (0.85, 0.12, 0.10),
    "green": (0.12, 0.66, 0.22),
    "blue": (0.12, 0.26, 0.86),
    "yellow": (0.94, 0.86, 0.14),
    "purple": (0.58, 0.14, 0.68),
    "orange": (0.96, 0.50, 0.06),
}
GROUNDS: dict[str, Colour] = {
    "snow": (0.88, 0.90, 0.92),
    "sand": (0.78, 0.70, 0.54),
    "grass": (0.32, 0.42, 0.22),
    "slate": (0.30, 0.33, 0.38),
    "brick": (0.50, 0.34, 0.29),
    "water": (0.42, 0.60, 0.66),
}
SHAPES = ("ball", "box", "cone", "ring", "cross")
REACHES = {  # how far each outline goes left, up, right and down, in half widths and half heights
    "ball": (1.0, 1.0, 1.0, 1.0),
    "box": (0.92, 0.92, 0.92, 0.92),
    "cone": (1.0, 1.0, 1.0, 0.9),
    "ring": (1.0, 1.0, 1.0, 1.0),
    "cross": (1.0, 1.0, 1.0, 1.0),
}


@dataclass(frozen=True)
class Thing:
    """One object.

    x, y: centre, 0..1 of the frame, y down. size: full width, 0..1 of the frame; of one that is not as wide as it is
    high, the root of both multiplied. aspect: width over height.
    """

    shape: str
    colour: str
    x: float
    y: float
    size: float
    striped: bool = False
    aspect: float = 1.0

    @property
    def halves(self) -> tuple[float, float]:
        """Half its width and half its height, 0..1 of the frame."""
        root = self.aspect**0.5
        return self.size / 2 * root, self.size / 2 / root

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom, 0..1 of the frame: of the space it is drawn in, which a cone does not fill."""
        return self._within(1.0, 1.0, 1.0, 1.0)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The smallest box around its outline, as `box`; what the frame cuts off and what hides it counts as seen."""
        return self._within(*REACHES[self.shape])

    def _within(self, left: float, up: float, right: float, down: float) -> tuple[float, float, float, float]:
        wide, high = self.halves
        return self.x - left * wide, self.y - up * high, self.x + right * wide, self.y + down * high


@dataclass(frozen=True)
class Scene:
    """Things from back to front on a ground. light: where it comes from, -1 left .. 1 right. seed: of the texture."""

    things: tuple[Thing, ...]
    ground: str
    light: float = -0.6
    seed: int = 0


def scenes(seed: int, most: int = 3) -> Iterator[Scene]:
    """Random scenes without end: the same seed, the same scenes.

    Args:
        seed: Of everything.
        most: At most so many things in a scene; three scenes in five hold one.
    """
    rng = random.Random(seed)
    while True:
        count = min(rng.choices((1, 2, 3), (0.6, 0.3, 0.1))[0], most)
        things: list[Thing] = []
        while len(things) < count:
            thing = _thing(rng, count)
            same = any((t.shape, t.colour) == (thing.shape, thing.colour) for t in things)
            if not same and (rng.random() < 0.03 or not any(_overlap(t, thing) for t in things)):
                things.append(thing)
        yield Scene(tuple(things), rng.choice(tuple(GROUNDS)), rng.uniform(-1, 1), rng.getrandbits(31))


def _thing(rng: random.Random, count: int) -> Thing:
    """Anywhere, of any size: data with everything in the middle would make placing things look easy."""
    size = rng.uniform(0.24, (0.62, 0.44, 0.36)[count - 1])
    inside = size / 2 if rng.random() > 0.12 else size / 5  # some are cut by the frame
    x, y = (rng.uniform(inside, 1 - inside) for _ in range(2))
    return Thing(rng.choice(SHAPES), rng.choice(tuple(COLOURS)), x, y, size, rng.random() < 0.15)


def _overlap(a: Thing, b: Thing) -> bool:
    near = (a.size + b.size) / 2 * 0.95
    return abs(a.x - b.x) < near and abs(a.y - b.y) < near
