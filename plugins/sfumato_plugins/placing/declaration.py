"""What `place` and `trail` declare alike: the method, the model, how a result is verified, what is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato_plugins.errors import Problem
from sfumato_plugins.parameters import Choice, ModelFolder, Number, PictureSize, Several, Switch, Whole
from sfumato_plugins.placing.models import PLACING, clip_length, is_ours, model_of

if TYPE_CHECKING:
    from sfumato_plugins.job import Job

STEPS = 40
LAYERS = ("boxes", "id", "trimap")
WEIGHTS = "those of the model, named with SHA-256 and licence in every result"
PAGE = "a page to look at first, and a contact sheet beside it"


def method(options: tuple[str, ...]) -> Choice:
    """The parameter that chooses how objects are brought into their boxes."""
    help = "how objects are brought into their boxes; fast costs nothing, precise looks a few steps ahead"
    return Choice("method", "Method", help, "precise", options=options)


WALK = (
    Number("strength", "Strength", "how much the boxes count: 0 not at all, .5 half way, 1 as far as it goes", 0.7),
    Whole("steps", "Steps", "between noise and picture", STEPS, low=2, high=1000),
    Number("guidance", "Guidance", "weight of the prompt", 3.0, "Walk", low=1, high=20),
    PictureSize("size", "Size", "of the picture, width x height, 576x320; empty: the model's own, which it knows best",
                "", "Walk"),
    ModelFolder("model", "Model", "a diffusers folder, its name among the site's models, or embedded: a demo of ours, "
                "which proves the path and is not for shots", "embedded", changes_result=False),  # its files do
)  # fmt: skip
VERIFY = (
    Number("verify", "Verify", "IoU of asked and found that every object must reach, else it is tried again with more "
           "strength and its boxes corrected, then another seed; 0: only measured", 0.0, "Verify"),
    Whole("tries", "Tries", "at most, with the first", 3, "Verify", low=1, high=20),
)  # fmt: skip
WRITTEN = (
    Several("layers", "Layers", "written besides the picture: boxes drawn, a soft ID and a trimap for each object",
            ("boxes", "id"), "Output", options=LAYERS),
    Switch("half", "Half", "16-bit floats for colour", False, "Output"),
    Choice("compression", "Compression", "all without loss", "zip", "Output",
           options=("zip", "zips", "piz", "rle", "none")),
    Choice("precision", "Precision", "of the network", "float32", "Output", options=("float32", "bfloat16")),
    Choice("device", "Device", "what computes", "auto", "Output", changes_result=False,
           options=("auto", "cpu", "cuda")),
)  # fmt: skip


def channels(job: Job) -> int:
    """Of a frame's files, with three objects, for an estimate of disk space."""
    sizes = {"boxes": 4, "id": 3, "trimap": 3}
    return 3 + sum(sizes[layer] for layer in job.params.get("layers", ("boxes", "id")))


def minutes(job: Job) -> float:
    """A frame on two cores; nobody knows of models that are not ours."""
    return 0.1 if is_ours(model_of(job.tool, job.params)) else 0.0


def weights(job: Job) -> str:
    """Name, SHA-256 and licence of the job's model."""
    from sfumato_plugins.editing.model import provenance

    return provenance(job, model_of(job.tool, job.params))


def model_content(job: Job) -> Mapping[str, Any]:
    """What stands for everything that the model's folder decides."""
    from sfumato_plugins.editing.model import content

    return content(job, model_of(job.tool, job.params))


def model_problems(job: Job) -> list[Problem]:
    """What is wrong with the model's folder, as far as a host can see."""
    from sfumato_plugins.editing.model import folder_problems

    return folder_problems(job, model_of(job.tool, job.params), PLACING)


def common_problems(job: Job, values: Mapping[str, Any]) -> list[Problem]:
    """Model, endings, and asking for a check that nobody can make."""
    from sfumato_plugins.editing.declaration import ending_problems
    from sfumato_plugins.placing.detecting import detector_of

    found = model_problems(job)
    for name in ("picture", "clip"):
        found += ending_problems(job, name, ".exr", "layers and floats need it")
    found += ending_problems(job, "page", ".html", "it is a page")
    if values["verify"] and detector_of(job) is None:
        hint = "name a program under `detector` in the site's settings, or leave --verify out"
        found.append(Problem("params.verify", "nothing here finds objects in the pictures of that model", hint))
    return found


def clip_frames(job: Job) -> tuple[int, ...]:
    """The frames that are made together: all of a clip, or none where each stands alone."""
    return job.written if clip_length(job) > 1 else ()
