"""Straight foreground and background colours of a matte, good enough to put the element over anything."""

import math

import torch
from torch import Tensor

from sfumato.matte.doubt import Colour, doubted_foreground, from_opponent, opponent
from sfumato.matte.layers import COARSE, Beliefs, explain, solve_layers
from sfumato.matte.surroundings import local_colour, local_maximum, overall_colour, roughness, shrink, spread
from sfumato.matte.trimap import UNKNOWN, unknown_box
from sfumato.report import Report, silent
from sfumato.shapes import expect

MARGIN = 64  # pixels of known surroundings around the unknown band
SURE = 0.9  # alpha from which an unknown pixel counts as foreground (1 - SURE: background) if its colour fits the known
CELL = 20  # pixels; "nearby"
CHUNK = 1 << 18  # pixels of the band that are looked at together
PLATE_ERROR = 0.02  # relative error of a clean plate: grain, drift of light


def estimate_foreground(
    image: Tensor,
    alpha: Tensor,
    trimap: Tensor,
    *,
    background: Tensor | None = None,
    sweeps: int = 6,
    report: Report = silent,
) -> tuple[Tensor, Tensor]:
    """Foreground and background with I = alpha F + (1 - alpha) B, both finite and smooth over the whole frame.

    Three steps: both layers by weighted least squares (`solve_layers`), F where alpha is in doubt
    (`doubted_foreground`), and what is left given to the layer that can take it (`explain`), so that the composite
    gives the plate back.
    Additive light and super-white stay: F leaves the range of known foreground only where B cannot explain the plate.

    Args:
        image: (3, H, W) float32, linear and unclipped, or coded; negative values are fine. NaN and Inf count as holes
            and are filled from around; F and B are finite there too.
        alpha: (1, H, W) float32 in 0..1.
        trimap: (1, H, W) of exactly 0, 0.5, 1. Known pixels decide what both layers look like.
        background: (3, H, W) clean plate aligned with the image, when there is one. B still leaves it where alpha asks
            for that.
        sweeps: Least-squares sweeps a level.
        report: Who is told; may raise `Cancelled`.

    Returns:
        F and B, (3, H, W) float32, straight. F is bit for bit the image where alpha is 1, B where alpha is 0. F under
        alpha 0 and B under alpha 1 are extrapolated (B there is the clean plate, if given).
    """
    size = expect("image", image, "C H W", C=3)
    expect("alpha", alpha, "C H W", C=1, H=size["H"], W=size["W"])
    expect("trimap", trimap, "C H W", C=1, H=size["H"], W=size["W"])
    if background is not None:
        expect("background", background, "C H W", **size)
        background = _filled(background)
    image = _filled(image)
    unit = _unit(image, trimap)
    f, b = image.clone(), image.clone() if background is None else background.clone()
    mixed = (alpha > 0) & (alpha < 1)
    box = unknown_box(torch.where(mixed, UNKNOWN, 0.0), MARGIN)
    if box is not None:
        inside = (slice(None), *box)
        plate = None if background is None else background[inside] / unit
        solved = _solve(image[inside] / unit, alpha[inside], trimap[inside], plate, sweeps, report)
        for whole, part in zip((f, b), solved, strict=True):
            whole[inside] = torch.where(mixed[inside], part * unit, whole[inside])
    f = torch.where(alpha > 0, f, spread(f, alpha))
    if background is None:
        b = torch.where(alpha < 1, b, spread(b, 1 - alpha))
    return f, torch.where(alpha <= 0, image, b)


