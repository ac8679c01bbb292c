"""Plates, and masks over them, as a job's files hold them. Needs the engine, inside functions only.

Every tool reads and writes pictures through here, so that colour, views and windows mean the same to all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sfumato_plugins.files import Files
from sfumato_plugins.frames import Pattern
from sfumato_plugins.job import Job
from sfumato_plugins.place import Place
from sfumato_plugins.template import for_layer

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.plate import Plate, Window


Channels = Mapping[str, "Tensor"]
"""(1, H, W) each, by name."""


class Plates:
    """Reads the pictures of one view of a job."""

    def __init__(self, job: Job, files: Files, place: Place) -> None:
        self._job, self._files, self._place = job, files, place

    def picture(self, name: str, frame: int) -> Plate | None:
        """An input as it is on disk; None where it has no file for this frame."""
        from sfumato.io import read_header, read_image

        read = self._files.read(name, frame)
        if read is None:
            return None
        view = self._job.view
        inside = view is not None and not Pattern(self._job.inputs[name]).has_view
        return read_image(read.path, view=view if inside and view in read_header(read.path).views else None)

    def linear(self, frame: int, name: str = "plate", like: str | None = "plate") -> Plate:
        """A colour input in linear light.

        like: Another input in whose space it is taken to be, where the job names none for it.
        """
        from sfumato.color import to_linear

        picture = self.picture(name, frame)
        assert picture is not None, "check has found it"
        declared = self._job.color.get(name) or (self._job.color.get(like) if like else None)
        linear, note = to_linear(picture, self._place.config, declared)
        self._place.note(f"{self._job.tool}: {name}: {note}")
        return linear

    def mask(self, name: str, frame: int, window: Window) -> Tensor | None:
        """A mask over a window, (1, H, W), finite; None where there is none."""
        picture = self.picture(name, frame)
        if picture is None:
            return None
        over = onto(picture, window)
        if "A" not in over.channels and {"R", "G", "B"} <= set(over.channels):
            colours = over.rgb()
            if bool((colours != colours[:1]).any()):
                self._place.note(f"{self._job.tool}: {name} is a colour picture without an A; its R is taken")
        return over.matte().nan_to_num(0.0)


def onto(picture: Plate, window: Window) -> Plate:
    """A picture over the plate's data window.

    Where it covers its whole format, its edge is carried on into overscan, of which it knows nothing; where it was
    cropped inside its format, what is missing is 0, as in Nuke.
    """
    import torch

    whole = picture.on(picture.data.around(picture.display))
    rows = torch.arange(window.top, window.bottom).clamp(whole.data.top, whole.data.bottom - 1) - whole.data.top
    columns = torch.arange(window.left, window.right).clamp(whole.data.left, whole.data.right - 1) - whole.data.left
    return whole.replace(pixels=whole.pixels[:, rows][:, :, columns].contiguous(), data=window)


def with_channels(plate: Plate, channels: Channels) -> Plate:
    """Channels with everything the plate's file said, but what an earlier sfumato wrote into it."""
    import torch

    kept = {k: v for k, v in plate.metadata.items() if not k.startswith("sfumato:")}
    return plate.replace(
        pixels=torch.cat([pixels.float() for pixels in channels.values()]),
        channels=tuple(channels),
        metadata=kept,
        types={k: v for k, v in plate.types.items() if k in kept},
    )


def layer_files(pattern: Pattern, frame: int, layers: Mapping[str, Channels]) -> dict[str, Channels]:
    """What goes into which file: all into one, or a file for each layer where the name has {layer}; the main one first.

    layers: Layer name ("" for the main one) -> channels. In a file of several layers a channel's name starts with its
        layer's.
    """
    if "{layer}" in pattern.text:
        return {for_layer(pattern, name or "rgba").at(frame): dict(channels) for name, channels in layers.items()}
    named = {
        f"{layer}.{name}" if layer else name: pixels
        for layer, channels in layers.items()
        for name, pixels in channels.items()
    }
    return {pattern.at(frame): named}


class naming:  # noqa: N801 reads as a word in a with statement
    """Say in an error's first words which frame it is about."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from sfumato.errors import SfumatoError

        if isinstance(error, SfumatoError):
            error.message = f"{self._what}: {error.message}"
            error.args = (error.message,)
