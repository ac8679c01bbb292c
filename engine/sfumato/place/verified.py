"""Pictures that are measured, and made again until their objects are where they were asked to be."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sfumato.place.calibration import DEFAULT, Calibration
from sfumato.place.render import Measure, Rendered, Request, place
from sfumato.report import Report, silent

if TYPE_CHECKING:
    from sfumato.models.model import Model

STRIDE = 1_000_003  # from one seed to the next that is tried: apart from those an artist counts through


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
    request: What it was rendered from.
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
    for again in _ladder(request, tries):
        rendered = place(model, again, report, calibration, measure)
        iou = worst_iou(rendered)
        done.append(Try(again.strength, again.seed, iou))
        if best is None or iou > best[0]:
            best = iou, rendered, again
        if iou >= target:
            break
    assert best is not None, "one try at least"
    return Verified(best[1], best[2], tuple(done), best[0] >= target)


def worst_iou(rendered: Rendered) -> float:
    """The IoU of the object that is worst off, each as a mean over the frames in which it was asked for or found.

    1 where no object was asked for.
    """
    columns = list(zip(*rendered.ious(), strict=True))
    means = [sum(seen) / len(seen) for column in columns if (seen := [iou for iou in column if iou is not None])]
    return min(means, default=1.0)


def _ladder(request: Request, tries: int) -> Iterator[Request]:
    """The request; then half of the strength that is left; then other seeds with that."""
    yield request
    stronger = replace(request, strength=(1 + request.strength) / 2)
    for number in range(tries - 1):
        yield replace(stronger, seed=(request.seed + number * STRIDE) % 2**63)
