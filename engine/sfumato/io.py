"""One image in, one image out. All pixel I/O goes through here, which guards what was seen to go wrong.

OpenImageIO returns True and writes garbage for a 2-D array, reads deep files as uninitialised memory, brings channels
in its own order, stamps the time of day into EXR, and turns 65520 into infinity in half. Headers need no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813

from sfumato.atomic import replacing
from sfumato.encode import exr_spec, picture_spec, set_attributes
from sfumato.errors import InputError, RequestError
from sfumato.header import Header, Part, open_image, read_header, unreadable
from sfumato.layers import LUMA, select
from sfumato.plate import RGB, Plate
from sfumato.primaries import luminance_weights

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

__all__ = ["Header", "Part", "file_hash", "read_header", "read_image", "write_image"]


def read_image(
    path: str | Path,
    *,
    layer: str | None = None,
    part: int | None = None,
    view: str | None = None,
    channels: Iterable[str] | None = None,
) -> Plate:
    """Read one picture of a file, in the file's own encoding; see `layers.select` for what can be asked for.

    Floats come as stored: negative, above one, NaN and infinity are kept, and colour under alpha 0 too. Integers are
    scaled to 0..1 and stay display-coded (`Plate.coded`). Luminance-chroma (Y, RY, BY) becomes R, G, B.

    Raises:
        InputError: missing, unreadable, cut off or deep; or not one pixel is finite.
        RequestError: the file has no such part, view, layer or channel.
    """
    import torch

    header = read_header(path)
    chosen = select(header, layer, part, view, channels)
    if chosen.part.deep:
        raise InputError(
            f"{path} holds deep samples, which have no single colour per pixel",
            "flatten it first (DeepToImage in Nuke) and give the flat file",
        )
    pixels, names = _to_rgb(_load(path, chosen.part, chosen.stored), chosen.names, chosen.part.metadata)
    shown = view or chosen.part.view
    plate = Plate(
        pixels=torch.from_numpy(pixels),
        channels=names,
        space=chosen.part.space,
        data=chosen.part.data,
        display=chosen.part.display,
        pixel_aspect=chosen.part.pixel_aspect,
        metadata={k: v for k, v in chosen.part.metadata.items() if shown is None or k != "multiView"},
        compression=chosen.part.compression,
        view=shown,
        coded=chosen.part.coded,
        types=chosen.part.types,
    )
    if not chosen.part.coded and bool(plate.holes().all()):
        raise InputError(f"{path} has no finite pixel: all are NaN or infinite", "render it again")
    return plate


def write_image(
    path: str | Path,
    plate: Plate,
    *,
    half: bool | Collection[str] = False,
    compression: str = "zip",
    metadata: Mapping[str, object] | None = None,
    lossy_layers: Collection[str] = ("", "fg", "bg"),
    bits: int | None = None,
) -> None:
    """Write a picture whole or not at all (`atomic.replacing`), the same bytes for the same plate.

    Args:
        path: `.exr` keeps everything; other formats keep what they can. The folder must exist.
        plate: Pixels are written as they are; `plate.space` goes into `oiio:ColorSpace`.
        half: True, or the names of the channels to store as half; the others are float32. EXR only.
        compression: One of none, rle, zip, zips, piz, dwaa, dwab; "dwaa:45" sets the level. EXR only.
        metadata: Added to the plate's own; wins over it. Plain numbers, strings and tuples of them.
        lossy_layers: Layers whose colour DWA may round; "" is the main one. It leaves A, Z and other data alone.
        bits: 8, 16 or 32 (float) per channel where the format leaves a choice; PNG and JPEG take 8 if not told.

    Raises:
        RequestError: the folder is missing, the disk is full, a value does not fit half, DWA would round a data
            layer, or the format cannot hold the picture. Whatever was at `path` before is still there.
    """
    path = Path(path)
    exr = path.suffix.lower() == ".exr"
    spec = exr_spec(path, plate, half, compression, lossy_layers) if exr else picture_spec(path, plate, bits)
    set_attributes(spec, plate, metadata or {})
    pixels = np.ascontiguousarray(plate.pixels.detach().cpu().numpy().transpose(1, 2, 0), dtype=np.float32)
    try:
        with replacing(path) as temporary:
            _store(path, temporary, spec, pixels)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror or error}", _remedy(path)) from error


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(Path(path), error) from error


def _load(path: str | Path, part: Part, stored: tuple[str, ...]) -> Array:
    """The named channels, (C, H, W) float32."""
    source = open_image(path)
    where = [part.channels.index(name) for name in stored]
    first, last = min(where), max(where) + 1
    whole = source.read_image(part.index, 0, first, last, oiio.FLOAT)
    why = source.geterror() or oiio.geterror()
    source.close()
    if whole is None and "luminance-chroma" in why:
        raise InputError(
            f"{path} is luminance-chroma EXR (Y, RY, BY) whose data window is not its display window",
            "render or convert it as R, G, B",
        )
    if whole is None:
        raise InputError(
            f"{path} is damaged or was cut off: {why.strip() or 'no reason given'}",
            "render or copy it again; it may still be being written",
        )
    whole = whole.reshape(part.data.height, part.data.width, last - first)
    return np.ascontiguousarray(whole.transpose(2, 0, 1)[[i - first for i in where]])


def _to_rgb(pixels: Array, names: tuple[str, ...], metadata: Mapping[str, object]) -> tuple[Array, tuple[str, ...]]:
    """Turn Y, RY, BY into R, G, B: RY = (R - Y) / Y, BY = (B - Y) / Y, Y = w . RGB ("Technical Introduction to
    OpenEXR", luminance-chroma images), with the weights w of the file's chromaticities.
    """
    if not set(LUMA) <= set(names):
        return pixels, names
    y, ry, by = (pixels[names.index(name)] for name in LUMA)
    weights = luminance_weights(metadata.get("chromaticities"))
    red, blue = (ry + 1) * y, (by + 1) * y
    green = (y - weights[0] * red - weights[2] * blue) / weights[1]
    others = [i for i, name in enumerate(names) if name not in LUMA]
    together = np.stack([red, green, blue, *(pixels[i] for i in others)]).astype(np.float32)
    return together, (*RGB, *(names[i] for i in others))


def _store(path: Path, temporary: Path, spec: Any, pixels: Array) -> None:
    """Write through OpenImageIO, checking everything it returns."""
    target = oiio.ImageOutput.create(path.suffix[1:].lower())
    if target is None:
        raise RequestError(f"{path} cannot be written: {oiio.geterror()}", "write .exr")
    done = target.open(str(temporary), spec) and target.write_image(pixels)
    why = target.geterror()
    done = target.close() and done
    if not done:
        why = (why or target.geterror() or oiio.geterror()).replace(str(temporary), path.name).strip()
        raise RequestError(f"{path} cannot be written: {why or 'no reason given'}", _remedy(path))


def _remedy(path: Path) -> str:
    if not path.parent.is_dir():
        return f"create the folder {path.parent}"
    return f"see that there is room in {path.parent} and that you may write there"
