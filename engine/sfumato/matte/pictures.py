"""What a matte looks like to people: over backgrounds, pushed in gamma, and as heat maps. Tensors in, tensors out."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Show = Callable[[Tensor], Tensor]
"""(3, H, W) linear -> (3, H, W) display-coded 0..1; for display-coded stills, a clip."""

GREY = 0.18
# Anchors of a dark-to-light heat scale whose lightness rises evenly, display-coded.
_HEAT = (
    (0.00, 0.00, 0.01),
    (0.20, 0.04, 0.36),
    (0.53, 0.13, 0.42),
    (0.83, 0.28, 0.26),
    (0.98, 0.58, 0.04),
    (0.99, 1.0, 0.64),
)


def reduce_to(x: Tensor, longest: int) -> Tensor:
    """(C, H, W) averaged down until its long side is at most `longest`; never enlarged."""
    scale = longest / max(x.shape[-2:])
    if scale >= 1:
        return x
    size = max(1, round(x.shape[-2] * scale)), max(1, round(x.shape[-1] * scale))
    return functional.interpolate(x[None], size=size, mode="area")[0]


def flat(colour: tuple[float, float, float] | float, like: Tensor) -> Tensor:
    """A background of one colour the size of `like`, (3, H, W)."""
    rgb = (colour,) * 3 if isinstance(colour, float) else colour
    return like.new_tensor(rgb).view(3, 1, 1).expand(3, *like.shape[-2:])


def checker(like: Tensor, dark: float = 0.08, light: float = 0.30) -> Tensor:
    """A checkerboard of about 32 squares across, (3, H, W), so that both kinds of edge error show."""
    height, width = like.shape[-2:]
    square = max(4, round(max(height, width) / 32))
    y, x = torch.arange(height)[:, None] // square, torch.arange(width)[None, :] // square
    board = torch.where((x + y) % 2 == 0, dark, light)
    return board.to(like.dtype).expand(3, height, width)


def complement(premultiplied: Tensor, alpha: Tensor) -> tuple[float, float, float]:
    """The saturated opposite of the element's mean colour, linear: any of its colour left in an edge stands out."""
    mean = premultiplied.clamp_min(0).flatten(1).sum(1) / alpha.sum().clamp_min(1e-6)
    opposite = mean.max() - mean
    spread = float(opposite.max())
    if spread < 1e-4 * float(mean.max() + 1e-6) or spread <= 0:
        return (0.02, 0.40, 0.05)  # a grey element has no opposite: green
    red, green, blue = (0.02 + 0.40 * float(v) / spread for v in opposite)
    return (red, green, blue)


def over(premultiplied: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
    """The element over a background, (3, H, W) linear. Colour under alpha 0 is light and is added."""
    return premultiplied + (1 - alpha) * background


def viewer_gamma(alpha: Tensor, gamma: float) -> Tensor:
    """Alpha as a viewer with this gamma shows it, alpha^(1 / gamma): 5 lifts noise out of the black, 0.2 holes out of
    the white. (1, H, W) -> (3, H, W)."""
    return grey(alpha.clamp(0, 1) ** (1 / gamma))


def grey(x: Tensor) -> Tensor:
    """(1, H, W) 0..1 -> (3, H, W) as it is: data is not colour-managed."""
    return x.clamp(0, 1).expand(3, *x.shape[-2:])


def heat(x: Tensor, top: float) -> Tensor:
    """(1, H, W) from 0 (black) to `top` (light yellow) as colours, (3, H, W) display-coded."""
    anchors = x.new_tensor(_HEAT)
    at = (x[0] / max(top, 1e-12)).clamp(0, 1) * (len(_HEAT) - 1)
    low = at.floor().long().clamp(max=len(_HEAT) - 2)
    share = (at - low)[..., None]
    return ((1 - share) * anchors[low] + share * anchors[low + 1]).permute(2, 0, 1)


def trimap_over(image: Tensor, trimap: Tensor) -> Tensor:
    """The plate (display-coded) with the unknown band tinted, the known background darkened: what the artist gave."""
    tint = image.new_tensor((0.95, 0.62, 0.15)).view(3, 1, 1)
    band = ((trimap > 0) & (trimap < 1)).to(image.dtype)
    shaded = image * (0.30 + 0.70 * (trimap > 0).to(image.dtype))
    return shaded * (1 - 0.5 * band) + 0.5 * band * tint


def worst_places(severity: Tensor, size: int, count: int = 5) -> list[tuple[int, int]]:
    """Left and top of the `count` worst windows of `size` pixels, worst first, not overlapping by more than half.

    Args:
        severity: (1, H, W) >= 0. Windows in which it is nowhere above 0 are left out.
    """
    height, width = severity.shape[-2:]
    high, wide = min(size, height), min(size, width)
    stride = max(1, size // 8)
    means = functional.avg_pool2d(severity[None].float(), (high, wide), stride=stride)[0, 0]
    found: list[tuple[int, int]] = []
    for _ in range(count):
        best = int(means.argmax())
        row, column = divmod(best, means.shape[1])
        if means[row, column] <= 0:
            break
        found.append((column * stride, row * stride))
        reach = max(1, size // stride // 2)
        means[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = 0
    return found