def _solve(
    image: Tensor, alpha: Tensor, trimap: Tensor, plate: Tensor | None, sweeps: int, report: Report
) -> tuple[Tensor, Tensor]:
    """Both layers of a crop in units where a typical foreground is about 1/4. Meaningful where 0 < alpha < 1."""
    known_f, known_b = _trusted(image, alpha, trimap)
    beliefs = _beliefs(image, known_f, known_b, plate)
    unknown = ((trimap > 0) & (trimap < 1)).float()
    foreground, background = solve_layers(image, alpha, unknown, beliefs, sweeps, report)
    at = ((alpha > 0) & (alpha < 1))[0]
    colours = opponent(image)
    near = _columns(local_colour(colours, known_f, CELL // 2), at)
    if plate is None:
        behind = _columns(local_colour(colours, known_b, CELL // 2), at)
    else:
        behind = _columns((opponent(plate), (PLATE_ERROR * plate).square()), at)
    overall = _columns(overall_colour(colours, known_f), slice(0, 1))
    i, a, f, b, u = (x[:, at] for x in (image, alpha, foreground, background, unknown))
    here = beliefs.at(at)
    for start in range(0, i.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        i_, a_, f_, u_ = (x[:, part] for x in (i, a, f, u))
        of_near, of_behind = ((mean[:, part], variance[:, part]) for mean, variance in (near, behind))
        voted, keep = doubted_foreground(opponent(i_), a_, opponent(f_), of_near, overall, of_behind)
        voted = torch.lerp(f_, from_opponent(voted), u_)
        f[:, part], b[:, part] = explain(i_, a_, voted, b[:, part], here.at(part), keep * u_)
    foreground[:, at], background[:, at] = f, b
    return foreground, background


def _columns(colour: Colour, at: Tensor | slice) -> Colour:
    """The pixels of a mask (H, W), or rows, of mean and variance (3, H, W)."""
    return colour[0][:, at].reshape(3, -1), colour[1][:, at].reshape(3, -1)


def _trusted(image: Tensor, alpha: Tensor, trimap: Tensor) -> tuple[Tensor, Tensor]:
    """Where the image is believed to show foreground only, and background only, as masks (1, H, W) of 0 and 1.

    Known pixels, and those that alpha calls nearly solid (or clear) if they are at most twice as bright as known ones
    nearby: an alpha of 1 on a sky of 20 must not teach what the foreground looks like. Of a layer that is nowhere known
    the whole image is taken as a sample.
    """
    foreground, background = (trimap == 1).float(), (trimap == 0).float()
    nearly_f = (alpha >= SURE) & (image <= 2 * local_maximum(image, foreground, CELL // 2)).all(0, keepdim=True)
    nearly_b = (alpha <= 1 - SURE) & (image <= 2 * local_maximum(image, background, CELL // 2)).all(0, keepdim=True)
    foreground, background = foreground.maximum(nearly_f.float()), background.maximum(nearly_b.float())
    anything = torch.ones_like(foreground)
    return foreground if foreground.any() else anything, background if background.any() else anything


def _beliefs(image: Tensor, known_f: Tensor, known_b: Tensor, plate: Tensor | None) -> Beliefs:
    """Both layers as their known neighbourhoods tell, in the same units as the image."""
    first_f, first_b = spread(image, known_f), spread(image, known_b) if plate is None else plate
    level_f, level_b = (x.abs().mean(0, keepdim=True) for x in (first_f, first_b))
    rough_f = roughness(image, known_f) + (0.03 * level_f + 1e-4).square()
    if plate is None:
        rough_b = roughness(image, known_b) + (0.03 * level_b + 1e-4).square()
    else:
        rough_b = (PLATE_ERROR * level_b + 1e-4).square()
    # Of the background the brightest known place counts, not the nearest: a lamp may hide behind the band.
    brightest_b = torch.where(known_b > 0, image, 0.0).amax((1, 2), keepdim=True).clamp(min=1e-4)
    brightest_b = brightest_b if plate is None else plate.amax((1, 2), keepdim=True).clamp(min=1e-4)
    coarse = tuple(min(n, COARSE) for n in image.shape[-2:])
    return Beliefs(
        shrink(first_f, *coarse),
        shrink(first_b, *coarse) if plate is None else plate,
        rough_f,
        rough_b,
        1.3 * local_maximum(image, known_f, CELL).clamp(min=1e-4),
        4 * brightest_b.expand_as(image),
        1.3 * image.amin((1, 2), keepdim=True).clamp(max=0),
        plate is not None,
    )


def _unit(image: Tensor, trimap: Tensor) -> float:
    """Four times the mean foreground, to the nearest power of two, so that dividing by it loses no bit."""
    mean = float(overall_colour(image.abs(), (trimap == 1).float())[0].mean()) or float(image.abs().mean())
    return 2.0 ** round(math.log2(4 * mean)) if mean > 0 else 1.0


def _filled(image: Tensor) -> Tensor:
    """The image with pixels that hold NaN or Inf filled from around."""
    good = image.isfinite().all(0, keepdim=True)
    if good.all():
        return image
    image = torch.where(good, image, 0.0)
    return torch.where(good, image, spread(image, good.to(image.dtype)))
