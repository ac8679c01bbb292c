"""Which frames a track has, and which of them a clip of fixed length takes. A host asks this of our own files too."""

from __future__ import annotations

import json

from sfumato_plugins.errors import JobError, Problem, wrong


def range_of(track: str) -> tuple[int, int]:
    """First and last frame of a track file, by the standard library; of a recipe, with the engine.

    Raises:
        JobError: it is not there or no track (exit 3), or a recipe where there is no engine (exit 2).
    """
    if track.lower().endswith((".yaml", ".yml")):
        return _recipe(track)
    try:
        with open(track, encoding="utf-8") as file:
            data = json.load(file)
        start, count = int(data["start"]), int(data["count"])
        if count < 1:
            raise ValueError("count")
        return start, start + count - 1
    except OSError as error:
        what = f"the track {track} cannot be read: {error.strerror}"
        raise JobError(Problem("inputs.track", what, "write it from the host again", 3)) from None
    except (ValueError, KeyError, TypeError) as error:
        kind = "is no JSON" if isinstance(error, json.JSONDecodeError) else "does not say its start and count"
        hint = "it has schema sfumato.track/1; write it from the host again"
        raise JobError(Problem("inputs.track", f"the track {track} {kind}", hint, 3)) from None


def _recipe(track: str) -> tuple[int, int]:
    try:
        from sfumato_plugins.placing.staged import read_staging

        staging = read_staging(track)
    except ImportError:
        raise wrong("frames", "this program cannot read a recipe's frames", "name the frames, as in 0-24") from None
    return staging.start, staging.last


def spread(first: int, last: int, count: int) -> tuple[int, ...]:
    """Frames from first to last; of more than `count` (above 1) so many, evenly, with both ends.

    >>> spread(0, 24, 8)
    (0, 3, 7, 10, 14, 17, 21, 24)
    """
    there = last - first + 1
    if count == 1 or there <= count:
        return tuple(range(first, last + 1))
    return tuple(first + (i * (there - 1) + (count - 1) // 2) // (count - 1) for i in range(count))
