"""The trail tool: prompts and boxes over time give a clip whose objects follow their boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.errors import Problem
from sfumato_plugins.parameters import Prompt
from sfumato_plugins.placing.declaration import (
    PAGE,
    VERIFY,
    WALK,
    WEIGHTS,
    WRITTEN,
    channels,
    clip_frames,
    common_problems,
    method,
    minutes,
    model_content,
    weights,
)
from sfumato_plugins.placing.models import clip_length
from sfumato_plugins.tool import Images, Made, Needs, Tool

if TYPE_CHECKING:
    from sfumato_plugins.job import Job
    from sfumato_plugins.place import Place

METHODS = ("precise", "fast", "trailblazer", "trailblazer-coded", "trailblazer-composed", "direct-a-video", "peekaboo",
           "freetraj", "none")  # fmt: skip
TRACKS = (".json", ".yaml", ".yml")


def span(inputs: Mapping[str, str], params: Mapping[str, Any]) -> tuple[int, ...]:
    """The track's own frames; of a longer track as many as the model's clip has, spread over all of it."""
    from sfumato_plugins.job import Job
    from sfumato_plugins.placing.spans import range_of, spread

    first, last = range_of(inputs["track"])
    return spread(first, last, clip_length(Job("trail", (1,), inputs, {}, params)))


def chunks(job: Job) -> tuple[tuple[int, ...], ...]:
    """A clip is one piece; a model of stills makes every frame alone."""
    together = clip_frames(job)
    return (together,) if together else tuple((frame,) for frame in job.written)


def needs(job: Job) -> Callable[[int], Needs]:
    """A frame depends on the boxes and words of its clip, and on what is in the model's folder."""
    from sfumato_plugins.placing.staged import seal, stagings

    model, stage, together = model_content(job), stagings(job), list(clip_frames(job))
    return lambda frame: Needs((), {**model, "clip": together, "words and boxes": seal(stage(frame))})


def run(job: Job, frames: Sequence[int], report: Callable[[Any], None], place: Place) -> Iterator[Made]:
    """Render a clip, or frame by frame, and write the frames that are wanted; each is yielded when it is complete."""
    from sfumato_plugins.placing.outputs import write_picture
    from sfumato_plugins.placing.rendering import rendered
    from sfumato_plugins.placing.staged import say_once, stagings

    values, stage, together = TRAIL.values(job), stagings(job), clip_frames(job)
    say_once(job, place)
    for group in [together] if together else [(frame,) for frame in frames]:
        for made in rendered(job, values, stage(group[0]), group, report, place):
            if made.frame in frames:
                yield Made(made.frame, write_picture(job, values, made, place), made.stats)


def sequence(job: Job, place: Place) -> Mapping[str, Any]:
    """IoU, centroid error and presence over the clip."""
    from sfumato_plugins.placing.summary import summary_of

    return summary_of(job, TRAIL)


def finish(job: Job, result: Mapping[str, Any], report: Callable[[Any], None], place: Place) -> None:
    """The page an artist looks at first, where the job asks for one."""
    if job.output("page"):
        from sfumato_plugins.placing.review import make_page

        make_page(TRAIL, job, result, report, place)


def problems(job: Job) -> list[Problem]:
    """The model, the kind of track, and a clip's length."""
    found = common_problems(job, TRAIL.values(job))
    track = job.inputs.get("track", "")
    if track and not track.lower().endswith(TRACKS):
        hint = "give a track file (.json) or a recipe of TrailBlazer (.yaml)"
        found.append(Problem("inputs.track", f"{track} is no track", hint))
    length = clip_length(job)
    if length > 1 and len(job.written) != length:
        what = f"{len(job.written)} frames, and the model makes clips of {length}"
        found.append(Problem("frames", what, f"name {length} frames: every third of 24 is 1-22x3"))
    return found


def problems_inside(job: Job) -> list[Problem]:
    """Boxes and words as the engine understands them, and the model's files."""
    from sfumato_plugins.placing.preflight import inside_problems

    return inside_problems(job)


TRAIL = Tool(
    name="trail",
    label="Trail",
    help="A clip from words, whose objects follow boxes that are keyed or baked over time (after TrailBlazer).",
    inputs=(
        Images("track", "Track", "boxes and prompts over time: sfumato.track/1, or TrailBlazer's recipe (.yaml)", True,
               picture=False, holds="boxes", suffix=".json"),
    ),
    outputs=(
        Images("clip", "Clip", "EXR: the frames, and layers with the boxes and the objects", True, option="out"),
        Images("page", "Page", PAGE + ", and the clip as GIF, with ffmpeg as MP4 too", option="html", suffix=".html"),
    ),
    parameters=(
        Prompt("prompt", "Prompt", "instead of the track's own: what the clip shows", "", private=True),
        method(METHODS),
        *WALK,
        *VERIFY,
        *WRITTEN,
    ),
    chunks=chunks,
    needs=needs,
    run=run,
    problems=problems,
    problems_inside=problems_inside,
    finish=finish,
    channels=channels,
    minutes=minutes,
    generative=True,
    trained_weights=WEIGHTS,
    weights=weights,
    sequence=sequence,
    regional=False,
    span=span,
)  # fmt: skip
