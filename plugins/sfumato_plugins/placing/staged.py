"""What a job stages: the engine's `Staging` of each of its pictures. Needs the engine, inside functions only."""

from __future__ import annotations

import bisect
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.parameters import boxes
from sfumato_plugins.placing.declaration import STEPS, clip_frames
from sfumato_plugins.private import SEALED

if TYPE_CHECKING:
    from sfumato.place.imports_trailblazer import Recipe
    from sfumato.place.staging import Staging
    from sfumato_plugins.job import Job
    from sfumato_plugins.place import Place

Objects = Sequence[tuple[str, str, tuple[float, float, float, float]]]


def stagings(job: Job) -> Callable[[int], Staging]:
    """From a frame to what is staged in it; of a clip, to the whole clip's staging, its frames 0, 1, 2 and so on.

    Raises:
        sfumato.errors.SfumatoError, JobError: boxes or words that make no sense.
    """
    if job.tool == "trail":
        path = job.input("track")
        assert path is not None, "check says so first"
        whole = _worded(read_staging(path.text), job.params.get("prompt", ""))
        together = clip_frames(job)
        clip = retimed(whole, together) if together else whole
        return lambda frame: clip if together else moment(clip, frame)
    story = job.input("story")
    if story is None:
        return lambda frame: still(job.params["prompt"], boxes(job.params["box"]), frame)
    from sfumato_plugins.placing.story import read_story

    panels = read_story(story.text)
    return lambda frame: still(panels[frame - 1].prompt, panels[frame - 1].objects, frame)


def still(prompt: str, objects: Objects, frame: int = 1) -> Staging:
    """A picture at a frame: a prompt, and name, phrase and box of each object, the nearest first."""
    from sfumato.place.box import Box
    from sfumato.place.staging import Staging, Subject
    from sfumato.place.track import BoxTrack, Curve

    subjects = tuple(
        Subject(name, (phrase,), BoxTrack.still(Box(*edges)), Curve.level(float(depth)))
        for depth, (name, phrase, edges) in enumerate(objects)
    )
    return Staging(((frame, prompt),), subjects, start=frame, count=1)


def read_staging(path: str) -> Staging:
    """A track file's staging, or a recipe's.

    Raises:
        sfumato.errors.SfumatoError: it cannot be read, or makes no sense.
    """
    found = _recipe(path)
    if found is not None:
        return found.staging
    from sfumato.place.track_file import read_track

    return read_track(path)


def _recipe(path: str) -> Recipe | None:
    if not path.lower().endswith((".yaml", ".yml")):
        return None
    from sfumato.place.imports_trailblazer import read_recipe

    return read_recipe(path)


def names_of(job: Job) -> tuple[str, ...]:
    """Every object of a job, in order, whether or not a frame shows it."""
    if job.tool == "trail":
        path = job.input("track")
        assert path is not None, "check says so first"
        return tuple(subject.name for subject in read_staging(path.text).subjects)
    stage = stagings(job)
    return tuple(dict.fromkeys(s.name for frame in job.written for s in stage(frame).subjects))


def say_once(job: Job, place: Place) -> None:
    """What moves too fast; what a recipe's own program does otherwise, and what of it the job does not take."""
    path = job.input("track")
    assert path is not None, "check says so first"
    for words in hurried(read_staging(path.text), job.written):
        place.note(f"trail: {words}")
    recipe = _recipe(path.text)
    if recipe is None:
        return
    for warning in recipe.warnings:
        place.note(f"trail: {warning}")
    if recipe.seed != job.seed:
        place.note(f"trail: the recipe's seed is {recipe.seed}; --seed {recipe.seed} takes it")
    if recipe.steps != job.params.get("steps", STEPS):
        place.note(f"trail: the recipe has {recipe.steps} steps; --steps {recipe.steps} takes them")
    if recipe.settings:
        named = ", ".join(f"{name} {value:g}" for name, value in recipe.settings.items())
        place.note(f"trail: what the recipe sets of the method is not taken ({named}); --method and --strength count")


def hurried(staging: Staging, frames: Sequence[int]) -> list[str]:
    """A sentence for each object that leaves its own box behind from one frame to the next: no model follows that."""
    found = []
    for subject in staging.subjects:
        boxes = [(frame, staging.seen(subject, frame)) for frame in frames]
        for (before, a), (after, b) in zip(boxes, boxes[1:]):
            if a and b and a.shared(b) is None:
                found.append(
                    f"“{subject.name}” jumps clear of its box from frame {before} to {after}; expect a smear or two"
                )
                break
    return found


def moment(staging: Staging, frame: int) -> Staging:
    """One frame of a staging by itself, for a model of stills; without those who are out of the picture there."""
    from sfumato.place.track import BoxTrack, Curve, Key

    there = tuple(
        replace(s, track=BoxTrack((Key(frame, box),)), depth=Curve.level(s.depth.at(frame)),
                strength=Curve.level(s.strength.at(frame)))
        for s in staging.subjects if (box := staging.seen(s, frame)) is not None
    )  # fmt: skip
    return replace(staging, prompts=((frame, staging.nearest(frame)),), subjects=there, start=frame, count=1)


def retimed(staging: Staging, frames: Sequence[int]) -> Staging:
    """Chosen frames of a staging, as the frames 0, 1, 2 and so on of a clip."""
    from sfumato.place.track import BoxTrack, Curve

    staging.check(frames[0], frames[-1])
    last = len(frames) - 1
    subjects = tuple(
        replace(s, track=BoxTrack.baked(0, [s.track.at(frame) for frame in frames]),
                depth=_baked(Curve, s.depth, frames), strength=_baked(Curve, s.strength, frames))
        for s in staging.subjects if any(s.track.at(frame) for frame in frames)
    )  # fmt: skip
    prompts = {max(0, min(last, _nearest(frames, frame))): words for frame, words in staging.prompts}
    return replace(staging, prompts=tuple(sorted(prompts.items())), subjects=subjects, start=0, count=len(frames))


def _baked(curve: Any, one: Any, frames: Sequence[int]) -> Any:
    values = [one.at(frame) for frame in frames]
    return curve.level(values[0]) if len(set(values)) == 1 else curve(tuple(enumerate(values)))


def _nearest(frames: Sequence[int], frame: int) -> int:
    """Which of some frames is the nearest to another."""
    at = bisect.bisect_left(frames, frame)
    if 0 < at < len(frames) and frame - frames[at - 1] <= frames[at] - frame:
        return at - 1
    return min(at, len(frames) - 1)


def seal(staging: Staging) -> str:
    """A digest of all that a staging says: it tells that something changed, and not what the words were."""
    from sfumato.place.track_file import document

    text = json.dumps(document(staging), sort_keys=True)
    return SEALED + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _worded(staging: Staging, prompt: str) -> Staging:
    """A staging under another prompt."""
    return replace(staging, prompts=((staging.start, prompt),)) if prompt.strip() else staging
