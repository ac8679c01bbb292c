"""What a file says about itself: parts, layers, views, windows, metadata. Reads no pixels and needs no torch."""

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import OpenImageIO as oiio  # noqa: N813

from sfumato.errors import InputError
from sfumato.plate import RGB, Window

_STRUCTURE = {  # said elsewhere in a Plate, or true of this file alone
    "compression", "name", "view", "PixelAspectRatio", "oiio:ColorSpace", "colorInteropID", "oiio:RowsPerChunk",
    "oiio:subimages", "oiio:subimagename", "openexr:lineOrder", "openexr:luminancechroma", "openexr:chunkCount",
    "openexr:levelmode", "openexr:roundingmode", "oiio:BitsPerSample", "oiio:UnassociatedAlpha",
    "textureformat", "wrapmodes", "fovcot", "oiio:miplevels", "oiio:SHA-1", "oiio:AverageColor", "oiio:ConstantColor",
}  # fmt: skip
_PLAIN = {"string", "int", "float"}
_core_switch = threading.Lock()


@dataclass(frozen=True)
class Part:
    """One picture of a file (an EXR may hold several).

    channels: As the file names them, with their layer; Y, RY, BY stand as they are (`io.read_image` makes R, G, B).
    formats: "half", "float", "uint8", ... for each channel.
    space: What the file calls its colour space, unchecked; None if it does not say.
    coded: Integers, so display-coded values and not light.
    """

    index: int
    name: str
    view: str | None
    channels: tuple[str, ...]
    formats: tuple[str, ...]
    data: Window
    display: Window
    pixel_aspect: float
    deep: bool
    coded: bool
    space: str | None
    compression: str | None
    metadata: Mapping[str, object]
    types: Mapping[str, str]

    @property
    def has_colour(self) -> bool:
        return set(RGB) <= set(self.channels) or "Y" in self.channels


@dataclass(frozen=True)
class Header:
    """All parts of a file. `main` is the one a plate is read from when nobody names another."""

    path: str
    parts: tuple[Part, ...]

    @property
    def main(self) -> Part:
        flat = [part for part in self.parts if not part.deep]
        coloured = [part for part in flat if part.has_colour]
        return (coloured or flat or list(self.parts))[0]

    @property
    def deep(self) -> bool:
        """Nothing but deep samples: there is no flat picture to read."""
        return all(part.deep for part in self.parts)

    @property
    def views(self) -> tuple[str, ...]:
        """Views by name, the default one first; empty where the file knows none."""
        found: list[str] = []
        for part in self.parts:
            listed = part.metadata.get("multiView", ())
            for view in listed if isinstance(listed, tuple) else (listed,):
                found += [str(view)] if view not in found else []
            if part.view is not None and part.view not in found:
                found.append(part.view)
        return tuple(found)


def read_header(path: str | Path) -> Header:
    """Read what a file says about itself, without its pixels.

    Raises:
        InputError: the file is missing, empty, cut off or no image.
    """
    source = open_image(path)
    parts = tuple(_part(index, spec) for index, spec in enumerate(_specs(source)))
    source.close()
    return Header(str(path), parts)


def open_image(path: str | Path) -> Any:
    """Open a file with OpenImageIO, alpha left as stored, or say why not.

    Raises:
        InputError: the file is missing, empty, cut off or no image.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise unreadable(path, error) from error
    if empty:
        raise InputError(f"{path} is empty (0 bytes)", "render or copy it again; its writer was probably stopped")
    asis = oiio.ImageSpec()
    asis.attribute("oiio:UnassociatedAlpha", 1)  # a PNG's colour under alpha 0 is kept
    source = oiio.ImageInput.open(str(path), asis)
    why = "" if source else oiio.geterror()
    if source is None and "ubsampled" in why:
        source = _open_subsampled(str(path), asis)
        why = "" if source else oiio.geterror()
    if source is None:
        raise InputError(
            f"{path} cannot be read: {_one_line(why)}",
            "open it in another program; if that fails too, render or copy it again",
        )
    return source


def unreadable(path: Path, error: OSError) -> InputError:
    """Why a file cannot be opened, for whoever can change that. A file that this user may not read is not damaged."""
    hint = "check the path and the frame number, or render the file"
    if os.path.isdir(path):  # first: Windows calls opening a folder a lack of permission
        return InputError(f"{path} is a folder, not an image", hint)
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return InputError(f"{path} does not exist", hint)
    if isinstance(error, PermissionError):
        hint = "let its owner give this user, or the farm's, the right to read it and its folder"
        return InputError(f"{path} is not readable by this user", hint)
    return InputError(f"{path} cannot be read: {error.strerror}", "is the disk or the network drive there?")


def _open_subsampled(path: str, config: Any) -> Any:
    """Open luminance-chroma EXR: only OpenImageIO's older EXR reader knows it (RgbaInputFile of OpenEXR)."""
    with _core_switch:
        before = oiio.get_int_attribute("openexr:core", 1)
        oiio.attribute("openexr:core", 0)
        try:
            return oiio.ImageInput.open(path, config)
        finally:
            oiio.attribute("openexr:core", before)


def _specs(source: Any) -> Iterator[Any]:
    index = 0
    while source.seek_subimage(index, 0):
        yield source.spec()
        index += 1
    source.geterror()  # the end of the parts is no error


def _part(index: int, spec: Any) -> Part:
    found = {attribute.name: attribute for attribute in spec.extra_attribs}
    kept = {name: attribute for name, attribute in found.items() if name not in _STRUCTURE}
    formats = [str(spec.channelformat(i)) for i in range(spec.nchannels)]
    return Part(
        index=index,
        name=str(spec.get("oiio:subimagename") or spec.get("name") or ""),
        view=spec.get("view"),
        channels=tuple(spec.channelnames),
        formats=tuple(formats),
        data=Window(spec.x, spec.y, spec.width, spec.height),
        display=Window(spec.full_x, spec.full_y, spec.full_width, spec.full_height),
        pixel_aspect=float(spec.get("PixelAspectRatio", 1.0)) or 1.0,
        deep=bool(spec.deep),
        coded=all("int" in kind for kind in formats),
        space=spec.get("oiio:ColorSpace"),
        compression=spec.get("compression"),
        metadata={name: attribute.value for name, attribute in kept.items()},
        types={name: str(a.type) for name, a in kept.items() if str(a.type) not in _PLAIN},
    )


def _one_line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip()) or "no reason given"
