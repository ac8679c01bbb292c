"""The edit tool: a plate and two prompts give the plate with what the words changed, and not a bit of the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from sfumato_plugins.parameters import Choice, Factors, Number, Several, Switch
from sfumato_plugins.tool import Images, Made, Tool

if TYPE_CHECKING:
    from sfumato_plugins.job import Job
    from sfumato_plugins.place import Place

ATTENTION = ("attention", ("replace", "refine", "reweight"))  # what the other attention parameters wait for


def run(job: Job, frames: Sequence[int], report: Callable[[Any], None], place: Place) -> Iterator[Made]:
    """Edit frames and write them; each is yielded when its files are complete."""
    from sfumato_plugins.editing.edits import edited
    from sfumato_plugins.editing.outputs import write_edit
    from sfumato_plugins.editing.review import keep_seen

    values = EDIT.values(job)
    for frame in frames:
        source, edit, stats = edited(job, files_of(job), values, frame, report, place)
        if job.output("page"):
            keep_seen(job, values, frame, source.plate, edit, place)
        yield Made(frame, write_edit(job, values, frame, source, edit, place), stats)


def sequence(job: Job, place: Place) -> Mapping[str, Any]:
    """How much the edit flickers beside its plate."""
    from sfumato_plugins.editing.flicker import flicker_of

    return flicker_of(job, files_of(job), place)


def finish(job: Job, result: Mapping[str, Any], report: Callable[[Any], None], place: Place) -> None:
    """The page an artist looks at first, where the job asks for one."""
    if job.output("page"):
        from sfumato_plugins.editing.review import make_page

        make_page(EDIT, job, result, report, place)


def channels(job: Job) -> int:
    sizes = {"delta": 3, "mask": 1}
    return 4 + sum(sizes[layer] for layer in EDIT.values(job)["layers"])


def problems(job: Job) -> list[Problem]:
    """The model's folder, and options that want each other."""
    values = EDIT.values(job)
    found = model_problems(job)
    if values["attention"] == "reweight" and not values["reweight"].strip():
        found.append(Problem("params.reweight", "no word has a weight", "give one, as in blue=2"))
    if values["reweight"].strip() and values["attention"] == "off":
        found.append(Problem("params.reweight", "is used with attention control only", "choose attention reweight"))
    record = job.input("record")
    if record and not record.is_sequence and len(job.written) > 1:
        what = f"one record for {len(job.written)} frames, and a record is of one"
        found.append(Problem("inputs.record", what, "put #### where the frame number goes"))
    return found + ending_problems(job, "edit", ".exr", "layers and floats need it")


EDIT = Tool(
    name="edit",
    label="Edit",
    help="Change in a plate what two prompts say differently; pixels that were not asked to change keep their bits.",
    inputs=(
        Images("plate", "Plate", "the picture, scene-linear EXR or a display-coded still", True, colour=True),
        Images("mask", "Mask", "white where the edit may act; the model is shown its surroundings"),
        Images("record", "Record", "an inversion that `sfumato invert` made of this plate", picture=False),
    ),
    outputs=(
        Images("edit", "Edit", "EXR: the plate with its colour edited, what was added, and where", True, option="out"),
        Images("page", "Page", "a page to look at first", option="html", suffix=".html"),
    ),
    parameters=(
        prompt("source", "what the plate shows, in a few words: a red ball on grass"),
        prompt("target", "the same words with what should be there instead: a blue ball on grass"),
        *UP,
        Number(
            "guidance", "Guidance", "weight of the target prompt; above 5 edits get coarse", 3.0, "Walk", low=1, high=20
        ),
        *SHOWN,
        Number(
            "keep_detail",
            "Keep detail",
            "of the old object's fine detail and highlights, where something else comes",
            0.0,
            "Plate",
        ),
        Number(
            "auto_mask",
            "Automatic mask",
            "without a mask, act where so much changed (display-referred); 0 acts everywhere",
            0.16,
            "Plate",
        ),
        Choice(
            "attention",
            "Attention",
            "hold the layout: replace words by words, refine with new words, reweight them",
            "off",
            "Attention",
            options=("off", "replace", "refine", "reweight"),
        ),
        Number("until", "Until", "the part of the steps in which it is held", 0.8, "Attention", when=ATTENTION),
        Number("layout", "Layout", "the same for shapes: more keeps them", 0.0, "Attention", when=ATTENTION),
        Factors("reweight", "Reweight", "words of the target and how much they count", "", "Attention", when=ATTENTION),
        Several(
            "layers", "Layers", "written besides the picture", ("delta", "mask"), "Output", options=("delta", "mask")
        ),
        Switch("half", "Half", "16-bit floats for colour; a half plate's own pixels stay as they are", False, "Output"),
        Choice(
            "compression",
            "Compression",
            "all without loss",
            "zip",
            "Output",
            options=("zip", "zips", "piz", "rle", "none"),
        ),
        *MACHINE,
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
    trained_weights=MODEL_WEIGHTS,
    weights=weights,
    sequence=sequence,
    regional=False,
)
