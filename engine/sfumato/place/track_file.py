"""Track files: what hosts write about places, and every back-end reads. Standard library only.

    {"schema": "sfumato.track/1", "fps": 24, "start": 1001, "count": 3, "size": [1920, 1080], "pixel_aspect": 1.0,
     "prompts": [[1001, "a red ball on grass"]],
     "objects": [{"name": "ball", "phrases": ["red ball"], "depth": 2.0, "strength": [[1001, 1.0], [1003, 0.5]],
                  "start": 1001, "boxes": [[0.1, 0.5, 0.4, 0.8], [0.2, 0.5, 0.5, 0.8], null]}]}

Boxes are left, top, right, bottom in parts of the display window, y down; null where the object is not to be seen. In
place of `boxes`, one a frame, there may be `keys`: {"frame", "box", "way": linear | hold | ease, "visible"}.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sfumato.atomic import write_bytes
from sfumato.errors import InputError, SfumatoError
from sfumato.place.box import Box
from sfumato.place.staging import Staging, Subject
from sfumato.place.track import BoxTrack, Curve, Key

SCHEMA = "sfumato.track/1"


def read_track(path: str | Path) -> Staging:
    """A track file.

    Raises:
        InputError: it is missing, no JSON, of another schema, or lacks something.
        RequestError: what it says makes no sense; see `Staging`.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"the track {path} cannot be read: {error.strerror}", "write it from the host again"
        ) from error
    except ValueError as error:
        raise InputError(f"the track {path} is no JSON: {error}", "write it from the host again") from error
    return from_document(data, str(path))


def write_track(path: str | Path, staging: Staging) -> None:
    """Write a track file, whole or not at all; `read_track` gives back the same, to the bit."""
    write_bytes(path, (json.dumps(document(staging), indent=1) + "\n").encode())


def document(staging: Staging) -> dict[str, Any]:
    """A staging as a track file's JSON."""
    return {
        "schema": SCHEMA,
        "fps": staging.fps,
        "start": staging.start,
        "count": staging.count,
        "size": [staging.width, staging.height],
        "pixel_aspect": staging.pixel_aspect,
        "prompts": [list(key) for key in staging.prompts],
        "objects": [_object(subject) for subject in staging.subjects],
    }


def from_document(data: Any, where: str = "the track") -> Staging:
    """A staging from a track file's JSON. See `read_track`."""
    found = data.get("schema") if isinstance(data, Mapping) else None
    if found != SCHEMA:
        raise InputError(f"{where} is of schema {found}, not {SCHEMA}", "write it from the host again")
    try:
        width, height = data["size"]
        return Staging(
            tuple((int(frame), str(prompt)) for frame, prompt in data.get("prompts", [])),
            tuple(_subject(entry) for entry in data["objects"]),
            int(data["start"]),
            int(data["count"]),
            float(data["fps"]),
            int(width),
            int(height),
            float(data.get("pixel_aspect", 1.0)),
        )
    except SfumatoError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"holds something odd: {error}"
        raise InputError(f"{where} {what}", "write it from the host again") from error


def _object(subject: Subject) -> dict[str, Any]:
    found: dict[str, Any] = {"name": subject.name, "phrases": list(subject.phrases)}
    found |= {"depth": _numbers(subject.depth), "strength": _numbers(subject.strength)}
    keys = subject.track.keys
    plain = all(key.way == "linear" and key.visible for key in keys)
    if len(keys) > 1 and plain and keys[-1].frame - keys[0].frame == len(keys) - 1:
        return found | {"start": keys[0].frame, "boxes": [key.box and list(key.box.edges) for key in keys]}
    rows = [{"frame": k.frame, "box": k.box and list(k.box.edges), "way": k.way, "visible": k.visible} for k in keys]
    return found | {"keys": rows}


def _subject(entry: Mapping[str, Any]) -> Subject:
    if "keys" in entry:
        keys = [
            Key(int(k["frame"]), _box(k["box"]), k.get("way", "linear"), bool(k.get("visible", True)))
            for k in entry["keys"]
        ]
        track = BoxTrack(tuple(keys))
    else:
        track = BoxTrack.baked(int(entry["start"]), [_box(edges) for edges in entry["boxes"]])
    depth, strength = _curve(entry.get("depth", 0.0)), _curve(entry.get("strength", 1.0))
    return Subject(str(entry["name"]), tuple(str(p) for p in entry["phrases"]), track, depth, strength)


def _box(edges: Sequence[float] | None) -> Box | None:
    return Box(*(float(edge) for edge in edges)) if edges is not None else None


def _numbers(curve: Curve) -> float | list[list[float]]:
    return curve.keys[0][1] if curve == Curve.level(curve.keys[0][1]) else [list(key) for key in curve.keys]


def _curve(value: Any) -> Curve:
    if isinstance(value, int | float):
        return Curve.level(float(value))
    return Curve(tuple((int(frame), float(number)) for frame, number in value))
