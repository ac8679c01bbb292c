"""Plate: pixels with all that a file says about them, and Window: where they lie. Importable without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sfumato.errors import InputError

if TYPE_CHECKING:
    import torch

RGB = ("R", "G", "B")


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of whole pixels: row 0 on top, the origin may be negative, right and bottom are one past the last.

    >>> Window(-2, 0, 5, 4).right
    3
    """

    left: int
    top: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 0 or self.height < 0:
            raise ValueError(f"a window cannot be {self.width} x {self.height}")

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    def common(self, other: Window) -> Window:
        """The part inside both; of width or height 0 where they do not meet."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        width, height = min(self.right, other.right) - left, min(self.bottom, other.bottom) - top
        return Window(left, top, max(width, 0), max(height, 0))

    def around(self, other: Window) -> Window:
        """The smallest window that holds both."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Window(left, top, max(self.right, other.right) - left, max(self.bottom, other.bottom) - top)

    def slices(self, inside: Window) -> tuple[slice, slice]:
        """Rows and columns of this window in an array that covers `inside`."""
        rows = slice(self.top - inside.top, self.bottom - inside.top)
        return rows, slice(self.left - inside.left, self.right - inside.left)

    def __str__(self) -> str:
        return f"{self.width} x {self.height} at {self.left}, {self.top}"


@dataclass(frozen=True)
class Plate:
    """One image as a file holds it.

    pixels: (C, H, W) float32 over the data window, row 0 on top, in the file's own encoding (`space`), never clipped.
    channels: C names, "R" or "layer.R"; unique.
    space: Colour space of R, G, B as the file or the artist names it; None where nobody said.
    data, display: Data and display window; either may reach outside the other.
    pixel_aspect: Width of a pixel over its height.
    metadata: Everything else the file said, plain values; `types` keeps the OpenImageIO type of unusual ones.
    compression: How the file was packed, for instance "zip" or "dwaa:45".
    coded: Display-coded integers (PNG, JPEG, integer TIFF) scaled to 0..1; not light.
    """

    pixels: torch.Tensor
    channels: tuple[str, ...]
    space: str | None
    data: Window
    display: Window
    pixel_aspect: float = 1.0
    metadata: Mapping[str, object] = field(default_factory=dict)
    compression: str | None = None
    frame: int | None = None
    view: str | None = None
    coded: bool = False
    types: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = tuple(self.pixels.shape)
        if shape != (len(self.channels), self.data.height, self.data.width):
            raise ValueError(f"pixels {shape} do not fit {len(self.channels)} channels over {self.data}")
        if len(set(self.channels)) != len(self.channels):
            raise ValueError(f"a channel name appears twice: {', '.join(self.channels)}")
        object.__setattr__(self, "metadata", dict(self.metadata))
        object.__setattr__(self, "types", dict(self.types))

    @property
    def height(self) -> int:
        return self.data.height

    @property
    def width(self) -> int:
        return self.data.width

    def channel(self, name: str) -> torch.Tensor:
        """One channel by name, (1, H, W).

        Raises:
            InputError: there is none of that name.
        """
        if name not in self.channels:
            raise InputError(f"there is no channel {name}", f"the channels are {', '.join(self.channels)}")
        index = self.channels.index(name)
        return self.pixels[index : index + 1]

    def rgb(self) -> torch.Tensor:
        """R, G, B as (3, H, W); a picture of one channel is repeated three times.

        Raises:
            InputError: the picture has several channels and R, G, B are not among them.
        """
        if set(RGB) <= set(self.channels):
            return self.pixels[[self.channels.index(name) for name in RGB]]
        grey = "Y" if "Y" in self.channels else self.channels[0] if len(self.channels) == 1 else None
        if grey is None:
            raise InputError(
                f"there is no colour in this picture: its channels are {', '.join(self.channels)}",
                "name the layer that holds R, G and B",
            )
        return self.channel(grey).expand(3, -1, -1)

    def matte(self) -> torch.Tensor:
        """The one channel meant when a picture is used as a mask, (1, H, W): A, else the only or first colour channel.

        An A that is 1 everywhere beside colour (what a PNG with an unused alpha has) is not the mask; the colour is.
        """
        if "A" in self.channels:
            alpha = self.channel("A")
            if len(self.channels) == 1 or bool((alpha != 1).any()):
                return alpha
        for name in ("Y", "R"):
            if name in self.channels:
                return self.channel(name)
        return self.pixels[:1]

    def holes(self) -> torch.Tensor:
        """(1, H, W) bool: pixels where a colour channel (every channel, if there is no colour) is NaN or infinite."""
        colour = [i for i, name in enumerate(self.channels) if name in (*RGB, "Y")]
        pixels = self.pixels[colour] if colour else self.pixels
        return ~pixels.isfinite().all(0, keepdim=True)

    def on(self, window: Window, fill: float = 0.0) -> Plate:
        """The same picture over another data window; what was not there is `fill`, what does not fit is cut."""
        if window == self.data:
            return self
        pixels = self.pixels.new_full((len(self.channels), window.height, window.width), fill)
        shared = self.data.common(window)
        pixels[(slice(None), *shared.slices(window))] = self.pixels[(slice(None), *shared.slices(self.data))]
        return dataclasses.replace(self, pixels=pixels, data=window)

    def replace(self, **changes: object) -> Plate:
        """A copy with some fields changed, for instance `plate.replace(pixels=alpha, channels=("A",))`."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def fill_holes(pixels: torch.Tensor, holes: torch.Tensor) -> torch.Tensor:
    """Replace holes by a smooth continuation of what surrounds them, so that a solver sees finite numbers.

    Pull-push: Gortler et al., "The Lumigraph", 1996, section 3.4. Valid pixels are averaged 2 x 2 to a single one,
    then holes are filled from the next coarser level on the way back. Pixels that are no holes keep their bits.

    Args:
        pixels: (C, H, W) float; anything under a hole.
        holes: (1, H, W) bool, True where there is nothing to believe.

    Returns:
        (C, H, W), finite wherever the rest was; 0 if everything is a hole.
    """
    from torch.nn.functional import avg_pool2d, interpolate, pad

    if not bool(holes.any()):
        return pixels
    weight = (~holes).to(pixels.dtype)
    valued = pixels.masked_fill(holes, 0.0)
    if holes.all():
        return valued
    odd = (0, pixels.shape[2] % 2, 0, pixels.shape[1] % 2)
    share = avg_pool2d(pad(weight, odd)[None], 2)[0]
    coarse = avg_pool2d(pad(valued, odd)[None], 2)[0] / share.clamp_min(1e-12)
    coarse = fill_holes(coarse, share == 0)
    fine = interpolate(coarse[None], scale_factor=2, mode="bilinear", align_corners=False)[0]
    return valued.where(~holes, fine[:, : pixels.shape[1], : pixels.shape[2]])
