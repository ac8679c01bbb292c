"""What only the engine can see of a placement, before anything is computed: words, boxes, tracks. Imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sfumato_plugins.editing.model import folder_of
from sfumato_plugins.editing.model import inside_problems as model_inside_problems
from sfumato_plugins.errors import JobError, Problem
from sfumato_plugins.frames import format_frames
from sfumato_plugins.parameters import boxes
from sfumato_plugins.placing.models import PLACING, model_of

if TYPE_CHECKING:
    from sfumato_plugins.job import Job

FAINT = 0.02  # of one place of the model's latent; `sfumato.place.masks` refuses less


def inside_problems(job: Job) -> list[Problem]:
    """Everything wrong with a job's boxes and words, and with its model's files."""
    found = list(_place_problems(job) if job.tool == "place" else _trail_problems(job))
    return found + model_inside_problems(job, model_of(job.tool, job.params), PLACING)


def _place_problems(job: Job) -> Iterator[Problem]:
    story = job.input("story")
    if story is None:
        if job.params.get("prompt") and job.params.get("box"):
            yield from still_problems(job, job.params["prompt"], boxes(job.params["box"]), "params.box")
        return
    from sfumato_plugins.placing.story import read_story

    try:
        panels = read_story(story.text)
    except JobError:  # said already
        return
    for number, panel in enumerate(panels, 1):
        if number in job.written:
            for problem in still_problems(job, panel.prompt, panel.objects, "inputs.story"):
                yield Problem(problem.where, f"panel {number}: {problem.what}", problem.hint)


def still_problems(job: Job, prompt: str, objects: Any, where: str) -> Iterator[Problem]:
    """A box that is none, outside the picture or too small for the model; words the prompt lacks, or has for two."""
    from sfumato.errors import RequestError
    from sfumato.place.box import Box
    from sfumato.place.staging import occurrences

    names: set[str] = set()
    phrases: set[str] = set()
    for name, phrase, edges in objects:
        try:
            box = Box(*edges)
        except RequestError as error:
            yield Problem(where, f"“{name}”: {error.message}", error.hint)
            continue
        if box.inside() is None:
            hint = "boxes go from 0 to 1, with y down from the top"
            yield Problem(where, f"the box of “{name}” ({box}) is outside the frame", hint)
        elif told := too_small(job, name, [box]):
            yield told
        if not occurrences(phrase, prompt):
            hint = "a box goes with words of the prompt, as written there"
            yield Problem(where, f"“{phrase}” is not in the prompt “{prompt}”", hint)
        if phrase.casefold() in phrases or name in names:
            what = (
                f"two objects have the phrase “{phrase}”" if phrase.casefold() in phrases else f"two are named “{name}”"
            )
            yield Problem(where, what, "an object needs words of its own: a red ball and a blue ball")
        names.add(name)
        phrases.add(phrase.casefold())


def _trail_problems(job: Job) -> Iterator[Problem]:
    from sfumato.errors import SfumatoError
    from sfumato_plugins.placing.staged import read_staging, stagings

    path = job.input("track")
    if path is None or not os.path.isfile(path.text):  # said already
        return
    try:
        staging = read_staging(path.text)
    except SfumatoError as error:
        yield Problem("inputs.track", error.message, error.hint, error.exit_code)
        return
    first, last = min(job.written), max(job.written)
    whole = replace(staging, subjects=tuple(s for s in staging.subjects if s.track.covers(first, last)))
    for subject in staging.subjects:
        keys = subject.track.keys
        if subject not in whole.subjects:
            what = f"the track of “{subject.name}” ends: it has frames {keys[0].frame} to {keys[-1].frame}"
            hint = "bake or key it over the whole range, or render the frames it has"
            yield Problem("inputs.track", f"{what}, and {format_frames(job.written)} are to be rendered", hint)
        elif told := too_small(job, subject.name, [b for f in job.written if (b := staging.seen(subject, f))]):
            yield told
    try:
        whole.check(first, last)
        if whole == staging:
            stagings(job)(first)
    except SfumatoError as error:
        yield Problem("inputs.track", error.message, error.hint, error.exit_code)


def too_small(job: Job, name: str, boxes_of: list[Any]) -> Problem | None:
    """A box that is next to nothing on the places of the model's latent, in every frame."""
    places = latent_places(job) if not job.params.get("size") else None  # the engine says it of other sizes
    if places is None or not boxes_of:
        return None
    most = max(_most(b.left, b.right, places[1]) * _most(b.top, b.bottom, places[0]) for b in boxes_of)
    if most >= FAINT:
        return None
    what = f"the box of “{name}” ({boxes_of[0]}) is empty at the model's size of {places[1]} x {places[0]} places"
    where = "params.box" if job.tool == "place" and job.input("story") is None else f"inputs.{_source(job)}"
    return Problem(where, what, "make it larger, or take a model of larger pictures")


def _source(job: Job) -> str:
    return "story" if job.tool == "place" else "track"


def latent_places(job: Job) -> tuple[int, int] | None:
    """Height and width of the model's latent at its native size; None where its folder does not say."""
    from sfumato.models.load_files import folder_path

    folder = folder_path(folder_of(job, model_of(job.tool, job.params)))
    for part in ("transformer", "unet"):
        try:
            with open(folder / part / "config.json", encoding="utf-8") as file:
                size = json.load(file)["sample_size"]
            height, width = (size, size) if isinstance(size, int) else size
            return int(height), int(width)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _most(low: float, high: float, count: int) -> float:
    """The largest part of one of `count` places in a row that a span covers."""
    low, high = max(0.0, low * count), min(float(count), high * count)
    if high <= low:
        return 0.0
    return min(1.0, max(min(high, at + 1) - max(low, at) for at in range(int(low), min(count, int(high) + 1))))
