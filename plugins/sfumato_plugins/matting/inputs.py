"""What the matte solver sees of a frame: a plate in light without holes, a trimap over its window, the clean plate."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato_plugins.files import Files
from sfumato_plugins.job import Job
from sfumato_plugins.place import Place
from sfumato_plugins.plates import Plates, naming, onto

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.matte.shot import FrameInput
    from sfumato.plate import Plate

_KEPT = 6  # frames held in memory: a frame, its neighbours, one to come


@dataclass(frozen=True)
class Source:
    """One frame as it was read.

    plate: In linear light of its own primaries (coded stills as they are), holes still in it.
    holes: (1, H, W) bool, pixels that are NaN or infinite.
    trimap: (1, H, W) of 0, 0.5, 1 over the plate's data window.
    clean: (3, H, W) background over the same window, or None.
    """

    plate: Plate
    holes: Tensor
    trimap: Tensor
    clean: Tensor | None


class ShotInputs:
    """Reads frames of one view; the last few are held, because neighbours are looked at again."""

    def __init__(self, job: Job, files: Files, values: Mapping[str, Any], place: Place) -> None:
        self._job = job
        self._files = files
        self._values = values
        self._place = place
        self._plates = Plates(job, files, place)
        self._held: OrderedDict[int, Source] = OrderedDict()

    def load(self, frame: int) -> FrameInput:
        """A frame for the solver: finite everywhere."""
        from sfumato.matte.shot import FrameInput
        from sfumato.plate import fill_holes

        source = self.source(frame)
        image = fill_holes(source.plate.rgb(), source.holes).contiguous()
        return FrameInput(image, source.trimap, source.clean, source.plate.coded)

    def source(self, frame: int) -> Source:
        """A frame as read.

        Raises:
            sfumato.errors.InputError: a file cannot be read, or holds nothing finite (exit 3).
            sfumato.errors.RequestError: sizes, spaces or a trimap that cannot be used (exit 2).
        """
        if frame not in self._held:
            self._held[frame] = self._read(frame)
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
        self._held.move_to_end(frame)
        return self._held[frame]

    def stats(self, frame: int) -> dict[str, Any]:
        """What a frame's record says of its inputs."""
        source = self.source(frame)
        unknown = (source.trimap == 0.5).sum().item()
        return {"holes": int(source.holes.sum()), "unknown_pixels": int(unknown), "device": str(self._place.device)}

    def _read(self, frame: int) -> Source:
        from sfumato.matte.trimap import check_usable

        plate = self._plates.linear(frame)
        holes = plate.holes()
        if count := int(holes.sum()):
            self._place.note(f"matte {frame}: {count} pixels are NaN or infinite; they are passed through")
        trimap = self._trimap(frame, plate)
        with naming(f"frame {frame}"):
            check_usable(trimap, plate.pixels)
        return Source(plate, holes, trimap, self._clean(frame, plate))

    def _trimap(self, frame: int, plate: Plate) -> Tensor:
        from sfumato.matte.trimap import combine, from_core_and_garbage, from_roto

        garbage = self._plates.mask("garbage", frame, plate.data)
        if "roto" in self._job.inputs:
            trimap = from_roto(
                _there(self._plates.mask("roto", frame, plate.data)), self._values["erode"], self._values["dilate"]
            )
        elif "core" in self._job.inputs:
            trimap = from_core_and_garbage(_there(self._plates.mask("core", frame, plate.data)), _there(garbage))
        elif self._values["keyed_trimap"]:
            trimap = self._between(frame)
        else:
            trimap = self._painted(frame, plate)
        return combine(
            trimap,
            garbage=garbage,
            holdout=self._plates.mask("holdout", frame, plate.data),
            hold_in=self._plates.mask("hold_in", frame, plate.data),
            hold_out=self._plates.mask("hold_out", frame, plate.data),
        )

    def _painted(self, frame: int, plate: Plate) -> Tensor:
        from sfumato.matte.trimap import classify

        picture = self._plates.picture("trimap", frame)
        assert picture is not None, "check has found it"
        over = onto(picture, plate.data)
        rgb = over.rgb() if {"R", "G", "B"} <= set(over.channels) else None
        with naming(f"frame {frame}"):
            return classify(over.matte() if rgb is None or not bool((rgb != 0).any()) else rgb)

    def _between(self, frame: int) -> Tensor:
        """A keyed trimap, carried from the painted ones around a frame along the motion of the plate."""
        from sfumato.matte.propagate import propagate
        from sfumato.plate import fill_holes
        from sfumato_plugins.tools.matte import trimap_gap

        def load(f: int) -> Tensor:
            plate = self._plates.linear(f)
            return fill_holes(plate.rgb(), plate.holes())

        keys = {f: self._painted(f, self._plates.linear(f)) for f in trimap_gap(self._files, frame)}
        return dict(propagate(keys, load, [frame]))[frame]

    def over(self, frame: int) -> Tensor | None:
        """The background given for review, in the plate's space; only looked at, never solved with."""
        if "over" not in self._job.inputs:
            return None
        given, plate = self._plates.linear(frame, "over", like=None), self.source(frame).plate
        if given.space and plate.space and given.space != plate.space:
            return self._place.config.transform(given.rgb(), given.space, plate.space)
        return given.rgb()

    def _clean(self, frame: int, plate: Plate) -> Tensor | None:
        from sfumato.errors import RequestError
        from sfumato.plate import fill_holes

        if "clean_plate" not in self._job.inputs:
            return None
        clean = self._plates.linear(frame, "clean_plate")
        if clean.space != plate.space:
            what = f"the clean plate is in {clean.space}, the plate in {plate.space}"
            raise RequestError(what, "deliver both in one space; both are taken to be in --colorspace when it is said")
        if len(clean.channels) == 1:
            what = f"the clean plate has one channel, {clean.channels[0]}, and no colours"
            raise RequestError(what, "give the plate without the subject, not its matte or trimap")
        clean = onto(clean, plate.data)
        return fill_holes(clean.rgb(), clean.holes()).contiguous()


def _there(mask: Tensor | None) -> Tensor:
    assert mask is not None, "check has found it"
    return mask
