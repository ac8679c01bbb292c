"""Trimaps: what the artist knows. 0 is background, 1 is foreground, 0.5 is for the solver; nothing else exists."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d, avg_pool1d

from sfumato.errors import RequestError
from sfumato.matte.distance import erode
from sfumato.shapes import expect

BACKGROUND, UNKNOWN, FOREGROUND = 0.0, 0.5, 1.0
LOW, HIGH = 0.02, 0.98
"""Values up to LOW are background, from HIGH on foreground: JPEG noise and soft brushes stay harmless."""


def classify(values: Tensor, low: float = LOW, high: float = HIGH) -> Tensor:
    """Read a painted picture as a trimap: 0..low background, high..1 foreground, everything between unknown.

    Args:
        values: (1, H, W) or (3, H, W) with equal channels, float, 0..1 as the file has it (data, no colour transform).
            NaN is unknown; values outside 0..1 count as the nearer end.

    Returns:
        (1, H, W) float32 with exactly 0, 0.5, 1.

    Raises:
        RequestError: colour, a range that is not 0..1, or a continuous picture: it is not a trimap.
    """
    if not 0 <= low < high <= 1:
        raise RequestError(f"trimap: the thresholds {low:g} and {high:g} are not in order", "keep 0 <= low < high <= 1")
    values = _one_channel(values.float())
    known_range = values.nan_to_num(UNKNOWN)
    if float(known_range.max()) > 2 or float(known_range.min()) < -1:
        raise RequestError(
            f"trimap: values run from {float(known_range.min()):g} to {float(known_range.max()):g}, not 0 to 1",
            "write black as 0 and white as 1 (8-bit integers are read that way by themselves)",
        )
    trimap = torch.full_like(known_range, UNKNOWN)
    trimap[known_range <= low] = BACKGROUND
    trimap[known_range >= high] = FOREGROUND
    _refuse_pictures(known_range, trimap)
    return trimap


def _one_channel(values: Tensor) -> Tensor:
    """The single channel of a grey picture; colour is refused. A tenth of slack for JPEG's coarse colour."""
    if values.ndim != 3 or values.shape[0] not in (1, 3):
        expect("trimap", values, "C H W", C=1)
    spread = (values.amax(0) - values.amin(0)).nan_to_num()
    if float((spread > 0.1).float().mean()) > 0.01:
        raise RequestError(
            "trimap: this is a colour picture; its channels differ on "
            f"{float((spread > 0.1).float().mean()):.0%} of the pixels",
            "give a grey picture: black = background, grey = unknown, white = foreground",
        )
    return values.mean(0, keepdim=True)


def _refuse_pictures(values: Tensor, trimap: Tensor) -> None:
    """A trimap's grey is mostly one grey. A photograph or a depth pass has all of them."""
    between = values[trimap == UNKNOWN]
    if not between.numel():
        return
    counts = torch.histc(between, 25, 0.0, 1.0)
    around_mode = 3 * float(avg_pool1d(counts[None], 3, 1, 1).max())  # three neighbouring shades of 25
    stray = (between.numel() - around_mode) / values.numel()
    if stray > 0.5:
        raise RequestError(
            f"trimap: {between.numel() / values.numel():.0%} of the pixels are shades between black and white",
            "a trimap is black, white and one grey; for a soft roto or key use --erode and --dilate",
        )


def from_roto(alpha: Tensor, erode_px: float, dilate_px: float) -> Tensor:
    """A trimap from any roto or key: unknown from `erode_px` inside its edge to `dilate_px` outside.

    Foreground is what stays of alpha >= HIGH after shrinking it by a disc, background what stays of alpha <= LOW.
    So a soft or motion-blurred edge is unknown over its whole width. The frame's border is no edge.

    Args:
        alpha: (1, H, W) float, 0..1.
        erode_px, dilate_px: Pixels, >= 0, fractions allowed.
    """
    expect("alpha", alpha, "C H W", C=1)
    if erode_px < 0 or dilate_px < 0:
        raise RequestError(
            f"trimap: erode {erode_px:g} and dilate {dilate_px:g} should not be negative",
            "both say how many pixels become unknown: erode inside the edge, dilate outside it",
        )
    inside, outside = alpha[0] >= HIGH, alpha[0] <= LOW
    return _assemble(erode(inside, erode_px), erode(outside, dilate_px))


