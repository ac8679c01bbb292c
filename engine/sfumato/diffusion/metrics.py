"""How well an edit kept what it was not to change, without a learned network to judge it.

Pictures are (3, H, W), display-referred 0..1. What a picture looks like to these measures are oriented edges: first
derivatives of Gaussians of three widths, of luma and of two colour differences (Rec. 709), in `ORIENTATIONS`.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from sfumato.errors import RequestError
from sfumato.shapes import expect

SIGMAS = (0.7, 1.4, 2.8)  # pixels of a picture 32 wide, and in proportion
ORIENTATIONS = 6
CELLS = 8  # a side, whose looks are compared with each other
_FAINT = 0.006  # an edge response below this is taken for none


def structure_distance(one: Tensor, other: Tensor) -> float:
    """How differently two pictures are arranged, whatever their colours: 0 for the same, x 1e3 in tables.

    The self-similarity of features, as Tumanyan et al., "Splicing ViT Features for Semantic Appearance Transfer", 2022,
    eq. (4), have it: cosines between all pairs of places, and the mean squared difference of the two tables of cosines.

    Differs from theirs: features are energies of oriented edges in 8 x 8 cells, of luma and colour together so that an
    edge counts whatever it parts, not keys of a trained DINO. Numbers compare with each other, with no published table.
    """
    _same_size(one, other)
    first, second = _self_similarity(one), _self_similarity(other)
    return float((first - second).square().mean())


def psnr(one: Tensor, other: Tensor, where: Tensor | None = None) -> float:
    """Peak signal to noise ratio in dB for a peak of 1, over the pixels `where` (1, H, W) bool; inf where equal."""
    _same_size(one, other)
    squares = (one - other).double().square().mean(0, keepdim=True)
    mean = float((squares if where is None else squares[_some(where)]).mean())
    return math.inf if mean == 0 else -10 * math.log10(mean)


def background_error(one: Tensor, other: Tensor, where: Tensor) -> float:
    """RMS difference of what two pictures look like `where` (1, H, W) bool: local colour and its edges; 0 for the same.

    The form of LPIPS (Zhang et al. 2018: differences of features, place by place, averaged over scales) with features
    that were never learned: colour blurred by each of `SIGMAS`, and its derivative in both directions. They are linear,
    so what lies outside `where` is left out before it can blur into it. Colour casts and false edges count, grain
    hardly does.
    """
    _same_size(one, other)
    inside = _some(where)
    apart = (one - other) * where
    errors = [looks.square().sum(0, keepdim=True)[inside].mean() for looks in _looks(apart)]
    return float(torch.stack(errors).mean().sqrt())


def outside(cover: Tensor, margin: int) -> Tensor:
    """The pixels at least `margin` from anything an object covers: (1, H, W) 0..1 -> (1, H, W) bool."""
    grown = functional.max_pool2d(cover[None].float(), 2 * margin + 1, stride=1, padding=margin)[0]
    return grown < 0.02


def flicker(before: Tensor, here: Tensor, after: Tensor, where: Tensor) -> float:
    """How far a frame is from the mean of its neighbours, RMS `where` (1, H, W) bool; 0 where there is nothing.

    Motion counts as well as flicker does, so it says something only beside the same number of the plate.
    """
    away = (here - (before + after) / 2).double().square().mean(0, keepdim=True)
    return math.sqrt(float(away[where].mean())) if bool(where.any()) else 0.0


def _self_similarity(picture: Tensor) -> Tensor:
    """Cosines between the looks of every two cells, (CELLS^2, CELLS^2)."""
    found = []
    for across, down in _derivatives(_opponent(picture), _sigmas(picture)):
        angles = [math.pi * k / ORIENTATIONS for k in range(ORIENTATIONS)]
        found += [(across * math.cos(a) + down * math.sin(a)).square().sum(0, keepdim=True) for a in angles]
    energy = functional.adaptive_avg_pool2d(torch.cat(found), CELLS).flatten(1)
    looks = (energy / energy.sum(0).clamp(min=_FAINT**2)).sqrt()
    return looks.T @ looks


def _looks(picture: Tensor) -> list[Tensor]:
    """Colour and its two derivatives at each scale, (9, H, W) each."""
    colours, sigmas = _opponent(picture), _sigmas(picture)
    edges = _derivatives(colours, sigmas)
    return [
        torch.cat([_filtered(colours, *[_bell(sigma)] * 2), across, down])
        for sigma, (across, down) in zip(sigmas, edges, strict=True)
    ]


def _sigmas(picture: Tensor) -> list[float]:
    return [sigma * picture.shape[2] / 32 for sigma in SIGMAS]


def _derivatives(x: Tensor, sigmas: list[float]) -> list[tuple[Tensor, Tensor]]:
    """Across and down at each scale, times sigma: an edge has one strength whatever the scale (Lindeberg 1998)."""
    found = []
    for sigma in sigmas:
        bell = _bell(sigma)
        steps = torch.arange(len(bell), dtype=bell.dtype) - len(bell) // 2
        slope = steps * bell / sigma
        found.append((_filtered(x, slope, bell), _filtered(x, bell, slope)))
    return found


def _bell(sigma: float) -> Tensor:
    reach = math.ceil(3 * sigma)
    x = torch.arange(-reach, reach + 1, dtype=torch.float64)
    bell = torch.exp(-(x**2) / (2 * sigma**2))
    return bell / bell.sum()


def _filtered(x: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """(C, H, W) float64 by two 1-D kernels, edges continued."""
    wide, high = len(across) // 2, len(down) // 2
    padded = functional.pad(x[:, None].double(), (wide, wide, high, high), mode="replicate")
    rows = functional.conv2d(padded, across.view(1, 1, 1, -1))
    return functional.conv2d(rows, down.view(1, 1, -1, 1))[:, 0]


def _opponent(picture: Tensor) -> Tensor:
    """Luma and two colour differences, Rec. ITU-R BT.709-6, item 3."""
    red, green, blue = picture.double()
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return torch.stack([luma, (blue - luma) / 1.8556, (red - luma) / 1.5748])


def _same_size(one: Tensor, other: Tensor) -> None:
    expect("other", other, "C H W", **expect("one", one, "C H W", C=3))


def _some(where: Tensor) -> Tensor:
    if not bool(where.any()):
        raise RequestError("there is no pixel to compare: everything belongs to the object", "leave such pictures out")
    return where
