"""The invert tool: a plate and what it shows give a record, from which many edits start without inverting again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.editing.declaration import (
    MACHINE,
    MODEL_WEIGHTS,
    SHOWN,
    UP,
    chunks,
    ending_problems,
    files_of,
    minutes,
    model_problems,
    needs,
    problems_inside,
    prompt,
    weights,
)
from sfumato_plugins.errors import Problem
from sfumato_plugins.parameters import Switch
from sfumato_plugins.tool import Images, Made, Tool

if TYPE_CHECKING:
    from sfumato_plugins.job import Job
    from sfumato_plugins.place import Place


def run(job: Job, frames: Sequence[int], report: Callable[[Any], None], place: Place) -> Iterator[Made]:
    """Invert frames and write their records; each is yielded when it is complete."""
    from sfumato_plugins.editing.edits import inverted
    from sfumato_plugins.editing.outputs import write_record

    values = INVERT.values(job)
    for frame in frames:
        inversion, stats = inverted(job, files_of(job), values, frame, report, place)
        yield Made(frame, write_record(job, values, frame, inversion, place), stats)


def problems(job: Job) -> list[Problem]:
    return model_problems(job) + ending_problems(job, "record", ".safetensors", "nothing in it can run")


INVERT = Tool(
    name="invert",
    label="Invert",
    help="Take a plate up to noise, exactly, and keep the way: a record that many edits start from.",
    inputs=(
        Images("plate", "Plate", "the picture, scene-linear EXR or a display-coded still", True, colour=True),
        Images("mask", "Mask", "as for the edits to come: the model is shown its surroundings"),
    ),
    outputs=(
        Images("record", "Record", "a file for `sfumato edit --record`", True, picture=False, suffix=".safetensors"),
    ),
    parameters=(
        prompt("source", "what the plate shows, in a few words: a red ball on grass"),
        *UP,
        *SHOWN,
        Switch("states", "Keep states", "so that machines whose answers differ can use it; larger", False, "Output"),
        *MACHINE,
    ),
    chunks=chunks,
    needs=needs,
    run=run,
    problems=problems,
    problems_inside=problems_inside,
    channels=lambda job: 1,
    minutes=minutes,
    generative=True,
    trained_weights=MODEL_WEIGHTS,
    weights=weights,
    regional=False,
)
