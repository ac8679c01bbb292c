"""TrailBlazer's attention edits, as published and as coded: spatial, temporal, keyframes and compositing.

Ma, Lewis, Kleijn, "TrailBlazer: Trajectory Control for Diffusion-Based Video Generation", SIGGRAPH Asia 2024, arXiv
2401.00896v2, and the released program. The two differ; each is here under its own name.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.place.box import Box
from sfumato.place.directed_diffusion import Span

STRONG, WEAK, TRAILING, PART = 0.1, 0.001, 15, 5 / 40  # c_s, c_w, |T| and the part of steps: the paper's


def published_places(box: Box, height: int, width: int) -> Span:
    """A box in whole places as published: sides rounded up, b_w = ceil((right - left) w), and b_h likewise.

    # Where the box begins is not published: here at its left and top edge cut down to a whole place, and moved in if it
    # would not fit.
    """
    inside = box.inside()
    if inside is None:
        return 0, 0, 0, 0
    wide = min(math.ceil(inside.width * width - 1e-6), width)
    high = min(math.ceil(inside.height * height - 1e-6), height)
    left, top = min(int(inside.left * width + 1e-6), width - wide), min(int(inside.top * height + 1e-6), height - high)
    return left, top, left + wide, top + high


def coded_places(box: Box, height: int, width: int) -> Span:
    """A box in whole places as coded: 1 % in on every side, then cut down. Small boxes have none on coarse grids."""
    left, right = int((box.left + 0.01) * width), int((box.right - 0.01) * width)
    top, bottom = int((box.top + 0.01) * height), int((box.bottom - 0.01) * height)
    clamped = [min(max(n, 0), most) for n, most in ((left, width), (top, height), (right, width), (bottom, height))]
    return clamped[0], clamped[1], max(clamped[2], clamped[0]), max(clamped[3], clamped[1])


def published_window(height: int, width: int) -> Tensor:
    """g over a box of so many places, published: sigma half a side, 1 at the box's centre. (height, width) float32."""
    y, x = torch.arange(height)[:, None] - (height - 1) / 2, torch.arange(width) - (width - 1) / 2
    return torch.exp(-(y**2 / (2 * (height / 2) ** 2) + x**2 / (2 * (width / 2) ** 2))) if height and width else y * x


