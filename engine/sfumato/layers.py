"""Which channels of a file are meant by a layer, a view, a part or a list of names. Needs no torch."""

from collections.abc import Iterable
from dataclasses import dataclass

from sfumato.errors import RequestError
from sfumato.header import Header, Part
from sfumato.plate import RGB

_MAIN = ("", "rgb", "rgba", "main")
LUMA = ("Y", "RY", "BY")


@dataclass(frozen=True)
class Selection:
    """Channels of one part: `stored` as the file names them, `names` as they will be called, in the same order."""

    part: Part
    stored: tuple[str, ...]
    names: tuple[str, ...]


def select(
    header: Header,
    layer: str | None = None,
    part: int | None = None,
    view: str | None = None,
    channels: Iterable[str] | None = None,
) -> Selection:
    """Find channels by layer, part, view and name; all of them may be left out.

    A layer is the prefix of a channel ("fg" of "fg.R") or, in a file of several parts, the name of a part; its
    channels come back without the prefix. A view is a part's view, or a prefix in a file with a `multiView` list,
    whose first view has none. Without a layer all channels of the main part come, named as in the file. Asking for
    R, G or B of a luminance-chroma picture selects its Y, RY, BY.

    Raises:
        RequestError: no such part, view, layer or channel; the message lists those there are.
    """
    parts = [header.main] if part is None else [_numbered(header, part)]
    if part is None and (layer is not None or view is not None):
        parts = [header.main, *(p for p in header.parts if p is not header.main and not p.deep)]
    found = [_of_view(header, p, view) for p in parts]
    found = [s for s in found if s.stored]
    if not found:
        raise _nothing(header, "view", view or "", header.views)
    if layer is not None:
        layers = dict.fromkeys(name for s in found for name in _layers(header, s))
        found = [s for s in (_of_layer(header, s, layer) for s in found) if s.stored]
        if not found:
            raise _nothing(header, "layer", layer, layers)
    chosen = found[0]
    return chosen if channels is None else _by_name(header, chosen, tuple(channels))


def _numbered(header: Header, part: int) -> Part:
    if not 0 <= part < len(header.parts):
        raise _nothing(header, "part", str(part), [str(p.index) for p in header.parts])
    return header.parts[part]


def _of_view(header: Header, part: Part, view: str | None) -> Selection:
    """All channels of one view; none if the part does not have it."""
    listed = part.metadata.get("multiView", ())
    inside = [str(name) for name in listed] if isinstance(listed, tuple) else [str(listed)]
    if view is None or part.view == view:
        return Selection(part, part.channels, part.channels)
    if part.view is not None or view not in inside:
        return Selection(part, (), ())
    picked = []
    for name in part.channels:
        *prefix, leaf = name.split(".")
        owner = next((p for p in prefix if p in inside), inside[0])
        if owner == view:
            picked.append((name, ".".join([*(p for p in prefix if p != view), leaf])))
    return Selection(part, tuple(stored for stored, _ in picked), tuple(shown for _, shown in picked))


def _layer_of(header: Header, part: Part, name: str) -> str:
    """The layer a channel belongs to; "" is the main one."""
    prefix = name.rpartition(".")[0]
    if prefix or part is header.main:
        return prefix
    own = part.name
    if part.view is not None:  # "depth.left" and "depth_left" are the layer "depth" of the view "left"
        own = own.removesuffix(part.view).rstrip("._") if own.endswith(part.view) else own
    return "" if own.lower() in _MAIN else own


def _layers(header: Header, selection: Selection) -> list[str]:
    return [_layer_of(header, selection.part, name) or "rgba" for name in selection.names]


def _of_layer(header: Header, selection: Selection, layer: str) -> Selection:
    wanted = "" if layer.lower() in _MAIN else layer
    pairs = [
        (stored, name.rpartition(".")[2])
        for stored, name in zip(selection.stored, selection.names, strict=True)
        if _layer_of(header, selection.part, name) == wanted
    ]
    return Selection(selection.part, tuple(stored for stored, _ in pairs), tuple(name for _, name in pairs))


def _by_name(header: Header, selection: Selection, wanted: tuple[str, ...]) -> Selection:
    stored = dict(zip(selection.names, selection.stored, strict=True))
    if set(LUMA) <= set(stored):
        wanted = tuple(
            dict.fromkeys(n for name in wanted for n in (LUMA if name in RGB and name not in stored else (name,)))
        )
    missing = [name for name in wanted if name not in stored]
    if missing:
        raise _nothing(header, "channel", ", ".join(missing), stored)
    return Selection(selection.part, tuple(stored[name] for name in wanted), wanted)


def _nothing(header: Header, kind: str, name: str, there: Iterable[str]) -> RequestError:
    known = ", ".join(there)
    hint = f"choose one of: {known}" if known else f"leave the {kind} out"
    return RequestError(f"{header.path} has no {kind} {name}", hint)
