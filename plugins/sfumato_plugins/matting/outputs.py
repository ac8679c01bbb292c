"""A solved frame as EXR: RGB premultiplied and A, straight F and B as layers, windows and metadata of the plate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato_plugins.job import Job
from sfumato_plugins.matting.inputs import Source
from sfumato_plugins.place import Place
from sfumato_plugins.plates import layer_files, with_channels

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.matte.solve import Matte

Channels = dict[str, "Tensor"]
_COLOURS = ("R", "G", "B")


def write_matte(
    job: Job, values: Mapping[str, Any], frame: int, source: Source, matte: Matte, place: Place
) -> tuple[str, ...]:
    """Write a frame; one file, or one for each layer where the name has {layer}. The main file comes last.

    Returns:
        The files, the main one first.
    """
    import os

    from sfumato.io import write_image

    pattern = job.output("matte")
    assert pattern is not None, "check says so first"
    parts = layers(values, source, matte)
    files = layer_files(pattern, frame, parts)
    metadata = {
        **place.stamp(frame),
        "sfumato:rgb": "premultiplied by A" if values["rgb"] == "premultiplied" else "straight",
        "sfumato:fg": "straight",
        "sfumato:bg": "straight",
        "sfumato:quality": values["quality"],
    }
    if len(files) > 1:
        metadata["sfumato:files"] = "|".join(os.path.basename(path) for path in files)
    for path, channels in reversed(files.items()):
        write_image(
            path,
            with_channels(source.plate, channels),
            half=halves(values, tuple(channels)),
            compression=values["compression"],
            metadata=metadata,
        )
    return tuple(files)


def layers(values: Mapping[str, Any], source: Source, matte: Matte) -> dict[str, Channels]:
    """Layer name ("" for the main one) -> channels, each (1, H, W)."""
    alpha = matte.alpha
    if values["alpha_only"]:
        return {"": {"A": alpha}}
    straight, spill = despilled(matte.foreground, values)
    own = source.holes & (alpha == 1)  # where the plate is kept bit for bit, its NaN are kept too
    straight = source.plate.rgb().where(own, straight)
    main = straight * alpha if values["rgb"] == "premultiplied" else straight
    found: dict[str, Channels] = {"": {**_rgb(main), "A": alpha}}
    offered = {
        "fg": _rgb(straight),
        "bg": _rgb(matte.background),
        "confidence": {"A": matte.confidence},
        "trimap": {"A": source.trimap},
        "spill": {"A": spill},
    }
    return {**found, **{name: offered[name] for name in values["layers"]}}


def despilled(foreground: Tensor, values: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """F without the screen's light, and what was taken away, (1, H, W)."""
    if values["despill"] == "off":
        return foreground, foreground.new_zeros(1, *foreground.shape[1:])
    from sfumato.matte.despill import despill

    limit, strength = values["despill_limit"], values["despill_strength"]
    return despill(foreground, values["despill"], limit=limit, strength=strength)


def halves(values: Mapping[str, Any], channels: tuple[str, ...]) -> bool | set[str]:
    """Which channels are stored in 16 bits: all, none, or in the compact choice colour only."""
    if not values["compact"]:
        return bool(values["half"])
    return {name for name in channels if name.rpartition(".")[2] in _COLOURS}


def _rgb(pixels: Tensor) -> Channels:
    return {name: pixels[i : i + 1] for i, name in enumerate(_COLOURS)}
