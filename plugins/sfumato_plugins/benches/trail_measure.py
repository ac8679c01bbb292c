"""What the bench of shots measures in one: places frame by frame, and how they go on from each to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sfumato_plugins.benches.place_measure import mean, measured, summary

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.place.box import Box
    from sfumato_plugins.benches.trail_cases import Shot

Row = dict[str, Any]
LAGS = (-2, -1, 0, 1, 2)  # frames
LEAST = 0.05  # of the frame: of a shorter way nobody can say whether it is late


def shot_row(pictures: Tensor, shot: Shot) -> Row:
    """Of one shot, (F, 3, H, W), 0..1.

    Returns:
        What `measured` finds, over all frames; `centroid`, mean distance of centres in diagonals; `lag` in frames,
        above 0 where things come late; `jerk`, mean size of the third difference of a centre, in diagonals; `grows`,
        correlation of areas found and asked for, where the box grows; `turned`, where the words do, whether the first
        frame shows what they say at first and the last what they say at last.
    """
    from sfumato.place.detect import measure

    frames, found = [], []
    for frame, picture in enumerate(pictures):
        words = [_word(phrases, frame, shot.frames) for phrases in shot.phrases]
        frames.append(measured(picture, words, shot.boxes[frame], shot.ground))
        found.append(measure(picture, words))
    whole: Row = {"ious": [iou for row in frames for iou in row["ious"]]}
    whole |= {name: sum(row[name] for row in frames) for name in ("present", "bound")}
    whole |= {name: mean(row[name] for row in frames) for name in ("background", "sharpness")}
    whole["placed"] = sum(whole["ious"]) >= 0.5 * len(whole["ious"])
    tracks = [([row[n] for row in shot.boxes], [row[n] for row in found]) for n in range(len(shot.phrases))]
    whole["centroid"] = mean(mean(_apart(asked, got, 0)) for asked, got in tracks)
    whole["lag"] = mean(_lag(asked, got) for asked, got in tracks)
    whole["jerk"] = mean(jerk(got) for _, got in tracks)
    whole["grows"] = _correlation(*tracks[0]) if shot.kind == "grow" else None
    whole["turned"] = _turned(pictures, shot) if shot.kind == "turning" else None
    return whole


def shots_summary(rows: Sequence[Row]) -> Row:
    """Means over shots."""
    found = summary(rows)
    found["shots"] = found.pop("pictures")
    lag = mean(row["lag"] for row in rows)
    more = {name: mean(row[name] for row in rows) for name in ("centroid", "jerk", "grows", "turned")}
    return found | more | {"lag": None if lag is None else abs(lag)}


def jerk(track: Sequence[Box | None]) -> float | None:
    """The mean size of a centre's third difference, in diagonals; None where it is never seen four times on end."""
    sizes = []
    for first in range(len(track) - 3):
        four = [box.centre for box in track[first : first + 4] if box]
        if len(four) == 4:
            sizes.append(math.hypot(*(d - 3 * c + 3 * b - a for a, b, c, d in zip(*four))) / math.sqrt(2))
    return mean(sizes)


def _word(phrases: Sequence[str], frame: int, frames: int) -> str:
    """What an object is called by the prompt that a frame shows most of."""
    return phrases[-1] if len(phrases) > 1 and frame / (frames - 1) > 0.5 else phrases[0]


def _apart(asked: Sequence[Box | None], found: Sequence[Box | None], lag: int) -> list[float]:
    """Distances of centres, what is found `lag` frames later."""
    pairs = zip(asked[max(-lag, 0) :], found[max(lag, 0) :])
    return [one.distance(other) for one, other in pairs if one and other]


def _lag(asked: Sequence[Box | None], found: Sequence[Box | None]) -> float | None:
    """The lag at which centres are nearest, by a parabola through the best of `LAGS` and its neighbours; None for what
    stays where it is."""
    centres = {box.centre for box in asked if box}
    if max((math.dist(a, b) for a in centres for b in centres), default=0) < LEAST:
        return None
    apart = {lag: mean(d * d for d in _apart(asked, found, lag)) for lag in LAGS}
    known = {lag: error for lag, error in apart.items() if error is not None}
    if 0 not in known:
        return None
    best = min(known, key=lambda lag: (known[lag], abs(lag)))
    if best - 1 not in known or best + 1 not in known:
        return float(best)
    before, here, after = (known[best + step] for step in (-1, 0, 1))
    curve = before - 2 * here + after
    return best + (0.5 * (before - after) / curve if curve > 0 else 0.0)


def _correlation(asked: Sequence[Box | None], found: Sequence[Box | None]) -> float | None:
    pairs = [(one.area, other.area) for one, other in zip(asked, found) if one and other]
    if len(pairs) < 3:
        return None
    x, y = ([value - sum(side) / len(side) for value in side] for side in zip(*pairs))
    size = math.sqrt(sum(a * a for a in x) * sum(b * b for b in y))
    return sum(a * b for a, b in zip(x, y)) / size if size else None


def _turned(pictures: Tensor, shot: Shot) -> float:
    from sfumato.place.detect import measure

    before, after = shot.phrases[0]
    first, last = (measure(pictures[index], [before, after]) for index in (0, -1))
    return float(first[0] is not None and last[1] is not None and last[0] is None)
