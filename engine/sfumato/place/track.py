"""Boxes and numbers over time."""

import bisect
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sfumato.errors import RequestError
from sfumato.place.box import Box

Way = Literal["linear", "hold", "ease"]
"""From one key to the next: straight; not at all until the next; or slowly out and slowly in."""


@dataclass(frozen=True)
class Key:
    """Where an object is at a frame, and how it goes on from there.

    frame: Absolute, may be negative.
    box: None where nobody knows, and nothing is to be seen.
    way: To the next key.
    visible: Whether it is to be seen from here until the next key.
    """

    frame: int
    box: Box | None
    way: Way = "linear"
    visible: bool = True

    def __post_init__(self) -> None:
        if self.way not in get_args(Way):
            raise RequestError(f"the way from key {self.frame} is “{self.way}”", "choose linear, hold or ease")

    @property
    def shown(self) -> Box | None:
        """Its box if it is to be seen."""
        return self.box if self.visible else None


@dataclass(frozen=True)
class BoxTrack:
    """An object's box over time. With a single key it stays there for ever.

    Raises:
        RequestError: no key, frames out of order or twice, or never to be seen.
    """

    keys: tuple[Key, ...]

    def __post_init__(self) -> None:
        _in_order([key.frame for key in self.keys], "box")
        if not any(key.shown for key in self.keys):
            raise RequestError("a track shows its object in no frame", "give it a box somewhere")

    @classmethod
    def baked(cls, start: int, boxes: Sequence[Box | None]) -> "BoxTrack":
        """From a box for every frame, as hosts give it; None where the object is not to be seen."""
        return cls(tuple(Key(start + i, box) for i, box in enumerate(boxes)))

    @classmethod
    def still(cls, box: Box) -> "BoxTrack":
        """A box that stays."""
        return cls((Key(0, box),))

    def covers(self, first: int, last: int) -> bool:
        """Whether it says where its object is (or that it is not to be seen) from one frame to another, both too."""
        return len(self.keys) == 1 or (self.keys[0].frame <= first and last <= self.keys[-1].frame)

    def at(self, frame: float) -> Box | None:
        """Its box, between frames too; None where the object is not to be seen.

        Raises:
            RequestError: the frame is before the first key or after the last.
        """
        if len(self.keys) == 1:
            return self.keys[0].shown
        if not self.keys[0].frame <= frame <= self.keys[-1].frame:
            raise RequestError(
                f"a track of frames {self.keys[0].frame} to {self.keys[-1].frame} is asked for frame {frame:g}",
                "bake or key the track over the whole range",
            )
        here = bisect.bisect_right(self.keys, frame, key=lambda key: key.frame) - 1
        key = self.keys[here]
        box = key.shown
        if box is None or frame == key.frame or key.way == "hold":
            return box
        there = self.keys[here + 1]
        if there.box is None:
            return box
        return box.toward(there.box, _paced((frame - key.frame) / (there.frame - key.frame), key.way))

    def over(self, first: int, last: int) -> list[Box | None]:
        """Its boxes from one frame to another, both too."""
        return [self.at(frame) for frame in range(first, last + 1)]


@dataclass(frozen=True)
class Curve:
    """A number over time: straight between keys, level before and after them.

    keys: (frame, value); one for a number that stays.

    Raises:
        RequestError: no key, frames out of order or twice, a value that is no number.
    """

    keys: tuple[tuple[int, float], ...]

    def __post_init__(self) -> None:
        _in_order([frame for frame, _ in self.keys], "curve")
        if not all(math.isfinite(value) for _, value in self.keys):
            raise RequestError("a curve holds a value that is no number", "give finite numbers")

    @classmethod
    def level(cls, value: float) -> "Curve":
        """A number that stays."""
        return cls(((0, value),))

    def at(self, frame: float) -> float:
        """Its value."""
        (first, low), (last, high) = self.keys[0], self.keys[-1]
        if frame <= first or frame >= last:
            return low if frame <= first else high
        here = bisect.bisect_right(self.keys, frame, key=lambda key: key[0]) - 1
        (a, x), (b, y) = self.keys[here], self.keys[here + 1]
        return x + (frame - a) / (b - a) * (y - x)


def _paced(part: float, way: Way) -> float:
    """3 p^2 - 2 p^3 for "ease": level at both ends."""
    return part * part * (3 - 2 * part) if way == "ease" else part


def _in_order(frames: Iterable[int], what: str) -> None:
    frames = list(frames)
    if not frames:
        raise RequestError(f"a {what} track without a key", "give one at least")
    for a, b in itertools.pairwise(frames):
        if a >= b:
            raise RequestError(f"a {what} track has a key at frame {b} after one at {a}", "order them, one a frame")
