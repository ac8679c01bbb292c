"""Pictures that are measured, and made again until their objects are where they were asked to be."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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


@dataclass(frozen=True)
class Try:
    """One rendering: with which strength and seed, and the IoU of its worst object."""

    strength: float
    seed: int
    iou: float


@dataclass(frozen=True)
class Verified:
    """The best of some renderings.

    rendered: It.
    request: What was asked for, with its strength and seed.
    tries: All of them, in order.
    met: Whether every object has the IoU that was asked for.
    """

    rendered: Rendered
    request: Request
    tries: tuple[Try, ...]
    met: bool


def verified(
    model: "Model",
    request: Request,
    target: float,
    measure: Measure,
    tries: int = 3,
    calibration: Calibration = DEFAULT,
    report: Report = silent,
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

    Raises:
        RequestError: see `place`.
    """
    done: list[Try] = []
    best: tuple[float, Rendered, Request] | None = None
    now = request
    for number in range(1, tries + 1):
        rendered = kept_boxes(place(model, now, report, calibration, measure), request)
        iou = worst_iou(rendered)
        done.append(Try(now.strength, now.seed, iou))
        if best is None or iou > best[0]:
            best = iou, rendered, replace(request, strength=now.strength, seed=now.seed)
        if iou >= target:
            break
        now = again(request, now, rendered, number)
    assert best is not None, "one try at least"
    return Verified(best[1], best[2], tuple(done), best[0] >= target)


def again(request: Request, now: Request, rendered: Rendered, number: int) -> Request:
    """What to render after the `number`-th try missed.

    First the same noise with half of the strength that is left, and each box moved and grown by as much as its object
    missed it (a thermostat's rule: what is 2 % too far left is asked for 2 % farther right); after that, in turn, other
    noise with the boxes as they were asked for, and that corrected.

    Args:
        request: What is wanted.
        now: What was rendered.
        rendered: What came of it, `asked` being what is wanted.
        number: Of the try, from 1.
    """
    strength = (1 + request.strength) / 2
    if number % 2 == 0:
        return replace(request, strength=strength, seed=(request.seed + number // 2 * STRIDE) % 2**63)
    return replace(request, strength=strength, seed=now.seed, staging=_corrected(request, rendered))


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
