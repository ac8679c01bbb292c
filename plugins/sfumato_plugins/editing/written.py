"""Edited frames read back from disk, as whoever opens them will see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato_plugins.editing.inputs import EditInputs
from sfumato_plugins.job import Job
from sfumato_plugins.plates import onto
from sfumato_plugins.template import for_layer

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.plate import Plate


@dataclass(frozen=True)
class Written:
    """A frame of an edited shot, in the plate's own values over its data window.

    source: What the plate's file said. plate, edit: (3, H, W).
    """

    source: Plate
    plate: Tensor
    edit: Tensor

    @property
    def added(self) -> Tensor:
        """(3, H, W), finite; exactly 0 where the edit left the plate alone."""
        return (self.edit - self.plate).nan_to_num(0.0, 0.0, 0.0)

    def shown(self) -> tuple[Tensor, Tensor]:
        """Plate and edit as a display would show them, (3, H, W) 0..1, finite: enough to compare one with the other."""
        from sfumato.diffusion.display import display_of

        display = display_of(self.source)
        finite = (pixels.nan_to_num(0.0, 0.0, 0.0) for pixels in (self.plate, self.edit))
        plate, edit = (display.encode(display.light(pixels)) for pixels in finite)
        return plate, edit


def read_written(job: Job, inputs: EditInputs, frame: int) -> Written:
    """A complete frame of a job, and its plate."""
    from sfumato.io import read_image

    pattern = job.output("edit")
    assert pattern is not None, "check says so first"
    plate = inputs.source(frame).plate
    edit = onto(read_image(for_layer(pattern, "rgba").at(frame)), plate.data).rgb()
    return Written(plate, plate.rgb(), edit)