def coded_window(height: int, width: int) -> Tensor:
    """The same as coded: sigma a third of a side, about half a side cut to a whole number, y from 0 to `height` in
    `height` even steps, both ends among them, and divided by its largest value."""
    if not height or not width:
        return torch.zeros(height, width)
    y, x = torch.linspace(0, height, height)[:, None], torch.linspace(0, width, width)
    power = (y - height // 2) ** 2 / (2 * (height / 3) ** 2) + (x - width // 2) ** 2 / (2 * (width / 3) ** 2)
    found = torch.exp(-power)
    return found / found.max()


def spatial_published(
    maps: Tensor, boxes: Sequence[Box | None], slots: Sequence[int], strong: float = STRONG, weak: float = WEAK
) -> Tensor:
    """Equations (1) and (2): A <- A W + S; S = c_s g in the box and 0 outside, W = 1 in the box and c_w outside.

    Args:
        maps: (F, ..., height, width, slots) float32, one frame each.
        boxes: Of each frame; a frame without one is left alone.
        slots: Of the words and the trailing ones, I and T.
        strong, weak: c_s and c_w.

    Returns:
        Edited maps, a new tensor; rows do not sum to 1.
    """
    out, chosen = maps.clone(), torch.tensor(list(slots), device=maps.device)
    height, width = maps.shape[-3:-1]
    for frame, box in enumerate(boxes):
        if box is None:
            continue
        left, top, right, bottom = published_places(box, height, width)
        inside, added = torch.full((height, width), weak), torch.zeros(height, width)
        inside[top:bottom, left:right] = 1
        added[top:bottom, left:right] = strong * published_window(bottom - top, right - left)
        factor, added = (x.to(maps.device)[..., None] for x in (inside, added))
        out[frame][..., chosen] = maps[frame][..., chosen] * factor + added
    return out


def spatial_coded(
    maps: Tensor, boxes: Sequence[Box | None], slots: Sequence[int], strong: float = STRONG, weak: float = WEAK
) -> Tensor:
    """The same as coded: what is added is scaled by the largest value of the whole tensor, all heads, frames and slots,
    so frames edited together differ from the same frames edited apart; the box is cut down; and |A| is taken.

    # Differs from the released program: float32, where its windows are in half precision; a frame without a box is left
    # alone, where it knows none.
    """
    out, chosen, top_value = maps.clone(), torch.tensor(list(slots), device=maps.device), maps.max()
    height, width = maps.shape[-3:-1]
    for frame, box in enumerate(boxes):
        if box is None:
            continue
        left, top, right, bottom = coded_places(box, height, width)
        added = torch.zeros(height, width, device=maps.device)
        added[top:bottom, left:right] = coded_window(bottom - top, right - left).to(maps.device) * top_value
        factor = torch.where(added == 0, weak, 1.0)
        out[frame][..., chosen] = maps[frame][..., chosen] * factor[..., None] + strong * added[..., None]
    return out.abs()


def temporal_published(maps: Tensor, boxes: Sequence[Box | None], strong: float = STRONG, weak: float = WEAK) -> Tensor:
    """Equation (3): A(i, j) <- A(i, j) W + S; S = c_s (1 - 2 d) g in the box, d = |i - j| / F; W as in (2).

    # The equation names one box for a pair of frames: here it is the asking frame's, i.

    Args:
        maps: (..., height, width, F, F) float32: how frame i of a place looks at frame j of it.
        boxes: Of each frame; pairs of a frame without one are left alone.
        strong, weak: c_s and c_w.
    """
    out, count = maps.clone(), len(boxes)
    height, width = maps.shape[-4:-2]
    for i, box in enumerate(boxes):
        if box is None:
            continue
        left, top, right, bottom = published_places(box, height, width)
        window = published_window(bottom - top, right - left).to(maps.device)
        for j in range(count):
            factor, added = torch.full((height, width), weak, device=maps.device), torch.zeros(height, width)
            factor[top:bottom, left:right] = 1
            added = added.to(maps.device)
            added[top:bottom, left:right] = strong * (1 - 2 * abs(i - j) / count) * window
            out[..., i, j] = maps[..., i, j] * factor + added
    return out


def temporal_coded(maps: Tensor, boxes: Sequence[Box], strong: float = STRONG, weak: float = WEAK) -> Tensor:
    """The same as coded: for a pair, frame i's window is laid down, then frame j's over it; each is

        (g - max g) d + g (1 - d),    g scaled by the largest value of the whole tensor, d = |i - j| / F,

    which is negative far from the diagonal; where nothing was laid down A is weakened; and |A| is taken.

    # Differs from the released program: no half precision, and rows and columns are not exchanged by its Fortran order,
    # which is right for square frames alone. It runs this for a batch of 65536 only, and on the half without a prompt.
    """
    top_value, count = maps.max(), len(boxes)
    height, width = maps.shape[-4:-2]
    laid = torch.zeros(height, width, count, count, device=maps.device)
    spans = [coded_places(box, height, width) for box in boxes]
    windows = [coded_window(b - t, r - l).to(maps.device) * top_value for l, t, r, b in spans]  # noqa: E741
    for i, j in itertools.product(range(count), repeat=2):
        d = abs(i - j) / count
        for k in (i, j):
            left, top, right, bottom = spans[k]
            if windows[k].numel():
                laid[top:bottom, left:right, i, j] = (windows[k] - windows[k].max()) * d + windows[k] * (1 - d)
    return (maps * torch.where(laid == 0, weak, 1.0) + strong * laid).abs()


def keyframes_coded(keys: Sequence[tuple[int, Box]]) -> list[Box]:
    """Boxes of frames 0 to the last key's, as coded: after a key in between, its box is repeated for a frame.

    What old runs did, for whoever has to match one: no method here renders so.

    Raises:
        RequestError: two keys one frame apart, where the released program divides by zero.
    """
    found: list[Box] = []
    for number, ((a, start), (b, end)) in enumerate(itertools.pairwise(keys)):
        first = a if number == 0 else a + 1
        if b == first:
            raise RequestError(f"keys {a} and {b} are one frame apart", "this method as coded cannot; use trailblazer")
        found += [start.toward(end, i / (b - first)) for i in range(b - first + 1)]
    return found


def composed_published(
    latent: Tensor, subjects: Sequence[tuple[Tensor, Sequence[Box | None]]], step: int, steps: int
) -> Tensor:
    """Equation (4): z <- (1/R) sum_r [w z + (1 - w) z_r] in the box of r, and z outside; w = step / steps.

    Args:
        latent: (1, C, F, h, w), z after a step.
        subjects: z_r of the same level, from a run of subject r alone, and its box in each frame.
        step, steps: How many steps were composed before this, of how many: w runs from 0 towards 1.
    """
    weight, parts = step / steps, []
    for alone, boxes in subjects:
        part = latent.clone()
        for frame, box in enumerate(boxes):
            if box is not None:
                left, top, right, bottom = published_places(box, *latent.shape[-2:])
                where = (..., frame, slice(top, bottom), slice(left, right))
                part[where] = weight * latent[where] + (1 - weight) * alone[where]
        parts.append(part)
    return torch.stack(parts).mean(0)


def composed_coded(latent: Tensor, subjects: Sequence[tuple[Tensor, Sequence[Box]]], step: int, steps: int) -> Tensor:
    """The same as coded: later subjects lie over earlier ones where boxes meet; boxes are measured with the width for
    both axes, and a place larger at left and top. For whoever has to match an old run: no method here renders so."""
    weight, out = step / steps, latent.clone()
    width = latent.shape[-1]
    for alone, boxes in subjects:
        for frame, box in enumerate(boxes):
            left, top, right, bottom = coded_places(box, width, width)
            rows, columns = slice(max(top - 1, 0), bottom), slice(max(left - 1, 0), right)
            where = (..., frame, rows, columns)
            out[where] = weight * latent[where] + (1 - weight) * alone[where]
    return out
