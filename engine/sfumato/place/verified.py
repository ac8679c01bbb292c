"""Pictures that are measured, and made again until their objects are where they were asked to be, and look so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from sfumato.errors import RequestError
from sfumato.place.box import Box
from sfumato.place.calibration import DEFAULT, Calibration
from sfumato.place.render import Measure, Rendered, place
from sfumato.place.request import Request
from sfumato.place.staging import Staging, Subject
from sfumato.place.track import BoxTrack
from sfumato.report import Report, silent

if TYPE_CHECKING:
    from sfumato.models.model import Model

STRIDE = 1_000_003  # from one seed to the next that is tried: apart from those an artist counts through
LEAST = 0.05  # of the frame: no corrected box is smaller

Looks = Callable[[Tensor, Sequence[str]], list[bool | None]]
"""A picture (3, H, W), 0..1, and phrases -> whether each's thing looks as is said; None where nobody can tell."""


@dataclass(frozen=True)
class Try:
    """One rendering: with which strength and seed, the IoU of its worst object, and the names of its objects that do
    not look as is said."""

    strength: float
    seed: int
    iou: float
    unlike: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verified:
    """The best of some renderings.

    rendered: It.
    request: What was asked for, with its strength and seed.
    tries: All of them, in order.
    kept: The one of these that it is.
    met: Whether every object has the IoU that was asked for, and looks as is said.
    """

    rendered: Rendered
    request: Request
    tries: tuple[Try, ...]
    kept: Try
    met: bool


def verified(
    model: "Model",
    request: Request,
    target: float,
    measure: Measure,
    tries: int = 3,
    calibration: Calibration = DEFAULT,
    report: Report = silent,
    looks: Looks | None = None,
) -> Verified:
    """Render, measure, and render again until every object reaches an IoU; the best where none does.

    Args:
        model: As loaded.
        request: What is wanted; its strength and seed are those of the first try.
        target: IoU, 0..1, that the worst object has to reach, as a mean over its frames.
        measure: Finds objects in pictures.
        tries: At most.
        calibration: Of the model.
        report: Told after every step.
        looks: Also tells whether objects look as is said; without it nobody looks.

    Raises:
        RequestError: see `place`.
    """
    made = Tries(request, target, tries, looks)
    while made.next:
        made.take(place(model, made.next, report, calibration, measure))
    return made.best()


class Tries:
    """One request's renderings, one after another, whoever makes them.

    Args:
        request, target, tries, looks: As in `verified`.
    """

    def __init__(self, request: Request, target: float, tries: int = 3, looks: Looks | None = None) -> None:
        self.next: Request | None = request
        """What to render; None when nothing is left to try."""
        self._request, self._target, self._most, self._looks = request, target, tries, looks
        self._done: list[Try] = []
        self._best: tuple[Try, Rendered] | None = None

    def take(self, rendered: Rendered) -> None:
        """What came of `next`, measured."""
        now = self.next
        assert now is not None, "nothing is left to try"
        rendered = kept_boxes(rendered, self._request)
        others = unlike(rendered, self._request, self._looks) if self._looks else ()
        one = Try(now.strength, now.seed, worst_iou(rendered), others)
        self._done.append(one)
        if self._best is None or self._rank(one) > self._rank(self._best[0]):
            self._best = one, rendered
        over = self._met(one) or len(self._done) == self._most
        self.next = None if over else again(self._request, now, rendered, len(self._done), bool(others))

    def best(self) -> Verified:
        """The best of what was taken: what is placed comes before what looks as is said, and that before IoU."""
        assert self._best is not None, "one rendering at least"
        kept, rendered = self._best
        request = replace(self._request, strength=kept.strength, seed=kept.seed)
        return Verified(rendered, request, tuple(self._done), kept, self._met(kept))

    def _rank(self, one: Try) -> tuple[bool, bool, float]:
        return one.iou >= self._target, not one.unlike, one.iou

    def _met(self, one: Try) -> bool:
        return all(self._rank(one)[:2])


