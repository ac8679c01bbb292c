"""An edited frame as EXR: the plate with all its channels, its colour edited; what was added and where, as layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato_plugins.editing.inputs import Source
from sfumato_plugins.job import Job
from sfumato_plugins.place import Place
from sfumato_plugins.plates import Channels, layer_files, with_channels
from sfumato_plugins.private import allowed

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.diffusion.edit import Edit
    from sfumato.diffusion.inversion import Inversion

_COLOURS = ("R", "G", "B")


def write_edit(
    job: Job, values: Mapping[str, Any], frame: int, source: Source, edit: Edit, place: Place
) -> tuple[str, ...]:
    """Write a frame; one file, or one for each layer where the name has {layer}. The main file comes last.

    Returns:
        The files, the main one first.
    """
    import os

    from sfumato.io import write_image

    pattern = job.output("edit")
    assert pattern is not None, "check says so first"
    files = layer_files(pattern, frame, layers(values, source, edit))
    metadata = {**place.stamp(frame), **walked(edit), **words(job, values)}
    if len(files) > 1:
        metadata["sfumato:files"] = "|".join(os.path.basename(path) for path in files)
    for path, channels in reversed(files.items()):
        write_image(
            path,
            with_channels(source.plate, channels),
            half=set(channels) & _HALVES if values["half"] else False,
            compression=values["compression"],
            metadata=metadata,
        )
    return tuple(files)


_HALVES = {*_COLOURS, "A", "mask.A", *(f"delta.{name}" for name in _COLOURS)}


def layers(values: Mapping[str, Any], source: Source, edit: Edit) -> dict[str, Channels]:
    """Layer name ("" for the main one) -> channels, each (1, H, W). What the plate had besides colour stays."""
    edited, before = edit.applied(source.plate), ("delta.", "mask.")  # of an earlier edit, which this one is made on
    own = {name: edited.channel(name) for name in edited.channels if not name.startswith(before)}
    offered = {"delta": _rgb(edit.delta), "mask": {"A": edit.mask}}
    return {"": own, **{name: offered[name] for name in values["layers"]}}


def walked(edit: Edit) -> dict[str, Any]:
    """What proves that the trip was made, and made exactly."""
    return {
        "sfumato:network_calls": int(sum(edit.calls.values())),
        "sfumato:recon_digest": edit.recon_digest,
        "sfumato:replay_digest": edit.replay_digest,
        "sfumato:model_saw": edit.view.words(),
    }


def words(job: Job, values: Mapping[str, Any]) -> dict[str, str]:
    """The prompts, where the site lets metadata say them."""
    return {f"sfumato:{name}": values[name] for name in ("source", "target") if name in values and allowed(job)}


def write_record(
    job: Job, values: Mapping[str, Any], frame: int, inversion: Inversion, place: Place
) -> tuple[str, ...]:
    """Write an inversion record; it appears whole or not at all."""
    from sfumato.errors import RequestError

    pattern = job.output("record")
    assert pattern is not None, "check says so first"
    stamp = {**place.stamp(frame), "sfumato:network_calls": sum(inversion.calls), **words(job, values)}
    try:
        inversion.save(pattern.at(frame), stamp)
    except OSError as error:
        raise RequestError(f"{pattern.at(frame)} cannot be written: {error.strerror}", "is there room?") from error
    return (pattern.at(frame),)


def _rgb(pixels: Tensor) -> dict[str, Tensor]:
    return {name: pixels[i : i + 1] for i, name in enumerate(_COLOURS)}
