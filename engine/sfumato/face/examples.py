"""What a solver's networks are shown: approved frames again and again, made-up faces, each as a day would track it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.face.binding import Binding
from sfumato.face.curves import Curves
from sfumato.face.denoise import NORMAL, Denoiser, known_faces
from sfumato.face.markers import Markers
from sfumato.face.range_of_motion import NOISE, PLACED, poses, shown, tracked
from sfumato.face.rig import Rig

FINEST = 0.01  # centimetres an axis: no markers are taken to be better


@dataclass(frozen=True)
class Examples:
    """positions: (N, M, 3) as tracked. there: (N, M) whether seen. values: (N, K) controls. counts: (N,)."""

    positions: Tensor
    there: Tensor
    values: Tensor
    counts: Tensor


def approved_frames(rig: Rig, binding: Binding, approved: Sequence[tuple[Markers, Curves]]) -> tuple[Tensor, Tensor]:
    """Markers (N, M, 3) and controls (N, K) of the frames that have both.

    Raises:
        RequestError: no frame has both, or nothing in the curves moves.
    """
    markers, values = [], []
    for take, curves in approved:
        row = {round(frame, 4): i for i, frame in enumerate(take.frames)}
        pairs = [(row[round(f, 4)], i) for i, f in enumerate(curves.frames) if round(f, 4) in row]
        if pairs:
            mine, theirs = (torch.tensor(side) for side in zip(*pairs, strict=True))
            markers.append(take.only(binding.names, unseen=True).positions[mine])
            values.append(curves.only(rig.controls).values[theirs])
    if not markers:
        raise RequestError(
            f"none of the {len(approved)} approved takes has a frame with both markers and curves",
            "give folders of solves, or takes and curves on the same frames",
        )
    found = torch.cat(values)
    if not found.any():
        raise RequestError(
            "the approved curves hold nothing but zeros", "approve frames on which the face does something"
        )
    return torch.cat(markers), found


def own_places(rig: Rig, binding: Binding, seen: Tensor, known: Tensor) -> tuple[Tensor, float]:
    """Where markers lie beside the rig's (M, 3), the median over approved frames, 0 for one never seen; and how far
    samples are from there, cm an axis, the median."""
    left = seen - binding.at(rig, known)
    offsets = left.nanmedian(0).values.nan_to_num(0.0)
    off = float(((left - offsets).square().sum(-1).nanmedian() / NORMAL).nan_to_num(NOISE**2).sqrt())
    return offsets, max(off, FINEST)


def examples(
    rig: Rig, binding: Binding, seen: Tensor, known: Tensor, offsets: Tensor, made_up: tuple[int, float], repeats: int,
    draw: torch.Generator
) -> Examples:  # fmt: skip
    """Approved frames `repeats` times with new noise, drift and losses, and made-up ones: how many, and their share."""
    count, share = made_up
    values = poses(rig, known, count, draw)
    made, made_seen = shown(rig, binding, values, offsets, draw)
    again = seen.repeat(repeats, 1, 1)
    filled = torch.where(again.isfinite(), again, binding.at(rig, known).repeat(repeats, 1, 1) + offsets)
    real, real_seen = tracked(filled, draw)
    real_seen = real_seen & again.isfinite().all(-1)
    counts = [torch.full((len(made),), share / max(len(made), 1)), torch.full((len(real),), (1 - share) / len(real))]
    return Examples(
        torch.cat([made, real]),
        torch.cat([made_seen, real_seen]),
        torch.cat([values, known.repeat(repeats, 1)]),
        torch.cat(counts),
    )


def denoiser_of(rig: Rig, binding: Binding, shown_with: Examples, offsets: Tensor, noise: float) -> Denoiser:
    """Of the faces in these examples; noise: of the approved frames' samples, an axis."""
    still = binding.at(rig, torch.zeros(len(rig.controls), dtype=torch.float64))
    moved = torch.cat([binding.at(rig, some) for some in torch.split(shown_with.values, 500)]) - still
    return known_faces(still + offsets, moved, shown_with.counts, (noise**2 + PLACED**2) ** 0.5)
