"""One frame of a review in full: over backgrounds, pushed, as heat maps, and its worst places pixel by pixel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sfumato.matte import pictures
from sfumato.matte.metrics import unknown
from sfumato.matte.pictures import Show
from sfumato.matte.sheet import encoded

LONGEST, CROP = 960, 192  # pixels: long side of pictures, side of 1:1 crops (less in small frames)


@dataclass(frozen=True)
class ReviewFrame:
    """One frame as it was solved, everything over the same window.

    image, foreground, background: (3, H, W) in the working space, straight. trimap, alpha: (1, H, W).
    confidence: (1, H, W) 0..1. previous: alpha of the version before. truth: true alpha, where there is one.
    stats: JSON values for the frame's row: seconds, iterations, device.
    """

    image: Tensor
    trimap: Tensor
    alpha: Tensor
    foreground: Tensor
    background: Tensor
    confidence: Tensor | None = None
    previous: Tensor | None = None
    truth: Tensor | None = None
    stats: Mapping[str, Any] = field(default_factory=dict)

    def premultiplied(self) -> Tensor:
        """alpha x foreground, (3, H, W), finite."""
        return (self.alpha * self.foreground).nan_to_num(0, 0, 0)

    def difference(self) -> Tensor:
        """|I - (aF + (1 - a)B)|, the largest of three channels, (1, H, W); 0 where the plate is not finite."""
        rebuilt = self.alpha * self.foreground + (1 - self.alpha) * self.background
        return (self.image - rebuilt).abs().amax(0, keepdim=True).nan_to_num(0, 0, 0)


@dataclass(frozen=True)
class Crop:
    """A place to look at pixel by pixel: left, top in the frame, and pictures by name, at most CROP square."""

    left: int
    top: int
    pictures: dict[str, bytes]


@dataclass(frozen=True)
class Detail:
    """A frame in full: pictures by name (PNG or JPEG bytes) and its worst places."""

    frame: int
    reason: str
    pictures: dict[str, bytes]
    crops: list[Crop]


def as_coded(light: float, coded: bool) -> float:
    """A grey in linear light, or as sRGB codes it where the working space is display-coded."""
    return 1.055 * light ** (1 / 2.4) - 0.055 if coded and light > 0.0031308 else light


def in_full(
    frame: int,
    reason: str,
    frames: Sequence[int],
    load: Callable[[int], ReviewFrame],
    show: Show,
    over: Tensor | None,
    coded: bool,
) -> tuple[Detail, list[tuple[str, Tensor]]]:
    """A frame's pictures as files, and those of the contact sheet as tensors. Loads its neighbours for the chatter."""
    shot = load(frame)
    at = list(frames).index(frame)
    beside = [load(frames[i]).alpha for i in (at - 1, at + 1) if 0 <= i < len(frames)]
    beside = [alpha for alpha in beside if alpha.shape == shot.alpha.shape]
    chatter = (shot.alpha - torch.stack(beside).mean(0)).abs() if beside else None
    shown = _light(shot, show, over, coded) | _data(shot, chatter)
    severity = _severity(shot)
    side = max(16, min(CROP, min(shot.alpha.shape[-2:]) // 3))
    places = pictures.worst_places(severity, side)
    crops = [Crop(left, top, _crop(shot, show, left, top, side, coded)) for left, top in places]
    kinds = {name: ".png" if name in EXACT else ".jpg" for name in shown}
    detail = Detail(frame, reason, {name: encoded(p, kinds[name], 92) for name, p in shown.items()}, crops)
    return detail, [(name, shown[name]) for name in ON_SHEET if name in shown]


EXACT = ("alpha", "alpha, gamma 5", "alpha, gamma 0.2", "doubt", "alpha chatter", "error", "previous alpha")  # PNG
ON_SHEET = (
    *("plate", "trimap", "alpha", "over grey", "over black", "over white", "over complement", "over checker"),
    *("over yours", "alpha, gamma 5", "alpha, gamma 0.2", "residual", "doubt", "alpha chatter", "error"),
)


def _light(shot: ReviewFrame, show: Show, over: Tensor | None, coded: bool) -> dict[str, Tensor]:
    """Pictures that are light, through the display."""
    alpha = pictures.reduce_to(shot.alpha, LONGEST)
    element = pictures.reduce_to(shot.premultiplied(), LONGEST)
    plate = show(pictures.reduce_to(shot.image.nan_to_num(0, 0, 0), LONGEST))
    trimap = pictures.reduce_to(shot.trimap, LONGEST)
    opposite = pictures.complement(element, alpha)
    backgrounds = {
        "over grey": pictures.flat(as_coded(pictures.GREY, coded), alpha),
        "over black": pictures.flat(0.0, alpha),
        "over white": pictures.flat(1.0, alpha),
        "over complement": pictures.flat(opposite, alpha),
        "over checker": pictures.checker(alpha),
    }
    if over is not None:
        fitted = torch.nn.functional.interpolate(over[None].float(), size=alpha.shape[-2:], mode="area")[0]
        backgrounds["over yours"] = fitted
    composites = {name: show(pictures.over(element, alpha, behind)) for name, behind in backgrounds.items()}
    straight = show(pictures.reduce_to(shot.foreground.nan_to_num(0, 0, 0), LONGEST))
    behind = show(pictures.reduce_to(shot.background.nan_to_num(0, 0, 0), LONGEST))
    return {
        "plate": plate,
        "trimap": pictures.trimap_over(plate, trimap),
        **composites,
        "foreground": straight,
        "background": behind,
    }


def _data(shot: ReviewFrame, chatter: Tensor | None) -> dict[str, Tensor]:
    """Pictures that are data, not colour-managed."""
    small = pictures.reduce_to(shot.alpha, LONGEST)
    found = {
        "alpha": pictures.grey(small),
        "alpha, gamma 5": pictures.viewer_gamma(small, 5),
        "alpha, gamma 0.2": pictures.viewer_gamma(small, 0.2),
        "residual": pictures.heat(pictures.reduce_to(shot.difference(), LONGEST), 0.05),
    }
    if shot.confidence is not None:
        found["doubt"] = pictures.heat(pictures.reduce_to(1 - shot.confidence, LONGEST), 1.0)
    if chatter is not None:
        found["alpha chatter"] = pictures.heat(pictures.reduce_to(chatter, LONGEST), 0.25)
    if shot.truth is not None:
        found["error"] = pictures.heat(pictures.reduce_to((shot.alpha - shot.truth).abs(), LONGEST), 0.5)
    if shot.previous is not None:
        found["previous alpha"] = pictures.grey(pictures.reduce_to(shot.previous, LONGEST))
    return found


def _severity(shot: ReviewFrame) -> Tensor:
    """How much a pixel deserves a look, (1, H, W): the true error, else doubt and unexplained plate in the band."""
    if shot.truth is not None:
        return (shot.alpha - shot.truth).abs()
    band = unknown(shot.trimap).float()
    unexplained = shot.difference() / (shot.image.nan_to_num(0, 0, 0).abs().amax(0, keepdim=True) + 0.05)
    doubt = 1 - shot.confidence if shot.confidence is not None else 4 * shot.alpha * (1 - shot.alpha)
    return band * (doubt + 2 * unexplained.clamp(0, 1))


def _crop(shot: ReviewFrame, show: Show, left: int, top: int, side: int, coded: bool) -> dict[str, bytes]:
    """The same window of plate, alpha, over grey and over the complement, pixel for pixel."""

    def cut(x: Tensor) -> Tensor:
        return x[:, top : top + side, left : left + side].nan_to_num(0, 0, 0)

    alpha, element = cut(shot.alpha), cut(shot.premultiplied())
    opposite = pictures.complement(shot.premultiplied(), shot.alpha)
    shown = {
        "plate": show(cut(shot.image)),
        "alpha": pictures.grey(alpha),
        "over grey": show(pictures.over(element, alpha, pictures.flat(as_coded(pictures.GREY, coded), alpha))),
        "over complement": show(pictures.over(element, alpha, pictures.flat(opposite, alpha))),
    }
    if shot.truth is not None:
        shown["true alpha"] = pictures.grey(cut(shot.truth))
    return {name: encoded(picture) for name, picture in shown.items()}
