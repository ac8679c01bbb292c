"""Placements for other back-ends: control video, point tracks, rows."""

from typing import Any

import torch
from torch import Tensor

from sfumato.place.box import Box
from sfumato.place.masks import coverage
from sfumato.place.staging import Staging


def control_frame(staging: Staging, frame: int, height: int, width: int) -> Tensor:
    """A frame of a control video: objects' boxes white on black (VACE and its kind want it this way round).

    Returns:
        (1, height, width) float32, 0..1; an edge within a pixel covers it in part.
    """
    picture = torch.zeros(1, height, width)
    for subject in staging.subjects:
        box = staging.seen(subject, frame)
        if box:
            picture = torch.maximum(picture, coverage(box, height, width)[None])
    return picture


def point_tracks(staging: Staging) -> list[dict[str, Any]]:
    """A track of centres and one of each corner for every object, in the host's pixels, y down.

    Returns:
        {"name", "frames": [...], "centre": [[x, y] or None, ...], "corners": [[[x, y] x 4] or None, ...]}, corners from
        top left clockwise; None where the object is not to be seen.
    """
    frames = list(range(staging.start, staging.last + 1))
    tracks = []
    for subject in staging.subjects:
        boxes = [staging.seen(subject, frame) for frame in frames]
        centres = [_scaled(staging, *box.centre) if box else None for box in boxes]
        corners = [_corners(staging, box) if box else None for box in boxes]
        tracks.append({"name": subject.name, "frames": frames, "centre": centres, "corners": corners})
    return tracks


def flux_rows(staging: Staging, frame: int) -> list[dict[str, Any]]:
    """FLUX's rows for a frame: {"id", "desc", "tgt_bbox": [y_min, x_min, y_max, x_max]}, cut to the window."""
    rows = []
    for number, subject in enumerate(staging.subjects):
        box = staging.seen(subject, frame)
        inside = box.inside() if box else None
        if inside:
            edges = [inside.top, inside.left, inside.bottom, inside.right]
            rows.append({"id": number, "desc": subject.called(staging.worded(frame)[0]), "tgt_bbox": edges})
    return rows


def _corners(staging: Staging, box: Box) -> list[list[float]]:
    corners = ((box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom))
    return [_scaled(staging, x, y) for x, y in corners]


def _scaled(staging: Staging, x: float, y: float) -> list[float]:
    return [x * staging.width, y * staging.height]