def again(request: Request, now: Request, rendered: Rendered, number: int, unlike: bool = False) -> Request:
    """What to render after the `number`-th try missed.

    First the same noise with half of the strength that is left, and each box moved and grown by as much as its object
    missed it (a thermostat's rule: what is 2 % too far left is asked for 2 % farther right); after that, in turn, other
    noise with the boxes as they were asked for, and that corrected. A thing that does not look as is said is what its
    noise made of it, and more strength does not mend that: other noise at once, with the strength that was asked for.

    Args:
        request: What is wanted.
        now: What was rendered.
        rendered: What came of it, `asked` being what is wanted.
        number: Of the try, from 1.
        unlike: Whether an object did not look as is said.
    """
    other = (request.seed + number * STRIDE) % 2**63
    if unlike:
        return replace(request, seed=other)
    strength = (1 + request.strength) / 2
    if number % 2 == 0:
        return replace(request, strength=strength, seed=other)
    return replace(request, strength=strength, seed=now.seed, staging=_corrected(request, rendered))


def unlike(rendered: Rendered, request: Request, looks: Looks) -> tuple[str, ...]:
    """Names of the objects that do not look as is said in most of the frames in which that can be told.

    Frames in which an object's box is cut by the frame, or shares some of another's, tell nothing.
    """
    staging, (first, _) = request.staging, request.span
    told: dict[str, list[bool]] = {subject.name: [] for subject in staging.subjects}
    for frame, (picture, asked) in enumerate(zip(rendered.pictures, rendered.asked, strict=True), first):
        answers = looks(picture, [subject.called(staging.nearest(frame)) for subject in staging.subjects])
        for number, (subject, answer) in enumerate(zip(staging.subjects, answers, strict=True)):
            if answer is not None and _whole(asked, number, subject.track.at(frame)):
                told[subject.name].append(answer)
    return tuple(name for name, seen in told.items() if 2 * sum(seen) < len(seen))


def _whole(asked: Sequence[Box | None], number: int, box: Box | None) -> bool:
    """Whether all of an object is to be seen."""
    others = (other for n, other in enumerate(asked) if n != number)
    return box is not None and box == asked[number] and not any(other and box.shared(other) for other in others)


def kept_boxes(rendered: Rendered, request: Request) -> Rendered:
    """A rendering whose boxes were corrected, held against the boxes that are wanted."""
    staging, (first, _) = request.staging, request.span
    frames = range(first, first + len(rendered.asked))
    asked = tuple(tuple(staging.cut(subject, frame) for subject in staging.subjects) for frame in frames)
    return replace(rendered, asked=asked)


def worst_iou(rendered: Rendered) -> float:
    """The IoU of the object that is worst off, each as a mean over the frames in which it was asked for or found.

    1 where no object was asked for.
    """
    columns = list(zip(*rendered.ious(), strict=True))
    means = [sum(seen) / len(seen) for column in columns if (seen := [iou for iou in column if iou is not None])]
    return min(means, default=1.0)


def _corrected(request: Request, rendered: Rendered) -> Staging:
    staging, (first, _) = request.staging, request.span
    subjects = tuple(_tracked(subject, n, first, rendered) for n, subject in enumerate(staging.subjects))
    return replace(staging, subjects=subjects)


def _tracked(subject: Subject, number: int, first: int, rendered: Rendered) -> Subject:
    """A subject whose box is off, in every frame in which it was found, by what it missed."""
    boxes: list[Box | None] = []
    for frame, (asked, found) in enumerate(zip(rendered.asked, rendered.found, strict=True), first):
        wanted, got = asked[number], found[number]
        whole = subject.track.at(frame)
        boxes.append(_off(wanted, got) if wanted and got and whole == wanted else whole)
    if not any(boxes):
        return subject
    return replace(subject, track=BoxTrack.baked(first, boxes))


def _off(wanted: Box, got: Box) -> Box:
    """The box wanted, less what another is off it; as wanted where nothing would be left."""
    left, right = 2 * wanted.left - got.left, 2 * wanted.right - got.right
    top, bottom = 2 * wanted.top - got.top, 2 * wanted.bottom - got.bottom
    try:
        box = Box(left, top, right, bottom).inside()
    except RequestError:
        return wanted
    return box if box and min(box.width, box.height) >= LEAST else wanted