def from_core_and_garbage(core: Tensor, garbage: Tensor) -> Tensor:
    """A trimap from an inside matte (white = surely foreground) and an outside matte (white = surely not).

    What neither claims is unknown, soft edges included. Where both claim a pixel, garbage wins.
    """
    expect("core", core, "C H W", C=1)
    same_size("garbage matte", garbage, "core matte", core)
    out = garbage[0] >= HIGH
    return _assemble((core[0] >= HIGH) & ~out, out)


def _assemble(foreground: Tensor, background: Tensor) -> Tensor:
    """(1, H, W) trimap from two (H, W) bool masks that do not overlap."""
    return (UNKNOWN + UNKNOWN * foreground.float() - UNKNOWN * background.float())[None]


def combine(
    trimap: Tensor,
    *,
    garbage: Tensor | None = None,
    holdout: Tensor | None = None,
    hold_in: Tensor | None = None,
    hold_out: Tensor | None = None,
) -> Tensor:
    """Overrule a trimap with mattes and strokes: strokes > garbage > holdout > trimap.

    Args:
        trimap: (1, H, W) of exactly 0, 0.5, 1.
        garbage: White is background ("outside" matte, OutM). Only full white (>= HIGH) decides.
        holdout: White is foreground ("inside" matte, InM). Only full white decides.
        hold_in, hold_out: Painted strokes, foreground and background, on from 0.5. Where they cross, hold_out wins.
    """
    expect("trimap", trimap, "C H W", C=1)
    result = trimap.clone()
    for name, matte, on, value in (
        ("holdout matte", holdout, HIGH, FOREGROUND),
        ("garbage matte", garbage, HIGH, BACKGROUND),
        ("hold-in strokes", hold_in, 0.5, FOREGROUND),
        ("hold-out strokes", hold_out, 0.5, BACKGROUND),
    ):
        if matte is not None:
            same_size(name, matte, "trimap", trimap)
            result[matte >= on] = value
    return result


def reduce(trimap: Tensor, height: int, width: int) -> Tensor:
    """Resize a trimap; a pixel is known only if every pixel under its footprint is known, and the same.

    Nearest-neighbour reduction would let mixed pixels through as known, which no solver can undo.
    """
    expect("trimap", trimap, "C H W", C=1)
    highest = adaptive_max_pool2d(trimap, (height, width))
    lowest = -adaptive_max_pool2d(-trimap, (height, width))
    return torch.where(highest == lowest, highest, torch.full_like(highest, UNKNOWN))


def same_size(name: str, x: Tensor, other_name: str, other: Tensor) -> None:
    """Raise a RequestError with both sizes unless two pictures (C, H, W) have the same height and width."""
    if x.shape[-2:] != other.shape[-2:]:
        raise RequestError(
            f"{name} is {x.shape[-1]}x{x.shape[-2]}, {other_name} is {other.shape[-1]}x{other.shape[-2]}",
            f"give the {name} at the size of the {other_name}: same format, no proxy, same data window",
        )


def check_usable(trimap: Tensor, plate: Tensor | None = None) -> None:
    """Raise a RequestError when no matte can come from this trimap. One without unknown pixels is fine: nothing to do.

    Args:
        trimap: (1, H, W) of exactly 0, 0.5, 1.
        plate: (C, H, W), when its size should be checked too.
    """
    expect("trimap", trimap, "C H W", C=1)
    if plate is not None:
        same_size("trimap", trimap, "plate", plate)
    unknown = bool((trimap == UNKNOWN).any())
    foreground, background = bool((trimap == FOREGROUND).any()), bool((trimap == BACKGROUND).any())
    if not unknown or (foreground and background):
        return
    if not foreground and not background:
        raise RequestError("the whole trimap is unknown", "mark some foreground white and some background black")
    missing, colour = ("background", "black") if foreground else ("foreground", "white")
    raise RequestError(
        f"the trimap has unknown pixels but no known {missing}",
        f"paint some {missing} {colour}; a few strokes are enough",
    )


def unknown_box(trimap: Tensor, margin: int = 0) -> tuple[slice, slice] | None:
    """Rows and columns that hold every unknown pixel and `margin` more on each side; None without unknown pixels."""
    unknown = trimap[0] == UNKNOWN
    rows, columns = unknown.any(1).nonzero(), unknown.any(0).nonzero()
    if not len(rows):
        return None
    (top, bottom), (left, right) = ((int(x[0]), int(x[-1]) + 1) for x in (rows, columns))
    return (
        slice(max(top - margin, 0), min(bottom + margin, trimap.shape[1])),
        slice(max(left - margin, 0), min(right + margin, trimap.shape[2])),
    )
