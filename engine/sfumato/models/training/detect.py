"""What is in a picture of the scenes' world: colours by hue, shapes by outline; no network to flatter another."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import interpolate

from sfumato.models.training.render import outline
from sfumato.models.training.scenes import COLOURS, GROUNDS, SHAPES

SATURATED = 0.58  # grounds stay below
LEAST = 0.012  # of the frame, for a thing
SIDE = 128  # pixels: outlines of small things need finer ones than they have


@dataclass(frozen=True)
class Found:
    """A thing seen.

    box: left, top, right, bottom, 0..1 of the frame. area: 0..1 of the frame. mask: (SIDE, ...) bool.
    """

    colour: str
    shape: str
    box: tuple[float, float, float, float]
    area: float
    mask: Tensor


def find_things(picture: Tensor) -> list[Found]:
    """The things in a picture, largest first.

    Args:
        picture: (3, H, W), display-referred 0..1; 24 pixels and more a side.
    """
    size = (SIDE, round(SIDE * picture.shape[2] / picture.shape[1]))
    hue, saturation, value = _hsv(interpolate(picture[None], size, mode="bicubic", antialias=True)[0])
    names = tuple(COLOURS)
    hues = torch.tensor([float(_hsv(torch.tensor(COLOURS[n]).view(3, 1, 1))[0]) for n in names])
    nearest = ((hue.unsqueeze(-1) - hues + 0.5) % 1 - 0.5).abs().argmin(-1)
    solid = (saturation > SATURATED) & (value > 0.12)
    found = []
    for number, name in enumerate(names):
        found += _parts(name, (solid & (nearest == number)).numpy())
    return sorted(found, key=lambda f: -f.area)


def find_ground(picture: Tensor) -> str:
    """The ground whose colour the dull part of a picture (3, H, W) is nearest to."""
    _, saturation, _ = _hsv(picture)
    dull = picture[:, saturation < SATURATED]
    mean = dull.median(1).values if dull.numel() else picture.mean((1, 2))
    return min(GROUNDS, key=lambda name: float((mean - torch.tensor(GROUNDS[name])).norm()))


def _parts(colour: str, mask: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]") -> list[Found]:
    size = mask.shape[0]
    reach = max(3, round(size * 0.09))  # bridges the pale bands of striped things
    joined = ndimage.binary_closing(np.pad(mask, reach), np.ones((reach, 1)))[reach:-reach, reach:-reach]
    labels, _ = ndimage.label(joined, np.ones((3, 3)))
    found = []
    for number, where in enumerate(ndimage.find_objects(labels), 1):
        part = labels == number
        area = float((part & mask).mean())
        if area >= LEAST:
            rows, columns = where
            box = (columns.start / size, rows.start / size, columns.stop / size, rows.stop / size)
            shape = _shape((part & mask)[where], part[where])
            found.append(Found(colour, shape, box, area, torch.from_numpy(part)))
    return found


def _shape(*parts: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]") -> str:
    """The shape whose outline, in the parts' box, shares most with one of them."""
    n = 33
    stretched = []
    for part in parts:
        rows, columns = (np.minimum(((np.arange(n) + 0.5) * s / n).astype(int), s - 1) for s in part.shape)
        stretched.append(part[rows][:, columns])

    def shared(shape: str) -> float:
        theirs = _outline(shape, n)
        return max(float((ours & theirs).sum() / (ours | theirs).sum()) for ours in stretched)

    return max(SHAPES, key=shared)


@lru_cache
def _outline(shape: str, size: int) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
    """A shape's mask, cropped to its own box."""
    mask = (outline(shape, size) > 0.5).numpy()
    (where,) = ndimage.find_objects(mask.astype(int))
    part = mask[where]
    rows, columns = (np.minimum(((np.arange(size) + 0.5) * s / size).astype(int), s - 1) for s in part.shape)
    found: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = part[rows][:, columns]
    return found


def _hsv(picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue 0..1, saturation, value of (3, H, W)."""
    picture = picture.clamp(0, 1)
    r, g, b = picture
    value, low = picture.amax(0), picture.amin(0)
    spread = (value - low).clamp(min=1e-6)
    hue = torch.where(value == r, (g - b) / spread, torch.where(value == g, (b - r) / spread + 2, (r - g) / spread + 4))
    return (hue / 6) % 1, spread / value.clamp(min=1e-6), value
