"""How a plate is told to a file: format, half or float, compression, windows, attributes. Writes nothing itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import OpenImageIO as oiio  # noqa: N813

from sfumato.errors import RequestError
from sfumato.plate import Plate
from sfumato.primaries import interop_id

COMPRESSIONS = ("none", "rle", "zip", "zips", "piz", "dwaa", "dwab")
HALF_MAX = 65504.0
_ROUNDED = {"r", "red", "g", "green", "grn", "b", "blue", "blu", "y", "ry", "by"}  # by DWA (ImfDwaCompressor)
_BITS = {".png": 8, ".jpg": 8, ".jpeg": 8, ".webp": 8, ".tga": 8, ".tif": 32, ".tiff": 32, ".hdr": 32, ".pfm": 32}


def exr_spec(
    path: Path, plate: Plate, half: bool | Collection[str], compression: str, lossy_layers: Collection[str]
) -> Any:
    """The OpenImageIO spec of an EXR file that keeps everything but metadata (`set_attributes`).

    Raises:
        RequestError: a value does not fit half, no such compression or channel, DWA would round a data layer.
    """
    halves = set(plate.channels) if half is True else set(half or ())
    unknown = halves - set(plate.channels)
    if unknown:
        hint = f"there are {', '.join(plate.channels)}"
        raise RequestError(f"{path.name}: no channel {', '.join(sorted(unknown))} to write as half", hint)
    for name in sorted(halves):
        _check_half(path, plate, name, "write float (leave --half out)")
    kind = oiio.HALF if halves == set(plate.channels) else oiio.FLOAT
    spec = oiio.ImageSpec(plate.width, plate.height, len(plate.channels), kind)
    spec.channelnames = plate.channels
    spec.alpha_channel = plate.channels.index("A") if "A" in plate.channels else -1
    if halves and kind is oiio.FLOAT:  # said of a lone channel, OpenImageIO ignores it
        spec.channelformats = tuple(oiio.HALF if name in halves else oiio.FLOAT for name in plate.channels)
    spec.x, spec.y = plate.data.left, plate.data.top
    spec.full_x, spec.full_y = plate.display.left, plate.display.top
    spec.full_width, spec.full_height = plate.display.width, plate.display.height
    spec.attribute("compression", _compression(path, plate, compression, lossy_layers))
    if plate.space is not None:
        # As oiio:ColorSpace OpenImageIO drops a space that its own OCIO does not know; as an id it keeps any,
        # and gives it back as oiio:ColorSpace.
        spec.attribute("colorInteropID", interop_id(plate.space))
    if plate.view is not None:
        spec.attribute("view", plate.view)
    return spec


def picture_spec(path: Path, plate: Plate, bits: int | None) -> Any:
    """The OpenImageIO spec of a PNG, JPEG, TIFF... of the data window alone.

    Raises:
        RequestError: no such format or number of bits.
    """
    extension = path.suffix.lower()
    if extension not in _BITS:
        raise RequestError(f"{path.name}: no way to write {extension or 'a file without extension'}", "write .exr")
    kinds = {8: oiio.UINT8, 16: oiio.UINT16, 32: oiio.FLOAT}
    if bits is not None and bits not in kinds:
        raise RequestError(f"{path.name}: {bits} bits per channel", "ask for 8, 16 or 32")
    spec = oiio.ImageSpec(plate.width, plate.height, len(plate.channels), kinds[bits or _BITS[extension]])
    spec.channelnames = plate.channels
    spec.alpha_channel = plate.channels.index("A") if "A" in plate.channels else -1
    spec.attribute("oiio:UnassociatedAlpha", 1)  # as it is: nothing is divided or multiplied on the way
    if plate.space is not None:
        spec.attribute("oiio:ColorSpace", interop_id(plate.space))
    return spec


def set_attributes(spec: Any, plate: Plate, metadata: Mapping[str, object]) -> None:
    """Put the plate's metadata into a spec, then what is added; added values win."""
    spec.attribute("PixelAspectRatio", float(plate.pixel_aspect))
    spec.attribute("DateTime", "")  # OpenImageIO would write the time of day: the same plate, other bytes
    for name, value in plate.metadata.items():
        if name not in metadata:
            _set(spec, name, value, plate.types.get(name))
    for name, value in metadata.items():
        _set(spec, name, value, None)


def _set(spec: Any, name: str, value: object, kind: str | None) -> None:
    """One attribute, with the type it was read with or the obvious one, as far as EXR has room for it."""
    plain = isinstance(value, (int, float, str))
    if kind is not None and not plain:
        spec.attribute(name, oiio.TypeDesc(kind), value)
    elif isinstance(value, (tuple, list)):
        words = any(isinstance(v, str) for v in value)
        whole = 2 <= len(value) <= 3 and all(isinstance(v, int) for v in value)  # EXR has no longer ones
        spec.attribute(
            name, oiio.TypeDesc(f"{'string' if words else 'int' if whole else 'float'}[{len(value)}]"), tuple(value)
        )
    elif isinstance(value, int) and -(2**31) <= value < 2**31:
        spec.attribute(name, int(value))
    elif isinstance(value, float):
        spec.attribute(name, value)
    elif value is not None:
        spec.attribute(name, str(value))


def _check_half(path: Path, plate: Plate, name: str, remedy: str) -> None:
    """Half ends at 65504; beyond it a finite value would become infinite."""
    values = plate.channel(name)
    lost = (values.isfinite() & ~values.half().isfinite()).nonzero()
    if len(lost):
        _, row, column = lost[0].tolist()
        raise RequestError(
            f"{path.name}: {name} is {values[0, row, column].item():g} at x {plate.data.left + column}, "
            f"y {plate.data.top + row}, and half ends at {HALF_MAX:g} ({len(lost)} such pixels)",
            remedy,
        )


def _compression(path: Path, plate: Plate, asked: str, lossy_layers: Collection[str]) -> str:
    """The compression if it is one, and loses nothing it was not allowed to."""
    name = asked.partition(":")[0].lower()
    if name not in COMPRESSIONS:
        raise RequestError(f"{path.name}: no compression {asked}", f"choose one of {', '.join(COMPRESSIONS)}")
    for channel in plate.channels if name.startswith("dwa") else ():
        layer, _, leaf = channel.rpartition(".")
        if leaf.lower() not in _ROUNDED:
            continue
        if layer not in lossy_layers:
            hint = f"write zip, or allow it for the layer {layer}"
            raise RequestError(f"{path.name}: {name} would round {channel}, which may be data", hint)
        _check_half(path, plate, channel, "write zip: DWA rounds colour to half")
        if holes := int((~plate.channel(channel).isfinite()).sum()):
            what = f"{path.name}: {name} would turn {holes} NaN or infinite pixels of {channel} into numbers"
            raise RequestError(what, "write zip")
    return asked.lower()
