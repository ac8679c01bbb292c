"""Placement fine-tuning: an object that was rendered is moved, and stays itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfumato.diffusion.schedule import Node
from sfumato.errors import RequestError
from sfumato.place.box import Box
from sfumato.place.calibration import DEFAULT, Calibration
from sfumato.place.director import Nudging, Plain
from sfumato.place.masks import coverage
from sfumato.place.render import Measure, Rendered, finished, spans
from sfumato.place.request import Request
from sfumato.place.track import BoxTrack
from sfumato.place.walks import Walks
from sfumato.report import Report, silent

if TYPE_CHECKING:
    from sfumato.models.model import Model

PART = 0.5  # of the steps come before the object is moved: ours; at 0.3 some objects grow again where they were


class Moving(Plain):
    """A walk like one that is known, but for an object that is elsewhere.

    Ma, Lewis, Lahiri, Leung, Kleijn, "Directed Diffusion", AAAI 2024, placement fine-tuning. X(.) shifts, M is where
    the object is. At the level T - N: z' is X(z) in X(M) and, so that nothing of the object stays behind, in M too;
    elsewhere z. At every level after it the known walk's X(z) is laid into X(M), and the network makes the rest.

    kept: The known walk, level by level.
    mask: M, (h, w) bool.
    shift: Places down and right.
    first: N, steps that go before.
    """

    def __init__(self, kept: Mapping[Node, Tensor], mask: Tensor, shift: tuple[int, int], first: int) -> None:
        self.kept, self.mask, self.shift, self.first, self.done = kept, mask, shift, first, 0
        self.moved = shifted(mask.float(), shift, 0.0) > 0.5

    def nudge(self, latent: Tensor, node: Node) -> Nudging:
        """See `Director`."""
        yield from ()
        self.done += 1
        if self.done <= self.first:
            return self.kept[node]
        both = self.mask | self.moved if self.done == self.first + 1 else self.moved
        return self.laid(latent, node, both)

    def laid(self, latent: Tensor, node: Node, where: Tensor) -> Tensor:
        """The known walk's latent of a level, shifted, laid into another."""
        return torch.where(where.to(latent.device), shifted(self.kept[node], self.shift), latent)


def moved(
    model: Model,
    request: Request,
    name: str,
    box: Box,
    report: Report = silent,
    calibration: Calibration = DEFAULT,
    measure: Measure | None = None,
    where: Box | None = None,
) -> Rendered:
    """Render a request again with one object moved to where another box has its centre; by whole places of the latent.

    Args:
        model, report, calibration, measure: As in `sfumato.place.render.place`.
        request: What was rendered; a still, or a clip in which the object stays where it is.
        name: The object's.
        box: Where it is to be now. It keeps its size, so only the box's centre counts.
        where: Where it was found, better than the box that was asked for it; the mask M.

    Returns:
        `asked` has the object's new box; `calls` counts both walks.

    Raises:
        RequestError: as `place`; no such object, several stills at once, a box that moves, or no way to go.
    """
    staging, frames = request.staging, spans(model, request)
    subject = next((subject for subject in staging.subjects if subject.name == name), None)
    if subject is None or len(frames) != 1:
        names = ", ".join(subject.name for subject in staging.subjects)
        raise RequestError(
            f"no object “{name}” in one still or clip can be moved", f"objects: {names}; give one frame, or one clip"
        )
    if len({staging.seen(subject, frame) for frame in range(frames[0][0], frames[0][1] + 1)}) > 1:
        raise RequestError(f"“{name}” goes somewhere in the clip", "change its track instead, and render again")
    before = where or staging.seen(subject, frames[0][0])
    if before is None:
        raise RequestError(f"“{name}” is not to be seen in frame {frames[0][0]}", "move what is in the picture")
    known = Walks(model, [request], calibration, frames, keep=True)
    known.run(report)
    row = known.rows[0]
    _, height, width = row.size
    (x0, y0), (x1, y1) = before.centre, box.centre
    shift = round((y1 - y0) * height), round((x1 - x0) * width)
    if shift == (0, 0):
        raise RequestError(f"“{name}” is there already, to a place of the model's", "move it farther")
    again = Walks(model, [replace(request, method="none")], calibration, frames)
    director = Moving(row.kept, coverage(before, height, width) > 0, shift, max(1, round(PART * request.steps)))
    again.rows[0].director = director
    again.run(report)
    latent = director.laid(again.latents[0], known.grid.nodes[0], director.moved)
    dx, dy = shift[1] / width, shift[0] / height
    new = Box(before.left + dx, before.top + dy, before.right + dx, before.bottom + dy)
    changed = replace(subject, track=BoxTrack.still(new))
    subjects = tuple(changed if one.name == name else one for one in staging.subjects)
    told = replace(request, staging=replace(staging, subjects=subjects))
    return finished(model, told, latent, row.calls + again.rows[0].calls, measure)


def shifted(latent: Tensor, shift: tuple[int, int], beyond: float | None = None) -> Tensor:
    """(..., h, w) moved by places down and right; from beyond the edge comes `beyond`, or the edge again."""
    down, right = shift
    height, width = latent.shape[-2:]
    rows, columns = torch.arange(height) - down, torch.arange(width) - right
    found = latent[..., rows.clamp(0, height - 1)[:, None], columns.clamp(0, width - 1)]
    if beyond is None:
        return found
    inside = ((rows >= 0) & (rows < height))[:, None] & (columns >= 0) & (columns < width)
    return torch.where(inside, found, torch.as_tensor(beyond, dtype=latent.dtype))
