"""What the tools that work by a diffusion model declare alike: the model, the walk, one frame at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from sfumato_plugins.errors import Problem
from sfumato_plugins.parameters import Choice, ModelFolder, Number, NumberOr, Prompt, Whole
from sfumato_plugins.tool import Needs

if TYPE_CHECKING:
    from sfumato_plugins.files import Files
    from sfumato_plugins.job import Job

MODEL_WEIGHTS = "those of the model, named with SHA-256 and licence in every result"

UP = (  # what decides the way up to noise, for edit and invert alike
    ModelFolder("model", "Model", "a diffusers folder, its name among the site's models, or embedded", "embedded",
                changes_result=False),  # what is in it does: see `needs`
    Whole("steps", "Steps", "between picture and noise", 50, low=4, high=1000),
    NumberOr("gamma", "Gamma", "how much of the last step is taken back: auto, optimal or a number", "auto", "Walk",
             low=0.01, options=("auto", "optimal")),
    Number("invert_guidance", "Inversion guidance", "weight of the source prompt on the way up: 1 keeps most", 1.0,
           "Walk", low=1, high=20),
)  # fmt: skip
SHOWN = (  # the rest of it
    Number("strength", "Strength", "how far up the walk goes: less keeps more, 0 changes nothing", 0.8),
    Number("exposure", "Exposure", "the model is shown the plate so much brighter", 0.0, "Plate", low=-32, high=32,
           unit="stops"),
)  # fmt: skip
MACHINE = (
    Choice("precision", "Precision", "of the network", "float32", "Output", options=("float32", "bfloat16")),
    Choice(
        "device", "Device", "what computes", "auto", "Output", changes_result=False, options=("auto", "cpu", "cuda")
    ),
)


def prompt(name: str, help: str) -> Prompt:
    """A parameter that is words; they are the artist's, and no metadata's unless the site says so."""
    return Prompt(name, name.capitalize(), help, "", required=True, private=True)


def chunks(job: Job) -> tuple[tuple[int, ...], ...]:
    """Every frame alone."""
    return tuple((frame,) for frame in files_of(job).written)


def files_of(job: Job) -> Files:
    """The input files of a job of one view."""
    import sfumato_plugins
    from sfumato_plugins.files import Files  # hosts load the declaration at their start, this with the first job

    return Files(sfumato_plugins.tool(job.tool), job)


def needs(job: Job) -> Callable[[int], Needs]:
    """A frame depends on its own files, and on what is in the model's folder."""
    from sfumato_plugins.editing.model import content

    files, model = files_of(job), content(job, job.params.get("model", "embedded"))
    return lambda frame: Needs(files.all_of(frame), model)


def minutes(job: Job) -> float:
    """A frame on two cores; nobody knows of models that are not ours."""
    return 0.1 if job.params.get("model", "embedded") == "embedded" else 0.0


def weights(job: Job) -> str:
    """Name, SHA-256 and licence of the job's model."""
    from sfumato_plugins.editing.model import provenance

    return provenance(job, job.params.get("model", "embedded"))


def model_problems(job: Job) -> list[Problem]:
    """What is wrong with the model's folder, as far as a host can see."""
    from sfumato_plugins.editing.model import folder_problems

    return folder_problems(job, job.params.get("model", "embedded"))


def ending_problems(job: Job, name: str, suffix: str, why: str) -> list[Problem]:
    """An output that does not end as it must."""
    output = job.outputs.get(name, "")
    if not output or output.lower().endswith(suffix):
        return []
    return [Problem(f"outputs.{name}", f"{output} does not end in {suffix}", f"write {suffix}: {why}")]


def problems_inside(job: Job) -> list[Problem]:
    """What is wrong with the model's files, and whether the site lets it be used."""
    from sfumato_plugins.editing.model import inside_problems

    return inside_problems(job, job.params.get("model", "embedded"))
