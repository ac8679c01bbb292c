"""Who is where when: what a shot's boxes, words, depths and strengths are together."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sfumato.errors import RequestError
from sfumato.place.box import Box
from sfumato.place.track import BoxTrack, Curve


@dataclass(frozen=True)
class Subject:
    """An object that has its box.

    name: For people, and for a story in which it comes again.
    phrases: What the prompt calls it: "red ball". More than one where prompts change over the shot.
    track: Its box.
    depth: How far away it is; where boxes overlap, the nearest one's object is in front. Any unit.
    strength: How much the box counts, 0..1, times the request's.
    """

    name: str
    phrases: tuple[str, ...]
    track: BoxTrack
    depth: Curve = field(default_factory=lambda: Curve.level(0.0))
    strength: Curve = field(default_factory=lambda: Curve.level(1.0))

    def __post_init__(self) -> None:
        if not self.phrases or not all(phrase.strip() for phrase in self.phrases):
            raise RequestError(f"object “{self.name}” has no phrase", "give the words that the prompt calls it by")
        if not all(0 <= value <= 1 for _, value in self.strength.keys):
            raise RequestError(f"the strength of “{self.name}” leaves 0..1", "give numbers from 0 to 1")

    def called(self, prompt: str) -> str:
        """Its phrase in a prompt. Raises RequestError if the prompt has none of them."""
        for phrase in self.phrases:
            if occurrences(phrase, prompt):
                return phrase
        raise RequestError(
            f"“{self.phrases[0]}” is not in the prompt “{prompt}”", "a box goes with words of the prompt, as written"
        )


@dataclass(frozen=True)
class Staging:
    """All that a shot is told about places.

    fps: Frames a second.
    start, count: The first frame, and how many there are.
    width, height, pixel_aspect: Of the host's format; boxes are in parts of it.
    prompts: (frame, prompt), in order; between two keys one turns into the other.
    subjects: Its objects.

    Raises:
        RequestError: a size, rate or range that is none; prompts out of order; two objects of one name or phrase.
    """

    prompts: tuple[tuple[int, str], ...]
    subjects: tuple[Subject, ...]
    start: int = 1
    count: int = 1
    fps: float = 24.0
    width: int = 1920
    height: int = 1080
    pixel_aspect: float = 1.0

    def __post_init__(self) -> None:
        if min(self.fps, self.width, self.height, self.pixel_aspect, self.count) <= 0:
            raise RequestError(
                f"{self.count} frames of {self.width} x {self.height}, pixel aspect {self.pixel_aspect:g}, at "
                f"{self.fps:g} a second",
                "give numbers above 0",
            )
        for (a, _), (b, _) in itertools.pairwise(self.prompts):
            if a >= b:
                raise RequestError(f"a prompt at frame {b} comes after one at {a}", "order them, one a frame")
        _all_different("objects are named", [subject.name for subject in self.subjects])
        for _, prompt in self.prompts:
            _all_different("objects have the phrase", [s.called(prompt).casefold() for s in self.subjects])

    @property
    def last(self) -> int:
        return self.start + self.count - 1

    @property
    def aspect(self) -> float:
        """Width over height of the picture as it is seen."""
        return self.width * self.pixel_aspect / self.height

    def check(self, first: int | None = None, last: int | None = None) -> None:
        """Refuse what cannot be rendered from one frame to another, both too (its own range unless given).

        Raises:
            RequestError: no prompt; a track shorter than the range; an object outside the frame in all of it.
        """
        first, last = self.start if first is None else first, self.last if last is None else last
        if not self.prompts:
            raise RequestError("nothing says what the picture shows", "give a prompt")
        for subject in self.subjects:
            keys = subject.track.keys
            if not subject.track.covers(first, last):
                raise RequestError(
                    f"the track of “{subject.name}” ends: it has frames {keys[0].frame} to {keys[-1].frame}, "
                    f"and {first} to {last} are to be rendered",
                    "bake or key it over the whole range",
                )
            boxes = [box for box in subject.track.over(first, last) if box]
            if boxes and not any(box.inside() for box in boxes):
                raise RequestError(
                    f"the box of “{subject.name}” ({boxes[0]}) is outside the frame in every frame",
                    "boxes go from 0 to 1, with y down from the top",
                )

    def seen(self, subject: Subject, frame: float) -> Box | None:
        """A subject's box at a frame where any of it is in the picture; else None."""
        box = subject.track.at(frame)
        return box if box and box.inside() else None

    def cut(self, subject: Subject, frame: float) -> Box | None:
        """What of a subject's box is in the picture at a frame."""
        box = subject.track.at(frame)
        return box.inside() if box else None

    def worded(self, frame: float) -> tuple[str, str, float]:
        """The prompts around a frame and how far it is from the first to the second, 0..1."""
        if frame <= self.prompts[0][0] or len(self.prompts) == 1:
            return self.prompts[0][1], self.prompts[0][1], 0.0
        for (a, before), (b, after) in itertools.pairwise(self.prompts):
            if frame < b:
                return before, after, (frame - a) / (b - a)
        return self.prompts[-1][1], self.prompts[-1][1], 0.0

    def nearest(self, frame: float) -> str:
        """The prompt that a frame shows most of."""
        before, after, part = self.worded(frame)
        return after if part > 0.5 else before


def occurrences(phrase: str, prompt: str) -> list[tuple[int, int]]:
    """Where whole words of a prompt are the phrase: start and end of each, whatever the case and the spaces."""
    words = [re.escape(word) for word in phrase.split()]
    if not words:
        return []
    found = re.finditer(r"(?<!\w)" + r"\s+".join(words) + r"(?!\w)", prompt, re.IGNORECASE)
    return [(place.start(), place.end()) for place in found]


def one_still(prompt: str, boxes: Sequence[tuple[str, Box]]) -> Staging:
    """A still: a prompt, and a box for each of some phrases; what is named first is in front."""
    subjects = tuple(
        Subject(phrase, (phrase,), BoxTrack.still(box), Curve.level(float(i))) for i, (phrase, box) in enumerate(boxes)
    )
    return Staging(((1, prompt),), subjects)


def _all_different(what: str, names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise RequestError(f"two {what} “{name}”", "an object needs words of its own: a red ball and a blue ball")
