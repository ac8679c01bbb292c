"""The page of a finished shot: frames read back from disk, as an artist will read them, and laid out for review."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sfumato_plugins.files import Files
from sfumato_plugins.frames import Pattern
from sfumato_plugins.job import Job
from sfumato_plugins.matting.inputs import ShotInputs
from sfumato_plugins.page import write_page
from sfumato_plugins.place import Place
from sfumato_plugins.plates import onto
from sfumato_plugins.template import for_layer
from sfumato_plugins.tool import Tool

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.matte.review import ReviewFrame
    from sfumato.plate import Plate, Window


def make_page(
    tool: Tool,
    job: Job,
    result: Mapping[str, Any],
    report: Callable[[Any], None],
    place: Place,
    *,
    page: str = "",
    truth: Pattern | None = None,
) -> list[str]:
    """Write the page of a complete job of one view.

    Args:
        result: The job's result; gives each frame's numbers.
        page: Where to; default: the job's own output.
        truth: True alpha, where there is one (a demo).

    Returns:
        The files written, the page first.
    """
    from sfumato.color import display
    from sfumato.matte.review import Burn, review_shot

    frames = _Frames(tool, job, result, place, truth)
    first = frames.inputs.source(frames.numbers[0]).plate
    target = job.output("page")
    values = tool.values(job)
    title = job.names.get("shot") or os.path.basename(job.inputs[tool.main_input.name]).partition(".")[0]
    review = review_shot(
        frames.numbers,
        frames.load,
        lambda rgb: display(rgb, place.config, first.space),
        burn=Burn(title, job.names.get("version", ""), f"sfumato {tool.name}", values["quality"]),
        over=frames.inputs.over(frames.numbers[0]),
        coded=first.coded,
        summary=_summary(job, result, first),
        report=report,
    )
    rate = first.metadata.get("FramesPerSecond", 24.0)
    written = write_page(
        page or (target.text if target else "page.html"), review, rate=rate if isinstance(rate, float) else 24.0
    )
    return [str(path) for path in written]


def _summary(job: Job, result: Mapping[str, Any], plate: Plate) -> dict[str, Any]:
    mine = [frame for frame in result["frames"] if frame["view"] == job.view]
    seconds = [s for frame in mine if isinstance(s := frame["stats"].get("seconds"), (int, float))]
    devices = sorted({str(frame["stats"].get("device") or "") for frame in mine} - {""})
    return {
        "view": job.view,
        "colour": plate.space,
        "seconds a frame": f"{sum(seconds) / len(seconds):.2f}" if seconds else "",
        "device": ", ".join(devices),
        "seed": job.seed or "0",
        "version": result["version"],
        "job": result["job_hash"],
    }


class _Frames:
    """Solved frames and their inputs, one by one."""

    def __init__(self, tool: Tool, job: Job, result: Mapping[str, Any], place: Place, truth: Pattern | None) -> None:
        files = Files(tool, job)
        self.numbers = files.written
        self.inputs = ShotInputs(job, files, tool.values(job), place)
        self._stats = {frame["frame"]: frame["stats"] for frame in result["frames"] if frame["view"] == job.view}
        self._matte = job.output("matte")
        self._before = _previous(job)
        self._truth = truth

    def load(self, frame: int) -> ReviewFrame:
        from sfumato.matte.review import ReviewFrame

        source = self.inputs.source(frame)
        window = source.plate.data
        assert self._matte is not None, "check says so first"
        alpha = _read(self._matte, frame, window, ("A",))
        assert alpha is not None, "the job is complete"
        image = source.plate.rgb()
        layers = {layer: _read(self._matte, frame, window, ("R", "G", "B"), layer) for layer in ("fg", "bg")}
        foreground, background = (image if layer is None else layer for layer in layers.values())
        return ReviewFrame(
            image=image,
            trimap=source.trimap,
            alpha=alpha,
            foreground=foreground,
            background=background,
            confidence=_read(self._matte, frame, window, ("A",), "confidence"),
            previous=_read(self._before, frame, window, ("A",)) if self._before else None,
            truth=_read(self._truth, frame, window, ("A",)) if self._truth else None,
            stats=self._stats.get(frame, {}),
        )


def _read(pattern: Pattern, frame: int, window: Window, names: tuple[str, ...], layer: str = "") -> Tensor | None:
    """Channels of a layer over a window; None where the layer was not written or the file is not there."""
    from sfumato.io import read_header, read_image

    alone = "{layer}" in pattern.text
    path = for_layer(pattern, layer or "rgba").at(frame)
    if not os.path.isfile(path):
        return None
    wanted = names if alone or not layer else tuple(f"{layer}.{name}" for name in names)
    there = read_header(path).main.channels
    if not set(wanted) <= set(there):
        return onto(read_image(path), window).matte() if not layer and len(there) == 1 else None
    picture = onto(read_image(path), window)
    return picture.pixels[[picture.channels.index(name) for name in wanted]]


def _previous(job: Job) -> Pattern | None:
    """The same output one version earlier, where there is one."""
    version, pattern = job.names.get("version", ""), job.output("matte")
    match = re.fullmatch(r"v(\d+)", version)
    if not match or pattern is None or int(match[1]) < 2 or version not in pattern.text:
        return None
    earlier = Pattern(pattern.text.replace(version, f"v{int(match[1]) - 1:0{len(match[1])}d}"))
    return earlier if for_layer(earlier, "rgba").on_disk() else None
