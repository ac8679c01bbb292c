"""Pictures of the actor beside the solved face, at the same frame of the timeline. Needs the engine for pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sfumato_plugins.errors import JobError
from sfumato_plugins.files import nothing_there
from sfumato_plugins.frames import Pattern

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.color import Config
    from sfumato.plate import Plate


class Reference:
    """A sequence of pictures numbered as the timeline.

    Raises:
        JobError: one is named and not one file is there (exit 3).
    """

    def __init__(self, pattern: str, colour: tuple[Config, str | None] | None = None) -> None:
        self._pattern = Pattern(pattern) if pattern else None
        self._colour = colour
        self._there = frozenset(self._pattern.on_disk()) if self._pattern else frozenset()
        if self._pattern and not self._there:
            raise JobError(nothing_there("inputs.reference", pattern))

    @property
    def given(self) -> bool:
        return self._pattern is not None

    def missing(self, frames: Sequence[float]) -> list[float]:
        """Those of the frames that have no picture, where there should be some."""
        return [frame for frame in frames if self.given and math.floor(frame) not in self._there]

    def at(self, frame: float, size: tuple[int, int]) -> Tensor | None:
        """The picture shown at a frame (between two frames: the earlier one's), fitted into a box; (3, H, W) 0..1."""
        from sfumato.io import read_image
        from sfumato.matte.sheet import fitted

        number = math.floor(frame)
        if self._pattern is None or number not in self._there:
            return None
        return fitted(self._shown(read_image(self._pattern.at(number))), *size)

    def beside(self, frame: float, size: tuple[int, int]) -> Tensor:
        """The same; an empty sheet where there is none."""
        from sfumato.matte.sheet import paper

        found = self.at(frame, size)
        return paper(*size) if found is None else found

    def _shown(self, plate: Plate) -> Tensor:
        """As a display has it: pictures that are display-coded already are left as they are."""
        from sfumato.color import display, to_linear

        rgb = plate.rgb().nan_to_num(0.0, 0.0, 0.0)
        if plate.coded or self._colour is None:
            return rgb.clamp(0, 1)
        config, space = self._colour
        linear, _ = to_linear(plate, config, space)
        return display(linear.rgb().nan_to_num(0.0, 0.0, 0.0), config, linear.space)
