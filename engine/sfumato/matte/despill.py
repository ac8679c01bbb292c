"""Screen colour taken out of a straight foreground. A fallback: a solved foreground has little spill to begin with."""

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.shapes import expect

SCREENS = {"green": 1, "blue": 2}
LIMITS = ("average", "max")
LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Rec. 709 weights; close enough for the small changes made here in any RGB space."""


def despill(
    foreground: Tensor, screen: str, *, limit: str = "average", strength: float = 1.0, keep_luminance: bool = True
) -> tuple[Tensor, Tensor]:
    """Hold the screen's channel down to a limit made of the other two.

    spill = strength * max(0, G - limit(R, B)) for a green screen, G' = G - spill. With `keep_luminance`, the luminance
    that this takes away is added back to all three channels alike, as neutral light.

    Args:
        foreground: (3, H, W) straight foreground, linear or coded; never the plate, never premultiplied.
        screen: "green" or "blue".
        limit: "average" of the other two channels, or their "max" (gentler: keeps yellow hair and cyan cloth).
        strength: 0..1.

    Returns:
        The foreground, (3, H, W), and the spill that was removed, (1, H, W), >= 0.

    Raises:
        RequestError: an unknown screen or limit, or a strength outside 0..1.
    """
    expect("foreground", foreground, "C H W", C=3)
    if screen not in SCREENS:
        raise RequestError(f"despill: there is no screen {screen!r}", f"choose one of {', '.join(SCREENS)}")
    if limit not in LIMITS:
        raise RequestError(f"despill: there is no limit {limit!r}", f"choose one of {', '.join(LIMITS)}")
    if not 0 <= strength <= 1:
        raise RequestError(f"despill: a strength of {strength:g} is outside 0 to 1", "0 changes nothing, 1 all")
    channel = SCREENS[screen]
    others = foreground[[c for c in range(3) if c != channel]]
    ceiling = others.mean(0) if limit == "average" else others.amax(0)
    spill = strength * (foreground[channel] - ceiling).clamp(min=0)
    result = foreground.clone()
    result[channel] -= spill
    if keep_luminance:
        result += LUMINANCE[channel] * spill
    return torch.where(spill > 0, result, foreground), spill[None]
