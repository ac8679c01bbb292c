"""A placed frame as EXR: the picture, the boxes as a layer to lay over it, an ID and a trimap for each object."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sfumato_plugins.job import Job
from sfumato_plugins.place import Place
from sfumato_plugins.placing.detecting import OWN, detector_of
from sfumato_plugins.placing.drawing import drawn
from sfumato_plugins.placing.staged import names_of
from sfumato_plugins.plates import Channels, layer_files
from sfumato_plugins.private import allowed

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato_plugins.placing.rendering import FrameMade

ORIGIN = "display-referred: the model's sRGB 0..1 as linear light; no HDR, native size"
CERTAIN = 0.95  # cover above this is the object, below 1 - this it is not


def write_picture(job: Job, values: Mapping[str, Any], made: FrameMade, place: Place) -> tuple[str, ...]:
    """Write a frame; one file, or one for each layer where the name has {layer}. The main file comes last.

    Returns:
        The files, the main one first.
    """
    import torch

    from sfumato.demo.matte import SPACE
    from sfumato.io import write_image
    from sfumato.plate import Plate, Window

    pattern = job.output("picture" if job.tool == "place" else "clip")
    assert pattern is not None, "check says so first"
    files = layer_files(pattern, made.frame, layers(job, values, made))
    metadata = {**place.stamp(made.frame), **_told(job, made)}
    if len(files) > 1:
        metadata["sfumato:files"] = "|".join(os.path.basename(path) for path in files)
    window = Window(0, 0, made.picture.shape[2], made.picture.shape[1])
    for path, channels in reversed(files.items()):
        pixels = torch.cat([c.float() for c in channels.values()]).contiguous()
        coloured = {"R", "G", "B"} <= set(channels)
        half = {"R", "G", "B"} & set(channels) if values["half"] else False
        plate = Plate(pixels, tuple(channels), SPACE if coloured else None, window, window)
        write_image(path, plate, half=half, compression=values["compression"], metadata=metadata)
    return tuple(files)


def layers(job: Job, values: Mapping[str, Any], made: FrameMade) -> dict[str, Channels]:
    """Layer name ("" for the main one) -> channels, each (1, H, W). Every frame of a job has the same layers."""
    import torch

    from sfumato.diffusion.display import Display

    names, (height, width) = names_of(job), made.picture.shape[-2:]
    found: dict[str, Channels] = {"": _rgb(Display().decode(made.picture))}
    if "boxes" in values["layers"]:
        rgb, cover = drawn(made.objects, names, height, width, 1.0)
        found["boxes"] = {**_rgb(rgb), "A": cover}
    covers = _covers(job, made) if {"id", "trimap"} & set(values["layers"]) else {}
    for name, layer in layer_names(names).items():
        cover = covers.get(name, torch.zeros(1, height, width))
        if "id" in values["layers"]:
            found[f"id_{layer}"] = {"A": cover}
        if "trimap" in values["layers"]:
            found[f"trimap_{layer}"] = {"A": trimap(cover)}
    return found


def layer_names(names: Sequence[str]) -> dict[str, str]:
    """Objects' names as parts of layers' names: letters, digits and _, each another.

    >>> layer_names(["red ball", "red-ball"])
    {'red ball': 'red_ball', 'red-ball': 'red_ball_2'}
    """
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "object"
        layer, number = plain, 1
        while layer in found.values():
            number += 1
            layer = f"{plain}_{number}"
        found[name] = layer
    return found


def trimap(cover: Tensor) -> Tensor:
    """An object's cover (1, H, W) as a trimap for `sfumato matte`: 0.5 where partly covered, and a pixel on."""
    import torch
    from torch.nn import functional

    unsure = ((cover > 1 - CERTAIN) & (cover < CERTAIN)).float()
    certain = (cover >= CERTAIN).float()
    low, high = -functional.max_pool2d(-certain[None], 3, 1, 1)[0], functional.max_pool2d(certain[None], 3, 1, 1)[0]
    band = (unsure > 0) | (low < high)
    return torch.where(band, torch.full_like(cover, 0.5), certain)


def _covers(job: Job, made: FrameMade) -> dict[str, Tensor]:
    """How much of each pixel each object covers: as our detector sees it, else its box."""
    from sfumato.place.masks import coverage

    height, width = made.picture.shape[-2:]
    boxes = {one.name: one.found or one.asked for one in made.objects}
    found = {name: coverage(box, height, width)[None].clone() for name, box in boxes.items() if box}
    if detector_of(job) == OWN:
        from sfumato.place.detect import match, see

        seen = match(see(made.picture), [one.phrase for one in made.objects])
        for one, thing in zip(made.objects, seen):
            if thing is not None:
                found[one.name] = thing.cover[None]
    return found


def _told(job: Job, made: FrameMade) -> dict[str, Any]:
    """What is measured, as EXR attributes; the words only where the site allows it."""
    stats = made.stats
    told: dict[str, Any] = {"sfumato:origin": ORIGIN, "sfumato:native_size": stats["size"]}
    if "objects" in stats:
        told["sfumato:boxes"] = json.dumps(stats["objects"], sort_keys=True)
        told |= {f"sfumato:{key}": float(stats[key]) for key in ("iou", "presence") if stats[key] is not None}
    else:
        asked = {one.name: {"asked": one.asked and one.asked.edges} for one in made.objects}
        told["sfumato:boxes"] = json.dumps(asked)
    if allowed(job) and job.params.get("prompt"):
        told["sfumato:prompt"] = job.params["prompt"]
    return told


def _rgb(pixels: Tensor) -> dict[str, Tensor]:
    return {name: pixels[i : i + 1] for i, name in enumerate("RGB")}
