"""Gaps filled, wild samples and swapped labels found: each marker is expected to go with its neighbours."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.face.labels import put_back
from sfumato.face.markers import Markers
from sfumato.report import Report, Step, silent

NEIGHBOURS = 6
AROUND = 3  # frames on both sides whose median says what is usual now
WILD = 0.3  # centimetres from what is expected, at least, to be wild; and so many times the marker's own spread:
TIMES = 6.0
FILLED = 0.05  # how much a filled-in sample is believed


@dataclass(frozen=True)
class Cleaned:
    """markers: Every sample finite where the marker is seen in any frame. confidence: (F, M) 0..1; 1 as tracked.

    wild: (F, M) bool, samples thrown away. swapped: (frame, marker, marker) label pairs that were put right.
    """

    markers: Markers
    confidence: Tensor
    wild: Tensor
    swapped: tuple[tuple[float, str, str], ...]


def clean(markers: Markers, rest: Tensor, report: Report = silent) -> Cleaned:
    """Clean a stabilised take.

    A marker's displacement is expected to be the mean of its neighbours' plus how it usually differs from that, the
    median over some frames. Samples far from it are wild, or belong to another marker that expects them; gaps get the
    neighbours' displacement plus the difference at the gap's ends, straight between.

    Args:
        rest: (M, 3), the markers on the neutral face, in the order of the take's.
    """
    near = torch.cdist(rest, rest).fill_diagonal_(torch.inf).topk(min(NEIGHBOURS, len(rest) - 1), largest=False).indices
    positions = markers.positions.clone()
    report(Step("labels", 0, 3))
    positions, rows = put_back(positions, rest)
    swapped = tuple((markers.frames[f], markers.names[a], markers.names[b]) for f, a, b in rows.tolist())
    report(Step("outliers", 1, 3))
    apart = (positions - _expected(positions, rest, near)).norm(dim=-1)
    limit = _limit(apart)
    spike = (positions - _median(positions, 2)).norm(dim=-1)  # a jaw that drops fast leaves its neighbours, but goes on
    wild = (apart > limit) & (spike > 0.5 * limit)
    positions[wild] = torch.nan
    report(Step("gaps", 2, 3))
    seen = positions.isfinite().all(-1)
    filled = _filled(positions, rest, near)
    report(Step("gaps", 3, 3))
    confidence = torch.where(seen, 1.0, FILLED).double() * filled.isfinite().all(-1)
    return Cleaned(replace(markers, positions=filled), confidence, wild, swapped)


def _together(displacement: Tensor, near: Tensor) -> Tensor:
    """The mean displacement of each marker's neighbours (F, M, 3); NaN where none is seen."""
    return displacement[:, near].nanmean(2)


def _expected(positions: Tensor, rest: Tensor, near: Tensor) -> Tensor:
    """Where each marker is expected, (F, M, 3)."""
    displacement = positions - rest
    with_others = _together(displacement, near)
    return rest + with_others + _median(displacement - with_others)


def _median(values: Tensor, around: int = AROUND) -> Tensor:
    """The median over a few frames on both sides, (F, M, 3)."""
    pad = torch.full((around, *values.shape[1:]), torch.nan, dtype=values.dtype)
    padded = torch.cat([pad, values, pad])
    return padded.unfold(0, 2 * around + 1, 1).nanmedian(-1).values


def _limit(apart: Tensor) -> Tensor:
    """(1, M): beyond it a sample is wild."""
    return (TIMES * apart.nanmedian(0, keepdim=True).values).nan_to_num(0.0).clamp(min=WILD)


def _filled(positions: Tensor, rest: Tensor, near: Tensor) -> Tensor:
    """Gaps filled; a marker that is never seen stays unseen."""
    displacement = positions - rest
    with_others = _together(displacement, near)
    with_others = torch.where(with_others.isfinite(), with_others, torch.zeros_like(with_others))
    differs = _between(displacement - with_others)
    whole = rest + with_others + differs
    return torch.where(positions.isfinite(), positions, whole)


def _between(values: Tensor) -> Tensor:
    """NaN replaced by straight lines over time between what is known, and by the nearest at the ends; (F, M, 3)."""
    frames = torch.arange(len(values))
    found = values.clone()
    for marker in torch.nonzero((~values.isfinite().all(-1)).any(0))[:, 0].tolist():
        known = torch.nonzero(values[:, marker].isfinite().all(-1))[:, 0]
        if not len(known):
            continue
        after = torch.searchsorted(known, frames).clamp(max=len(known) - 1)
        before = (after - 1).clamp(min=0)
        a, b = known[before], known[after]
        share = ((frames - a) / (b - a).clamp(min=1)).clamp(0, 1)[:, None].double()
        line = values[a, marker] * (1 - share) + values[b, marker] * share
        gap = ~values[:, marker].isfinite().all(-1)
        found[gap, marker] = line[gap]
    return found
