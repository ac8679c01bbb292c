"""Pictures with the objects where their boxes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.place.box import Box
from sfumato.place.calibration import DEFAULT, Calibration
from sfumato.place.composed import COMPOSED
from sfumato.place.request import Request
from sfumato.place.walks import Walks
from sfumato.report import Report, silent

if TYPE_CHECKING:
    from sfumato.models.model import Model

Measure = Callable[[Tensor, Sequence[str]], list[Box | None]]
"""A picture (3, H, W), 0..1, and phrases -> where each is found in it; None where it is not."""


@dataclass(frozen=True)
class Rendered:
    """What came of it.

    pictures: (F, 3, H, W) float32, display-referred, 0..1.
    asked: For each frame, a box for each object, as far as it is in the picture; None where it is not to be seen.
    found: The same as measured; empty without a measure.
    latent: What the pictures were decoded from.
    calls: Passes of the network; one with a gradient counts as one here.
    """

    pictures: Tensor
    asked: tuple[tuple[Box | None, ...], ...]
    found: tuple[tuple[Box | None, ...], ...]
    latent: Tensor
    calls: int

    def ious(self) -> list[list[float | None]]:
        """IoU of asked and found for each frame and object: 0 where either lacks, None where neither is."""
        return [[_iou(a, b) for a, b in zip(*rows, strict=True)] for rows in zip(self.asked, self.found, strict=True)]


def place(
    model: Model,
    request: Request,
    report: Report = silent,
    calibration: Calibration = DEFAULT,
    measure: Measure | None = None,
) -> Rendered:
    """Render a still, a clip, or with a model of stills several stills that share their noise.

    The same request gives the same bits on one machine, whatever else was rendered before, or beside it.

    Args:
        model: As loaded.
        request: What is wanted.
        report: Told after every step.
        calibration: Of this model: `read_calibration`.
        measure: Finds objects in the finished pictures.

    Raises:
        RequestError: what `make_cast` refuses; a size or number of frames that the model cannot make.
    """
    walks = [walked(model, [request], calibration, [span], report) for span in spans(model, request)]
    calls = sum(walk.rows[0].calls for walk in walks)
    return finished(model, request, torch.cat([walk.latents[0] for walk in walks]), calls, measure)


def place_many(
    model: Model,
    requests: Sequence[Request],
    report: Report = silent,
    calibration: Calibration = DEFAULT,
    measure: Measure | None = None,
) -> list[Rendered]:
    """Render several requests, of one still or one clip each, in the network's same calls: for measurements.

    What comes of each is what `place` makes of it, but not to the bit: matrix products of other sizes round otherwise.

    Args:
        model, report, calibration, measure: As in `place`.
        requests: Alike in method, steps, guidance and size.

    Raises:
        RequestError: as `place`; requests that are not alike, or of several stills.
    """
    if len({(r.method, r.steps, r.guidance, r.size) for r in requests}) != 1:
        raise RequestError("requests that are rendered together differ", "give them one method, steps and guidance")
    if any(len(spans(model, request)) != 1 for request in requests):
        raise RequestError("several stills in one request cannot be rendered together", "give a request for each")
    walk = walked(model, requests, calibration, [spans(model, request)[0] for request in requests], report)
    pairs = zip(requests, walk.rows, walk.latents, strict=True)
    return [finished(model, request, latent, row.calls, measure) for request, row, latent in pairs]


def walked(
    model: Model,
    requests: Sequence[Request],
    calibration: Calibration,
    frames: Sequence[tuple[int, int]],
    report: Report,
) -> Walks:
    """Requests' walks, done."""
    composes = COMPOSED.get(requests[0].method)
    walk = composes(model, requests, calibration, frames) if composes else Walks(model, requests, calibration, frames)
    walk.run(report)
    return walk


def spans(model: Model, request: Request) -> list[tuple[int, int]]:
    """The frames that are rendered in one walk each: all of a clip, or every still alone.

    Raises:
        RequestError: a number of frames that the model cannot make.
    """
    first, last = request.span
    if model.frames > 1 and last - first + 1 != model.frames:
        raise RequestError(
            f"{last - first + 1} frames for {model.name}, which makes clips of {model.frames}",
            f"give a range of {model.frames} frames",
        )
    return [(first, last)] if model.frames > 1 else [(frame, frame) for frame in range(first, last + 1)]


def finished(model: Model, request: Request, latent: Tensor, calls: int, measure: Measure | None) -> Rendered:
    """What a walk's end, (F, C, h, w) or (1, C, F, h, w), is to those who asked for it."""
    staging = request.staging
    first, _ = request.span
    with torch.no_grad():
        pictures = _decoded(model, latent).clamp(0, 1)
    frames = range(first, first + len(pictures))
    asked = tuple(tuple(staging.cut(s, frame) for s in staging.subjects) for frame in frames)
    found: list[tuple[Box | None, ...]] = []
    if measure is not None:
        for frame, picture in zip(frames, pictures, strict=True):
            phrases = [s.called(staging.nearest(frame)) for s in staging.subjects]
            found.append(tuple(measure(picture, phrases)))
    return Rendered(pictures, asked, tuple(found), latent, calls)


def _decoded(model: Model, latent: Tensor) -> Tensor:
    return model.codec.decode(latent[0].transpose(0, 1) if latent.dim() == 5 else latent).float().cpu()


def _iou(asked: Box | None, found: Box | None) -> float | None:
    if asked is None and found is None:
        return None
    return asked.iou(found) if asked and found else 0.0
