"""What a diffusion edit reads of a frame: the plate, where it may act, and an inversion that was made before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfumato_plugins.files import Files
from sfumato_plugins.job import Job
from sfumato_plugins.place import Place
from sfumato_plugins.plates import Plates

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.diffusion.inversion import Inversion
    from sfumato.plate import Plate


@dataclass(frozen=True)
class Source:
    """One frame as it was read.

    plate: In linear light of its own primaries (coded stills as they are), holes still in it.
    mask: (1, H, W) over the plate's data window, or None.
    """

    plate: Plate
    mask: Tensor | None


class EditInputs:
    """Reads frames of one view."""

    def __init__(self, job: Job, files: Files, place: Place) -> None:
        self._job, self._files, self._place = job, files, place
        self._plates = Plates(job, files, place)

    def source(self, frame: int) -> Source:
        """A frame as read.

        Raises:
            sfumato.errors.InputError: a file cannot be read, or holds nothing finite (exit 3).
            sfumato.errors.RequestError: sizes or spaces that cannot be used (exit 2).
        """
        plate = self._plates.linear(frame)
        if count := int(plate.holes().sum()):
            self._place.note(f"{self._job.tool} {frame}: {count} pixels are NaN or infinite; they are passed through")
        mask = self._plates.mask("mask", frame, plate.data)
        return Source(plate.replace(frame=frame), None if mask is None else mask.clamp(0, 1))

    def inversion(self, frame: int) -> Inversion | None:
        """The inversion record given for a frame, on the place's device.

        Raises:
            sfumato.errors.InputError: it is none, or damaged (exit 3).
        """
        from sfumato.diffusion.inversion import load_inversion

        read = self._files.read("record", frame)
        return load_inversion(read.path, self._place.device or "cpu") if read else None
