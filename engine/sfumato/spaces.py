"""What colour space a file says it is in, in the words of a config. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from sfumato.errors import RequestError
from sfumato.primaries import AP0, REC709, SRGB, named, recognise

if TYPE_CHECKING:
    from sfumato.color import Config

_UNSAID = {"linear", "scene_linear", "lin", "scene-linear", "unknown"}  # tags of older writers that name no primaries


class Said(Protocol):
    """What `Plate` and `header.Part` both say about colour."""

    @property
    def space(self) -> str | None: ...
    @property
    def coded(self) -> bool: ...
    @property
    def metadata(self) -> Mapping[str, object]: ...


def space_of(image: Said, config: Config) -> tuple[str | None, str]:
    """The colour space a file says it is in, and in words how that is known.

    Looked at in this order: `oiio:ColorSpace` (or `colorInteropID`), the ACES container flag, chromaticities. Floats
    that say nothing are taken as scene-linear Rec.709, which is what OpenEXR means; integers as sRGB. None is linear
    with primaries that have no name in this config.

    Raises:
        RequestError: a float file names a space that the config does not have.
    """
    tag = None if image.space is None or image.space.lower() in _UNSAID else image.space
    if tag is not None:
        found = tagged(tag, config)
        if found is None and not image.coded:
            near = ", ".join(config.nearest(tag))
            hint = f"say which it is with --colorspace{f', for instance one of: {near}' if near else ''}"
            raise RequestError(f"the file says its colour space is {tag}, which is not in {config.name}", hint)
        return found or tag, "named by the file"
    if image.coded:
        return config.first(SRGB), "integers that name no space: taken as sRGB"
    chromaticities = image.metadata.get("chromaticities")
    if image.metadata.get("acesImageContainerFlag") == 1:
        chromaticities = AP0.xy
    if chromaticities is None:
        return config.first(REC709.names), "floats that name no space: taken as scene-linear Rec.709"
    known = recognise(chromaticities)
    if known is None:
        return None, "linear, with primaries that have no name"
    return config.first(known.names), f"linear {known.names[1]} by its chromaticities"


def tagged(tag: str, config: Config) -> str | None:
    """What a file calls its space, in the config's words; None if it has no such space."""
    bare = tag.removeprefix("ocio:")
    known = named(bare)
    srgb = SRGB if bare.lower() in ("srgb", *(n.lower() for n in SRGB)) else ()
    return config.first((tag, bare, bare.removesuffix("_scene"), *(known.names if known else ()), *srgb))
