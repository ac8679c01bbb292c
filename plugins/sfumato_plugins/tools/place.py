"""The place tool: a prompt and a box for each object give a picture with the objects in their boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.errors import JobError, Problem
from sfumato_plugins.parameters import Boxes, Prompt
from sfumato_plugins.placing.declaration import (
    PAGE,
    VERIFY,
    WALK,
    WEIGHTS,
    WRITTEN,
    channels,
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

METHODS = ("precise", "fast", "directed-diffusion", "directed-diffusion-v3", "directed-diffusion-composed",
           "layout-guidance", "boxdiff", "none")  # fmt: skip


def span(inputs: Mapping[str, str], params: Mapping[str, Any]) -> tuple[int, ...]:
    """Frame 1 for a picture; a story's panels from 1 on."""
    if "story" not in inputs:
        return (1,)
    from sfumato_plugins.placing.story import read_story

    return tuple(range(1, len(read_story(inputs["story"])) + 1))


def chunks(job: Job) -> tuple[tuple[int, ...], ...]:
    """Every panel alone."""
    return tuple((frame,) for frame in job.written)


def needs(job: Job) -> Callable[[int], Needs]:
    """A picture depends on its own prompt and boxes, and on what is in the model's folder."""
    from sfumato_plugins.placing.staged import seal, stagings

    model, stage = model_content(job), stagings(job)
    return lambda frame: Needs((), {**model, "words and boxes": seal(stage(frame))})


def run(job: Job, frames: Sequence[int], report: Callable[[Any], None], place: Place) -> Iterator[Made]:
    """Render pictures and write them; each is yielded when its files are complete."""
    from sfumato_plugins.placing.outputs import write_picture
    from sfumato_plugins.placing.rendering import rendered
    from sfumato_plugins.placing.staged import stagings

    values, stage = PLACE.values(job), stagings(job)
    for frame in frames:
        (made,) = rendered(job, values, stage(frame), (frame,), report, place)
        yield Made(frame, write_picture(job, values, made, place), made.stats)


def sequence(job: Job, place: Place) -> Mapping[str, Any]:
    """IoU, centroid error and presence over a story's panels."""
    from sfumato_plugins.placing.summary import summary_of

    return summary_of(job, PLACE)


def finish(job: Job, result: Mapping[str, Any], report: Callable[[Any], None], place: Place) -> None:
    """The page an artist looks at first, where the job asks for one."""
    if job.output("page"):
        from sfumato_plugins.placing.review import make_page

        make_page(PLACE, job, result, report, place)


def problems(job: Job) -> list[Problem]:
    """A prompt and boxes, or a story, and never both; a story has the panels that are asked for."""
    values = PLACE.values(job)
    found = common_problems(job, values)
    if clip_length(job) > 1:
        what = f"that model makes clips of {clip_length(job)} frames"
        found.append(Problem("params.model", what, "use `sfumato trail`, or a model of stills"))
    story = job.input("story")
    if story is None:
        for name, hint in (
            ("prompt", "say in words what the picture shows"),
            ("box", "as in red ball:0.1,0.5,0.4,0.8"),
        ):
            if not values[name].strip():
                found.append(Problem(f"params.{name}", "is missing", f"{hint}; or give a story"))
        return found
    both = [name for name in ("prompt", "box") if values[name].strip()]
    found += [Problem(f"params.{name}", "is given beside a story, which has its own", "leave one out") for name in both]
    try:
        from sfumato_plugins.placing.story import read_story

        panels = len(read_story(story.text))
        if outside := [frame for frame in job.written if not 1 <= frame <= panels]:
            what = f"the story has no panel {outside[0]}"
            found.append(Problem("frames", what, f"its panels are the frames 1 to {panels}"))
    except JobError as error:
        found += [p for p in error.problems if p.code == 2]  # a file that is not there is said already
    return found


def problems_inside(job: Job) -> list[Problem]:
    """Boxes and words as the engine understands them, and the model's files."""
    from sfumato_plugins.placing.preflight import inside_problems

    return inside_problems(job)


PLACE = Tool(
    name="place",
    label="Place",
    help="A picture from words, with each object in its box (after Directed Diffusion); or a story of several.",
    inputs=(
        Images("story", "Story",
               "several panels with the same objects (sfumato.story/1), instead of a prompt and boxes",
               picture=False, suffix=".json"),
    ),
    outputs=(
        Images("picture", "Picture", "EXR: the picture, and layers with the boxes and the objects", True, option="out"),
        Images("page", "Page", PAGE, option="html", suffix=".html"),
    ),
    parameters=(
        Prompt("prompt", "Prompt", "what the picture shows: a red ball and a blue box on grass", "", private=True),
        Boxes("box", "Boxes", "words of the prompt and their box, left, top, right, bottom from 0 to 1, y down, the "
              "nearest first; name=words:... names the object's layers otherwise than its words", "", private=True),
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
