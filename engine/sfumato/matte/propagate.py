"""Trimaps between keyframes: carried along the plate's motion from both sides, unknown wherever that is not safe."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from sfumato.errors import RequestError
from sfumato.matte.displacement import estimate_motion, follow
from sfumato.matte.distance import distance_to
from sfumato.matte.trimap import BACKGROUND, FOREGROUND, UNKNOWN, same_size
from sfumato.shapes import expect

DEEPEST = 40  # pixels; a known region's edge is carried along this far inside, so the band can widen by as much
SLACK = 1.0  # pixels the unknown band always widens by, on both sides
PER_PIXEL = 0.1  # and this much for each pixel of motion between the key and the frame
SPREAD = 9  # pixels over which the least certain motion counts


@dataclass(frozen=True)
class Carried:
    """A keyframe's trimap as seen from another frame, each (1, H, W).

    foreground, background: Depth in pixels inside the carried region; 0 outside it.
    widen: Pixels by which its edge may be wrong.
    seen: Where the key shows this place at all (it may lie outside the key's frame).
    """

    foreground: Tensor
    background: Tensor
    widen: Tensor
    seen: Tensor


def propagate(
    keys: Mapping[int, Tensor], load_plate: Callable[[int], Tensor], frames: Iterable[int]
) -> Iterator[tuple[int, Tensor]]:
    """Trimaps for all `frames` from the painted ones.

    A key is returned as painted. Between two keys each is carried to the frame along the motion of the plate, and a
    pixel is known only if both say the same about it, deeper inside than their edges may be wrong: 1 px, 0.1 px per
    pixel of motion, and the distance by which the motion there and back misses. Where one key does not show a
    place, the other decides alone. Before the first key and after the last the nearest key decides alone, twice as
    carefully.
    A frame depends on its two keys and the three plates only, so any cut of the shot gives the same trimaps.

    Args:
        keys: Frame number -> trimap (1, H, W) of exactly 0, 0.5, 1.
        load_plate: Frame number -> plate (C, H, W), finite, linear or coded.
        frames: Frame numbers, any order; ascending loads each key's plate once.

    Yields:
        (frame, trimap (1, H, W) float32 of exactly 0, 0.5, 1).

    Raises:
        RequestError: no keys, or a plate of another size than the trimaps.
    """
    if not keys:
        raise RequestError("no trimap was given for any frame", "paint at least one frame of the shot")
    painted = sorted(keys)
    plates: dict[int, Tensor] = {}
    for frame in frames:
        if frame in keys:
            yield frame, keys[frame]
            continue
        right = bisect_left(painted, frame)
        around = [painted[i] for i in (right - 1, right) if 0 <= i < len(painted)]
        plates = {key: plates[key] if key in plates else load_plate(key) for key in around}
        plate = load_plate(frame)
        yield frame, _agreed([carry(keys[key], plates[key], plate) for key in around])


def carry(trimap: Tensor, key_plate: Tensor, plate: Tensor) -> Carried:
    """Look a key's trimap (1, H, W) up from another frame, along the motion between the two plates (C, H, W)."""
    expect("trimap", trimap, "C H W", C=1)
    same_size("plate", plate, "trimap", trimap)
    same_size("plate of the keyframe", key_plate, "trimap", trimap)
    there, back = estimate_motion(plate, key_plate), estimate_motion(key_plate, plate)
    depths = torch.stack([distance_to(trimap[0] != value, DEEPEST) for value in (FOREGROUND, BACKGROUND)])
    depths, _ = follow(depths, there)
    back_here, _ = follow(back, there)
    wrong = (there + back_here).norm(dim=0, keepdim=True)
    widen = SLACK + PER_PIXEL * there.norm(dim=0, keepdim=True) + wrong
    widen = max_pool2d(widen[None], SPREAD, 1, SPREAD // 2)[0]
    return Carried(depths[:1], depths[1:], widen, _lands_inside(there))


def _lands_inside(motion: Tensor) -> Tensor:
    """Where p + motion(p) is within half a pixel of the frame, (1, H, W) bool."""
    _, height, width = motion.shape
    x = torch.arange(width) + motion[0]
    y = torch.arange(height)[:, None] + motion[1]
    return ((x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5))[None]


def _agreed(views: list[Carried]) -> Tensor:
    """Known where every key that sees a pixel says the same; the rest is unknown."""
    alone = 2.0 if len(views) == 1 else 1.0
    anybody = torch.stack([view.seen for view in views]).any(0)
    trimap = torch.full_like(views[0].widen, UNKNOWN)
    for value, depths in (
        (FOREGROUND, [view.foreground for view in views]),
        (BACKGROUND, [view.background for view in views]),
    ):
        claims = [
            (depth > (alone * view.widen).clamp(max=DEEPEST - 1)) | ~view.seen
            for depth, view in zip(depths, views, strict=True)
        ]
        trimap[torch.stack(claims).all(0) & anybody] = value
    return trimap
