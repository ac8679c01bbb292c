"""A finished placement laid out for review: frames read back from disk, their boxes, numbers, and where it missed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.job import Job
from sfumato_plugins.place import Place
from sfumato_plugins.placing.drawing import enlarged, over
from sfumato_plugins.placing.models import is_ours, model_of
from sfumato_plugins.placing.page import write_page
from sfumato_plugins.placing.preview import write_clips
from sfumato_plugins.placing.staged import names_of, stagings
from sfumato_plugins.placing.summary import stats_of
from sfumato_plugins.private import allowed
from sfumato_plugins.template import for_layer
from sfumato_plugins.tool import Tool

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.matte.detail import Detail
    from sfumato.matte.review import Burn, Review
    from sfumato.place.box import Box
    from sfumato_plugins.placing.rendering import Seen

LONGEST = 512  # pixels: pictures are enlarged to whole multiples below this, and never blurred
MOST_DETAILS, MOST_TILES, MOST_CLIP_FRAMES = 4, 24, 240
NUMBERS = ("iou", "centroid_error", "presence", "seconds", "calls", "device")


def make_page(
    tool: Tool, job: Job, result: Mapping[str, Any], report: Callable[[Any], None], place: Place, *, page: str = ""
) -> list[str]:
    """Write the page of a complete job of one view; of a clip a GIF beside it, and an MP4 where ffmpeg is found.

    Returns:
        The files written, the page first.
    """
    target = page or getattr(job.output("page"), "text", "page.html")
    layout = _Layout(tool, job, result, report)
    written = [str(path) for path in write_page(target, layout.review())]
    if len(layout.frames) > 1:
        rate = layout.rate if job.tool == "trail" else 1.0
        clips = write_clips(os.path.splitext(target)[0], [layout.picture(f, True) for f in layout.frames], rate)
        written += clips
        place.note(f"{job.tool}: {', '.join(os.path.basename(p) for p in clips)} beside the page")
    return written


class _Layout:
    """Rows, clip and pictures of one view's frames."""

    def __init__(self, tool: Tool, job: Job, result: Mapping[str, Any], report: Callable[[Any], None]) -> None:
        self.tool, self.job, self.result, self.report = tool, job, result, report
        self.frames = list(job.written)
        self.values, self.stats = tool.values(job), stats_of(job, tool)
        self.names, self._stage = names_of(job), stagings(job)
        self.rate = self._stage(self.frames[0]).fps

    def review(self) -> Review:
        from sfumato.matte.review import Review
        from sfumato.report import Step

        rows = [self._row(frame) for frame in self.frames]
        first = look_first(rows, self.stats)
        details = []
        for step, (frame, reason) in enumerate(first, start=1):
            details.append(self._in_full(frame, reason))
            self.report(Step("review pictures", step, len(first), frame=frame))
        clip_frames = self.frames[:: max(1, -(-len(self.frames) // MOST_CLIP_FRAMES))]
        clip = self._clip(clip_frames)
        size = tuple(self._read(self.frames[0]).shape[:0:-1])
        sheets = {"sheet": self._sheet()}
        return Review(self.burn, (size[0], size[1]), self._summary(), rows, first, details, clip_frames, clip, sheets)

    def _row(self, frame: int) -> dict[str, Any]:
        """A frame's numbers, the IoU of each of several objects too."""
        stats = self.stats[frame]
        row = {"frame": frame, **{name: value for name in NUMBERS if (value := stats.get(name)) is not None}}
        each = stats.get("objects", {}) if len(self.names) > 1 else {}
        return {**row, **{f"IoU {name}": one["iou"] for name, one in each.items() if one["iou"] is not None}}

    @property
    def burn(self) -> Burn:
        from sfumato.matte.review import Burn

        source = self.job.inputs.get("track") or self.job.inputs.get("story") or ""
        title = self.job.names.get("shot") or os.path.splitext(os.path.basename(source))[0]
        preset = f"{self.values['method']}, strength {self.values['strength']:g}, {self.values['steps']} steps"
        return Burn(title, self.job.names.get("version", ""), f"sfumato {self.job.tool}", preset)

    def _summary(self) -> dict[str, Any]:
        from sfumato_plugins.placing.outputs import ORIGIN
        from sfumato_plugins.placing.summary import summary_of

        found = summary_of(self.job, self.tool)
        prompts = [words for frame in self.frames for _, words in self._stage(frame).prompts]
        centroid = found.get("centroid_error")
        measured = {
            "IoU": f"{found['iou']:.2f}" if found else "not measured: nothing here finds objects of this model",
            "centroid error": "" if centroid is None else f"{centroid:.3f} of the diagonal",
            "presence": f"{found['presence']:.0%}" if found else "",
        }
        demo = is_ours(model_of(self.job.tool, self.values))
        return {
            "model": self.result["trained_weights"],
            "note": "the embedded model is a demo, not for shots" if demo else "",
            **({"prompt": " / ".join(dict.fromkeys(prompts))} if allowed(self.job) else {}),
            **measured,
            "origin": ORIGIN,
            "seed": self.job.seed or "0",
            "version": self.result["version"],
            "job": self.result["job_hash"],
        }

    def picture(self, frame: int, boxes: bool) -> Tensor:
        """A frame as a display shows it, enlarged, with its boxes or without, (3, h, w)."""
        shown = self._read(frame)
        return over(shown, self._objects(frame), self.names, LONGEST) if boxes else enlarged(shown, LONGEST)

    def _read(self, frame: int) -> Tensor:
        """The file's picture, display-referred."""
        from sfumato.diffusion.display import Display
        from sfumato.io import read_image

        pattern = self.job.output(self.tool.main_output.name)
        assert pattern is not None, "check says so first"
        return Display().encode(read_image(for_layer(pattern, "rgba").at(frame)).rgb().clamp(0, 1))

    def _objects(self, frame: int) -> tuple[Seen, ...]:
        """A frame's objects as its record has them, else as they are asked for."""
        from sfumato_plugins.placing.rendering import Seen

        stage = self._stage(frame)
        rows = self.stats[frame].get("objects")
        if rows is None:
            at = stage.start + (self.frames.index(frame) if stage.count > 1 else 0)
            return tuple(Seen(s.name, s.phrases[0], stage.seen(s, at), None) for s in stage.subjects)
        return tuple(Seen(name, name, _box(row["asked"]), _box(row["found"])) for name, row in rows.items())

    def _clip(self, frames: list[int]) -> dict[str, list[bytes]]:
        from sfumato.matte.sheet import encoded

        modes = {"with boxes": True, "picture": False} if len(self.frames) > 1 else {}
        return {mode: [encoded(self.picture(f, boxes), ".png") for f in frames] for mode, boxes in modes.items()}

    def _sheet(self) -> bytes:
        """Every frame, or some evenly, with boxes and IoU."""
        from sfumato.matte.sheet import contact_sheet, encoded

        chosen = self.frames[:: max(1, -(-len(self.frames) // MOST_TILES))]
        tiles = [(self._label(frame), self.picture(frame, True)) for frame in chosen]
        if len(tiles) == 1:
            tiles.append(("picture", self.picture(chosen[0], False)))
        return encoded(contact_sheet(tiles, self.burn.line(), min(4, len(tiles)), 320))

    def _label(self, frame: int) -> str:
        iou = self.stats[frame].get("iou")
        return f"{frame}" + (f"   IoU {iou:.2f}" if iou is not None else "")

    def _in_full(self, frame: int, reason: str) -> Detail:
        from sfumato.matte.detail import Detail
        from sfumato.matte.sheet import encoded

        shown = {"boxes": self.picture(frame, True), "picture": self.picture(frame, False)}
        shown["where it missed"] = self._missed(frame)
        return Detail(frame, reason, {name: encoded(picture) for name, picture in shown.items()}, [])

    def _missed(self, frame: int) -> Tensor:
        """A heat map: bright where a found box and the asked one differ, summed over objects, (3, h, w)."""
        import torch

        from sfumato.matte.pictures import heat
        from sfumato.place.masks import coverage

        height, width = enlarged(self._read(frame), LONGEST).shape[-2:]
        apart = torch.zeros(1, height, width)
        for one in self._objects(frame):
            asked, found = (
                coverage(b, height, width) if b else torch.zeros(height, width) for b in (one.asked, one.found)
            )
            apart += (asked - found).abs()
        return heat(apart, 1.0)


def look_first(rows: list[dict[str, Any]], stats: Mapping[int, Mapping[str, Any]]) -> list[tuple[int, str]]:
    """The frames to see first and why: those that were not verified, the worst placed, then the first."""
    found: dict[int, str] = {}
    for frame, one in stats.items():
        lost = [name for name, row in one.get("objects", {}).items() if row["asked"] and not row["present"]]
        if lost:
            found.setdefault(frame, f"{', '.join(lost)} not found")
        elif one.get("verified") is False:
            lacks = f"{', '.join(one['unlike'])} not as said" if one.get("unlike") else "not verified"
            found.setdefault(frame, f"{lacks} in {len(one['tries'])} tries")
    for row in sorted((row for row in rows if "iou" in row), key=lambda row: row["iou"])[:2]:
        found.setdefault(row["frame"], f"IoU {row['iou']:.2f}")
    found.setdefault(rows[0]["frame"], "the first frame")
    return list(found.items())[:MOST_DETAILS]


def _box(edges: Any) -> Box | None:
    from sfumato.place.box import Box

    return Box(*edges) if edges else None
