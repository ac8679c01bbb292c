"""Where the things of our own models' world are in a picture: colours by hue, shapes by outline, and no network.

Boxes are found finer than pixels: an edge pixel is unmixed into ground and thing, so that what covers a third of it
counts as a third. An open-vocabulary detector for other models is anything called like `measure`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from sfumato.models.training.captions import NOUNS
from sfumato.models.training.scenes import COLOURS
from sfumato.place.box import Box
from sfumato.place.detect_shapes import fitted

SATURATED = 0.58  # grounds stay below
LEAST = 0.004  # of the frame: less is no thing
LEGIBLE = 12  # pixels high and wide: a smaller thing's outline tells no shape for certain
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """A thing in a picture.

    area: Of what is seen of it, 0..1 of the frame. likeness: Of its outline to its shape's, 0..1.
    cover: (H, W) float32, how much of each pixel it covers, 0..1.
    """

    colour: str
    shape: str
    box: Box
    area: float
    likeness: float
    cover: Tensor = field(repr=False, compare=False)


def see(picture: Tensor) -> list[Seen]:
    """The things in a picture, largest first.

    Args:
        picture: (3, H, W), display-referred 0..1.
    """
    pixels = picture.detach().cpu().clamp(0, 1).permute(1, 2, 0).double().numpy()
    hue, saturation, value = _hsv(pixels)
    names = tuple(COLOURS)
    hues = np.array([_hsv(np.array(COLOURS[name]).reshape(1, 1, 3))[0].item() for name in names])
    nearest = np.abs((hue[..., None] - hues + 0.5) % 1 - 0.5).argmin(-1)
    solid = (saturation > SATURATED) & (value > 0.12)
    ground = np.median(pixels[~solid], axis=0) if not solid.all() else np.full(3, 0.5)
    found = []
    for number, name in enumerate(names):
        labels, _ = ndimage.label(solid & (nearest == number), np.ones((3, 3)))
        sizes = np.bincount(labels.ravel(), minlength=1)
        for label in range(1, len(sizes)):
            if sizes[label] >= LEAST * labels.size:
                found.append(_seen(name, pixels, labels == label, ground))
    return sorted(found, key=lambda seen: -seen.area)


def measure(picture: Tensor, phrases: Sequence[str]) -> list[Box | None]:
    """The box of each phrase's thing in a picture (3, H, W), 0..1; None where there is none.

    A thing is known by its phrase's colour. Of several, it is the largest of the phrase's shape, else the largest; of
    two phrases with one colour, neither takes the other's.
    """
    return [seen.box if seen else None for seen in match(see(picture), phrases)]


def looks(picture: Tensor, phrases: Sequence[str]) -> list[bool | None]:
    """Whether each phrase's thing, as `measure` finds it, has the shape that is said.

    None where nobody can tell: no shape is said, or the thing is not there or too small.
    """
    height, width = picture.shape[-2:]
    told: list[bool | None] = []
    for thing, (_, shape) in zip(match(see(picture), phrases), map(said, phrases), strict=True):
        legible = thing is not None and min(thing.box.width * width, thing.box.height * height) >= LEGIBLE
        told.append(thing.shape == shape if thing and shape and legible else None)
    return told


def match(things: Sequence[Seen], phrases: Sequence[str]) -> list[Seen | None]:
    """The thing that each phrase means, as in `measure`."""
    left = list(things)
    found: dict[int, Seen] = {}
    for strict in (True, False):
        for number, phrase in enumerate(phrases):
            colour, shape = said(phrase)
            fitting = (t for t in left if t.colour == colour and (t.shape == shape or not strict))
            thing = next(fitting, None) if number not in found else None
            if thing is not None:
                found[number] = thing
                left.remove(thing)
    return [found.get(number) for number in range(len(phrases))]


def said(phrase: str) -> tuple[str, str]:
    """The colour and the shape that a phrase names; "" where it names none."""
    words = phrase.lower().split()
    colour = next((word for word in words if word in COLOURS), "")
    return colour, next((shape for shape, nouns in NOUNS.items() if any(noun in words for noun in nouns)), "")


def _seen(colour: str, pixels: Array, core: NDArray[np.bool_], ground: Array) -> Seen:
    cover = _cover(pixels, core, ground)
    height, width = core.shape
    left, right = _ends(cover.max(0))
    top, bottom = _ends(cover.max(1))
    box = Box(left / width, top / height, right / width, bottom / height)
    covered = torch.from_numpy(cover).float()
    shape, box, likeness = fitted(covered, box)
    return Seen(colour, shape, box.inside() or box, float(cover.mean()), likeness, covered)


def _cover(pixels: Array, core: NDArray[np.bool_], ground: Array) -> Array:
    """How much of each pixel a thing covers, 0..1.

    A pixel is x ground + y paint, by least squares; the ground may be in shadow and the paint in any light, so y counts
    beside the y of the nearest pixels that are certainly the thing's.
    """
    paint = np.median(pixels[core], axis=0)
    basis = np.stack([ground, paint], 1)
    share = np.clip(pixels @ np.linalg.pinv(basis)[1], 0, None)
    whole = ndimage.maximum_filter(np.where(core, share, 0), 3)
    cover = np.where(whole > 0, share / np.maximum(whole, 1e-6), 0)
    result: Array = np.where(core & (cover > 0.8), 1.0, np.clip(cover, 0, 1))
    return result


def _ends(profile: Array) -> tuple[float, float]:
    """Where a profile of covers begins and ends, in pixels: the whole ones, and beside them the shares of two more."""
    whole = np.flatnonzero(profile > 0.5)
    first, last = int(whole[0]), int(whole[-1])
    padded = np.pad(np.where(profile < 0.1, 0, profile), 2)  # index n is pixel n - 2
    before = float(padded[first : first + 3].sum()) - 1
    after = float(padded[last + 2 : last + 5].sum()) - 1
    return max(first - before, 0.0), min(last + 1 + after, float(len(profile)))


def _hsv(pixels: Array) -> tuple[Array, Array, Array]:
    """Hue 0..1, saturation, value of (H, W, 3)."""
    r, g, b = np.moveaxis(pixels, -1, 0)
    value, low = pixels.max(-1), pixels.min(-1)
    spread = np.maximum(value - low, 1e-6)
    hue = np.where(value == r, (g - b) / spread, np.where(value == g, (b - r) / spread + 2, (r - g) / spread + 4))
    return (hue / 6) % 1, spread / np.maximum(value, 1e-6), value
