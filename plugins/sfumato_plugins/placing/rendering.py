"""Rendering what a job stages, measuring it, and what each frame's record says of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.editing.answers import Kept
from sfumato_plugins.editing.model import folder_of, load
from sfumato_plugins.job import Job
from sfumato_plugins.parameters import pixels
from sfumato_plugins.place import Place
from sfumato_plugins.placing.detecting import looks_of, measure_of
from sfumato_plugins.placing.models import is_ours, model_of
from sfumato_plugins.plates import naming

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.models.model import Model
    from sfumato.place.box import Box
    from sfumato.place.staging import Staging
    from sfumato.place.verified import Verified


class Remembered(Kept):
    """Answers kept while a picture is in flight; those that a gradient goes through are asked for again."""

    def __call__(self, latent: Any, node: Any, context: Any) -> Any:
        import torch

        return (
            self._denoiser(latent, node, context)
            if torch.is_grad_enabled()
            else super().__call__(latent, node, context)
        )


@dataclass(frozen=True)
class Seen:
    """An object in one frame: its name, words, and the boxes asked for and found."""

    name: str
    phrase: str
    asked: Box | None
    found: Box | None


@dataclass(frozen=True)
class FrameMade:
    """One frame: its picture (3, H, W), display-referred 0..1, its objects the farthest last, and its numbers."""

    frame: int
    picture: Tensor
    objects: tuple[Seen, ...]
    stats: dict[str, Any]


def rendered(
    job: Job,
    values: Mapping[str, Any],
    staging: Staging,
    frames: Sequence[int],
    report: Callable[[Any], None],
    place: Place,
) -> tuple[FrameMade, ...]:
    """A staging's pictures, which are these frames of the job.

    Raises:
        sfumato.errors.SfumatoError: as `sfumato.place.render.place` says, naming the frame.
    """
    from sfumato.models.load_files import folder_path
    from sfumato.place.calibration import read_calibration
    from sfumato.place.request import Request

    began = time.perf_counter()
    name = model_of(job.tool, values)
    with naming(f"frame {frames[0]}" if len(frames) == 1 else f"frames {frames[0]} to {frames[-1]}"):
        model = load(job, {**values, "model": name}, place)
        _say_unread(job, name, staging, model, place)
        calibration = read_calibration(folder_path(folder_of(job, name)))
        kept = Remembered(model.denoiser, place.store, frames[0])
        model = replace(model, denoiser=kept)
        how = {key: values[key] for key in ("method", "strength", "steps", "guidance")}
        size = pixels(values["size"])
        request = Request(staging, seed=job.seed, size=(size[1], size[0]) if size else None, **how)
        told = _telling(report, frames[0])
        found = _verified(job, values, request, model, calibration, told)
    seconds = (time.perf_counter() - began) / len(frames)
    if values["verify"] and not found.met:
        place.note(f"warning: {job.tool} {frames[0]}: {_missed(found, values['verify'])}")
    made = tuple(_frame(found, values, index, frame, seconds, place) for index, frame in enumerate(frames))
    for one in made:
        one.stats["calls_remembered"] = kept.remembered
    return made


def _verified(
    job: Job, values: Mapping[str, Any], request: Any, model: Model, calibration: Any, report: Callable[[Any], None]
) -> Verified:
    from sfumato.place.render import place as render
    from sfumato.place.verified import Try, Verified, verified, worst_iou

    measure = measure_of(job)
    if values["verify"] and measure:
        return verified(model, request, values["verify"], measure, values["tries"], calibration, report, looks_of(job))
    made = render(model, request, report, calibration, measure)
    iou = worst_iou(made) if measure else 0.0
    only = Try(request.strength, request.seed, iou)
    return Verified(made, request, (only,), only, True)


def _missed(found: Verified, target: float) -> str:
    """What the best of the tries lacks: "IoU 0.41 of 0.6; ring not as said in 3 tries"."""
    lacks = [f"IoU {found.kept.iou:.2f} of {target:g}"] if found.kept.iou < target else []
    lacks += [f"{', '.join(found.kept.unlike)} not as said"] if found.kept.unlike else []
    return f"{'; '.join(lacks)} in {len(found.tries)} tries"


def _frame(
    found: Verified, values: Mapping[str, Any], index: int, frame: int, seconds: float, place: Place
) -> FrameMade:
    staging, made = found.request.staging, found.rendered
    at = staging.start + index
    measured = made.found[index] if made.found else (None,) * len(staging.subjects)
    objects = tuple(
        Seen(subject.name, subject.called(staging.nearest(at)), asked, box)
        for subject, asked, box in zip(staging.subjects, made.asked[index], measured)
    )
    near = sorted(range(len(objects)), key=lambda n: staging.subjects[n].depth.at(at))
    ordered = tuple(objects[n] for n in near)
    stats: dict[str, Any] = {"seconds": seconds, "calls": made.calls, "device": str(place.device)}
    stats["size"] = f"{made.pictures.shape[3]} x {made.pictures.shape[2]}"
    if made.found:
        stats |= numbers(objects, staging.aspect)
        stats["tries"] = [vars(one) for one in found.tries]
        if values["verify"]:
            stats |= {"verified": found.met, "unlike": list(found.kept.unlike)}
    return FrameMade(frame, made.pictures[index], ordered, stats)


def numbers(objects: Sequence[Seen], aspect: float) -> dict[str, Any]:
    """What is measured of a frame: for each object the boxes, IoU, centroid error in diagonals and presence; means.

    An object that was not asked for in this frame is in no mean.
    """
    rows: dict[str, dict[str, Any]] = {}
    for one in objects:
        rows[one.name] = {
            "asked": _edges(one.asked),
            "found": _edges(one.found),
            "iou": None if one.asked is None else one.asked.iou(one.found) if one.found else 0.0,
            "centroid_error": one.asked.distance(one.found, aspect) if one.asked and one.found else None,
            "present": one.found is not None,
        }
    asked = [row for row in rows.values() if row["asked"]]
    centroids = [row["centroid_error"] for row in asked if row["centroid_error"] is not None]
    return {
        "objects": rows,
        "iou": sum(row["iou"] for row in asked) / len(asked) if asked else None,
        "centroid_error": sum(centroids) / len(centroids) if centroids else None,
        "presence": sum(row["present"] for row in asked) / len(asked) if asked else None,
    }


def _edges(box: Box | None) -> list[float] | None:
    return [round(edge, 6) for edge in box.edges] if box else None


def _say_unread(job: Job, name: str, staging: Staging, model: Model, place: Place) -> None:
    """Say what the pictures are, and which words mean nothing to the model."""
    if is_ours(name):
        place.note(f"{job.tool}: the embedded model is a demo: it proves the path and is not for shots")
    if job.tool == "trail" and model.frames == 1:
        place.note("trail: this model makes stills; every frame is rendered by itself, from one noise")
    for prompt in dict.fromkeys(words for _, words in staging.prompts):
        if unknown := [word for word in model.unknown(prompt) if any(map(str.isalnum, word))]:
            place.note(f"{job.tool}: {model.name} never learnt {', '.join(unknown)}; any other word is the same")
        if cut := model.cut(prompt):
            place.note(f"{job.tool}: {model.name} does not read the end of the prompt: {cut}")


def _telling(report: Callable[[Any], None], frame: int) -> Callable[[Any], None]:
    return lambda step: report(replace(step, frame=frame))
