"""A take on another timeline: its samples keep their seconds, and may be brought to whole frames."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from sfumato.errors import InputError
from sfumato.face.markers import Markers


def on_timeline(markers: Markers, start: float, fps: float) -> Markers:
    """The same samples on a timeline.

    start: Frame on which the first sample lies; may be a fraction. fps: frames a second of the timeline.
    """
    return replace(markers, start=start, step=fps / markers.fps)


def on_whole_frames(markers: Markers, how: str) -> Markers:
    """One sample for each whole frame of the timeline that lies within the take.

    Args:
        how: "filter": a mean of the samples less than a frame away, weighted by (1 + cos(pi distance)) / 2, so that
            what is faster than the timeline can show is smoothed and not folded back; "nearest": the nearest sample.

    Raises:
        InputError: the take is shorter than from one whole frame to the next.
    """
    if markers.step == 1 and float(markers.start).is_integer():
        return markers
    frames = torch.tensor(markers.frames, dtype=torch.float64)
    first, last = math.ceil(float(frames[0]) - 1e-6), math.floor(float(frames[-1]) + 1e-6)
    if last < first:
        what = f"the take lies between frames {first - 1} and {first} of the timeline and has no whole one"
        raise InputError(what, "keep its samples, or look at --fps and --timeline-fps")
    whole = torch.arange(first, last + 1, dtype=torch.float64)
    away = (whole[:, None] - frames[None]).abs()
    positions = markers.positions[away.argmin(1)] if how == "nearest" else _mean(markers.positions, away)
    return replace(markers, positions=positions, start=float(first), step=1.0, fps=markers.timeline_fps)


def _mean(positions: Tensor, away: Tensor) -> Tensor:
    """Weighted means over time (W, M, 3); NaN where less than half the weight was seen."""
    reach = max(1.0, float(away.amin(1).max()) + 1e-9)
    weight = torch.where(away < reach, (1 + torch.cos(math.pi * away / reach)) / 2, torch.zeros_like(away))
    seen = positions.isfinite().all(-1).double()
    known = weight @ seen
    total = torch.einsum("ws,smc->wmc", weight, positions.nan_to_num(0.0))
    enough = known >= 0.5 * weight.sum(1, keepdim=True)
    return torch.where(enough[..., None], total / known.clamp(min=1e-12)[..., None], torch.nan)
