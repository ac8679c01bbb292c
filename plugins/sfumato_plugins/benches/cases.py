"""What a matte bench measures: photographs with ground truth, and clips composited in light, as frames with truth."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from torch import Tensor

Path = pathlib.Path


@dataclass(frozen=True)
class Frame:
    """One frame with its truth.

    image: (3, H, W) float32, display-coded 0..1 on stills, unclipped linear on clips.
    truth: True alpha, (1, H, W) 0..1.
    trimap: (1, H, W), exactly 0, 0.5 or 1.
    premultiplied: True alpha x foreground, (3, H, W) linear, on clips.
    clean: The background alone, (3, H, W), where a bench gives it away.
    """

    image: Tensor
    truth: Tensor
    trimap: Tensor
    premultiplied: Tensor | None = None
    clean: Tensor | None = None


@dataclass(frozen=True)
class Case:
    """A still or a clip, read when asked for.

    trimap: 1 (narrow) or 2 (wide) on stills; 1 on clips, which have one.
    linear: Values are scene-linear light, not display-coded.
    """

    name: str
    trimap: int
    numbers: tuple[int, ...]
    linear: bool
    load: Callable[[int], Frame]

    @property
    def clip(self) -> bool:
        """Whether there is more than one frame."""
        return len(self.numbers) > 1
