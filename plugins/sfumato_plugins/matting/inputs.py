"""What the matte solver sees of a frame: a plate in light without holes, a trimap over its window, the clean plate."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato_plugins.files import Files
from sfumato_plugins.frames import Pattern
from sfumato_plugins.job import Job
from sfumato_plugins.place import Place

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.matte.shot import FrameInput
    from sfumato.plate import Plate, Window

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

        plate = self.plate(frame)
        holes = plate.holes()
        if count := int(holes.sum()):
            self._place.note(f"matte {frame}: {count} pixels are NaN or infinite; they are passed through")
        trimap = self._trimap(frame, plate)
        with naming(f"frame {frame}"):
            check_usable(trimap, plate.pixels)
        return Source(plate, holes, trimap, self._clean(frame, plate))

    def plate(self, frame: int, name: str = "plate") -> Plate:
        """A colour input in linear light."""
        from sfumato.color import to_linear

        picture = self._picture(name, frame)
        assert picture is not None, "check has found it"
        declared = self._job.color.get(name) or (self._job.color.get("plate") if name != "over" else None)
        linear, note = to_linear(picture, self._place.config, declared)
        self._place.note(f"matte: {name}: {note}")
        return linear

    def _picture(self, name: str, frame: int) -> Plate | None:
        from sfumato.io import read_header, read_image

        read = self._files.read(name, frame)
        if read is None:
            return None
        view = self._job.view
        inside = view is not None and not Pattern(self._job.inputs[name]).has_view
        return read_image(read.path, view=view if inside and view in read_header(read.path).views else None)

    def _trimap(self, frame: int, plate: Plate) -> Tensor:
        from sfumato.matte.trimap import combine, from_core_and_garbage, from_roto

        garbage = self._mask("garbage", frame, plate)
        if "roto" in self._job.inputs:
            trimap = from_roto(_there(self._mask("roto", frame, plate)), self._values["erode"], self._values["dilate"])
        elif "core" in self._job.inputs:
            trimap = from_core_and_garbage(_there(self._mask("core", frame, plate)), _there(garbage))
        elif self._values["keyed_trimap"]:
            trimap = self._between(frame)
        else:
            trimap = self._painted(frame, plate)
        return combine(
            trimap,
            garbage=garbage,
            holdout=self._mask("holdout", frame, plate),
            hold_in=self._mask("hold_in", frame, plate),
            hold_out=self._mask("hold_out", frame, plate),
        )

    def _painted(self, frame: int, plate: Plate) -> Tensor:
        from sfumato.matte.trimap import classify

        picture = self._picture("trimap", frame)
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
            plate = self.plate(f)
            return fill_holes(plate.rgb(), plate.holes())

        keys = {f: self._painted(f, self.plate(f)) for f in trimap_gap(self._files, frame)}
        return dict(propagate(keys, load, [frame]))[frame]

    def _mask(self, name: str, frame: int, plate: Plate) -> Tensor | None:
        picture = self._picture(name, frame)
        if picture is None:
            return None
        over = onto(picture, plate.data)
        if "A" not in over.channels and {"R", "G", "B"} <= set(over.channels):
            colours = over.rgb()
            if bool((colours != colours[:1]).any()):
                self._place.note(f"matte: {name} is a colour picture without an A; its R is taken")
        return over.matte().nan_to_num(0.0)

    def over(self, frame: int) -> Tensor | None:
        """The background given for review, in the plate's space; only looked at, never solved with."""
        if "over" not in self._job.inputs:
            return None
        given, plate = self.plate(frame, "over"), self.source(frame).plate
        if given.space and plate.space and given.space != plate.space:
            return self._place.config.transform(given.rgb(), given.space, plate.space)
        return given.rgb()

    def _clean(self, frame: int, plate: Plate) -> Tensor | None:
        from sfumato.errors import RequestError
        from sfumato.plate import fill_holes

        if "clean_plate" not in self._job.inputs:
            return None
        clean = self.plate(frame, "clean_plate")
        if clean.space != plate.space:
            what = f"the clean plate is in {clean.space}, the plate in {plate.space}"
            raise RequestError(what, "deliver both in one space; both are taken to be in --colorspace when it is said")
        if len(clean.channels) == 1:
            what = f"the clean plate has one channel, {clean.channels[0]}, and no colours"
            raise RequestError(what, "give the plate without the subject, not its matte or trimap")
        clean = onto(clean, plate.data)
        return fill_holes(clean.rgb(), clean.holes()).contiguous()


def onto(picture: Plate, window: Window) -> Plate:
    """A picture over the plate's data window.

    Where it covers its whole format, its edge is carried on into overscan, of which it knows nothing; where it was
    cropped inside its format, what is missing is 0, as in Nuke.
    """
    import torch

    whole = picture.on(picture.data.around(picture.display))
    rows = torch.arange(window.top, window.bottom).clamp(whole.data.top, whole.data.bottom - 1) - whole.data.top
    columns = torch.arange(window.left, window.right).clamp(whole.data.left, whole.data.right - 1) - whole.data.left
    return whole.replace(pixels=whole.pixels[:, rows][:, :, columns].contiguous(), data=window)


def _there(mask: Tensor | None) -> Tensor:
    assert mask is not None, "check has found it"
    return mask


class naming:  # noqa: N801 reads as a word in a with statement
    """Say in an error's first words which frame it is about."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from sfumato.errors import SfumatoError

        if isinstance(error, SfumatoError):
            raise type(error)(f"{self._what}: {error.message}", error.hint) from error
