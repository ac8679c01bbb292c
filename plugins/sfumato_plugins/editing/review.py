"""A finished edit laid out for review: frames read back from disk, and what the model saw while they were made."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.editing.inputs import EditInputs
from sfumato_plugins.editing.page import write_page
from sfumato_plugins.editing.written import Written, read_written
from sfumato_plugins.files import Files
from sfumato_plugins.job import Job
from sfumato_plugins.place import Place
from sfumato_plugins.private import allowed
from sfumato_plugins.tool import Tool

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.diffusion.edit import Edit
    from sfumato.matte.detail import Detail
    from sfumato.matte.review import Burn, Review
    from sfumato.plate import Plate

SMALL, LONGEST = 640, 960  # pixels: long side of the clip's frames, and of pictures
MOST_CLIP_FRAMES, MOST_DETAILS = 240, 4
TIMES = 10  # a difference is shown so much stronger
NUMBERS = ("seconds", "seconds_up", "seconds_down", "seconds_plate", "calls", "exact", "changed", "latent_mean",
           "latent_deviation", "latent_kurtosis", "latent_neighbours", "view", "holes", "device")  # fmt: skip


def make_page(
    tool: Tool,
    job: Job,
    result: Mapping[str, Any],
    report: Callable[[Any], None],
    place: Place,
    *,
    page: str = "",
) -> list[str]:
    """Write the page of a complete job of one view.

    Args:
        result: The job's result; gives each frame's numbers.
        page: Where to; default: the job's own output.

    Returns:
        The files written, the page first.
    """
    files = Files(tool, job)
    target = job.output("page")
    layout = _Layout(tool, job, files, result, report, place)
    written = write_page(page or (target.text if target else "page.html"), layout.review())
    return [str(path) for path in written]


def keep_seen(job: Job, values: Mapping[str, Any], frame: int, plate: Plate, edit: Edit, place: Place) -> None:
    """Keep what the model saw and made of a frame, and its contact sheet, until the page is there to hold them."""
    import torch

    from sfumato.diffusion.sheet import edit_sheet

    if place.store:
        sheet = edit_sheet(edit, plate, _show(place, plate), burn_of(job, values).line(frame))
        pictures = {"plate": edit.plate, "recon": edit.recon, "edit": edit.edit}
        place.store.put(f"seen-{frame}", {**pictures, "sheet": torch.frombuffer(bytearray(sheet), dtype=torch.uint8)})


def burn_of(job: Job, values: Mapping[str, Any]) -> Burn:
    """What is burnt into every picture: shot, version, tool and how it was edited."""
    from sfumato.matte.review import Burn

    title = job.names.get("shot") or os.path.basename(job.inputs["plate"]).partition(".")[0]
    preset = f"{values['steps']} steps, strength {values['strength']:g}, guidance {values['guidance']:g}"
    return Burn(title, job.names.get("version", ""), f"sfumato {job.tool}", preset)


def _show(place: Place, plate: Plate) -> Callable[[Tensor], Tensor]:
    """A plate's values as the show's display has them."""
    from sfumato.color import display

    return lambda rgb: display(rgb, place.config, plate.space)


class _Layout:
    """Rows, clip and pictures of one view's frames."""

    def __init__(
        self,
        tool: Tool,
        job: Job,
        files: Files,
        result: Mapping[str, Any],
        report: Callable[[Any], None],
        place: Place,
    ) -> None:
        self.job, self.frames, self.place, self.report = job, files.written, place, report
        self.inputs = EditInputs(job, files, place)
        self.values, self.result = tool.values(job), result
        self.stats = {frame["frame"]: frame["stats"] for frame in result["frames"] if frame["view"] == job.view}
        self.burn = burn_of(job, self.values)

    def review(self) -> Review:
        from sfumato.matte.review import Review
        from sfumato.report import Step

        rows, clip_frames, clip = self._numbers()
        first = look_first(rows)
        details, sheets = [], {}
        for step, (frame, reason) in enumerate(first, start=1):
            detail, sheets[str(frame)] = self._in_full(frame, reason)
            details.append(detail)
            self.report(Step("review pictures", step, len(first), frame=frame))
        one = read_written(self.job, self.inputs, self.frames[0])
        size = one.plate.shape[2], one.plate.shape[1]
        return Review(self.burn, size, self._summary(one), rows, first, details, clip_frames, clip, sheets)

    def _summary(self, one: Written) -> dict[str, Any]:
        mine = list(self.stats.values())
        seconds = [s["seconds"] for s in mine if "seconds" in s]
        exact = [s["exact"] for s in mine if "exact" in s]
        flicker = self.result.get("sequence", {}).get(self.job.view or "main", {})
        return {
            "view": self.job.view,
            "colour": one.source.space,
            "model": self.result["trained_weights"],
            **({name: self.values[name] for name in ("source", "target")} if allowed(self.job) else {}),
            "trip": f"exact in {sum(exact)} of {len(exact)} frames" if exact else "",
            "network calls a frame": max((s.get("calls", 0) for s in mine), default=0),
            "seconds a frame": f"{sum(seconds) / len(seconds):.2f}" if seconds else "",
            "flicker": f"{flicker['ratio']:.2f} of the plate's" if flicker.get("ratio") else "",
            "seed": self.job.seed or "0",
            "version": self.result["version"],
            "job": self.result["job_hash"],
        }

    def _numbers(self) -> tuple[list[dict[str, Any]], list[int], dict[str, list[bytes]]]:
        """A row for each frame, and the small frames of the clip. Three frames are held at a time."""
        from sfumato.matte.sheet import encoded
        from sfumato.report import Step

        clip_frames = list(self.frames)[:: max(1, -(-len(self.frames) // MOST_CLIP_FRAMES))]
        clip: dict[str, list[bytes]] = {"plate": [], "edit": [], f"difference x{TIMES}": []}
        rows: list[dict[str, Any]] = []
        held: list[Written] = []
        for step, frame in enumerate(self.frames, start=1):
            one = read_written(self.job, self.inputs, frame)
            rows.append(
                {"frame": frame, **{n: v for n in NUMBERS if (v := self.stats.get(frame, {}).get(n)) is not None}}
            )
            held = [*(held[-2:] if self.frames[step - 2] == frame - 1 else []), one]
            if len(held) == 3:
                rows[-2].update(_flicker(held))
            if frame in clip_frames:
                for mode, picture in zip(clip, self._pictures(one, SMALL).values()):
                    clip[mode].append(encoded(picture, ".jpg", 84))
            self.report(Step("review numbers", step, len(self.frames), frame=frame))
        return rows, clip_frames, clip

    def _pictures(self, one: Written, longest: int) -> dict[str, Tensor]:
        """Plate, edit and what lies between them, display-coded, (3, h, w)."""
        from sfumato.matte.pictures import reduce_to

        show = _show(self.place, one.source)
        plate, edit = (show(reduce_to(p.nan_to_num(0, 0, 0), longest)) for p in (one.plate, one.edit))
        return {"plate": plate, "edit": edit, f"difference x{TIMES}": ((edit - plate).abs() * TIMES).clamp(0, 1)}

    def _in_full(self, frame: int, reason: str) -> tuple[Detail, bytes]:
        """A frame's pictures, and its contact sheet: the one made with it, or of what lies on disk."""
        from sfumato.matte.detail import Detail
        from sfumato.matte.pictures import grey, reduce_to
        from sfumato.matte.sheet import contact_sheet, encoded

        one = read_written(self.job, self.inputs, frame)
        shown = self._pictures(one, LONGEST)
        added = reduce_to((one.added != 0).any(0, keepdim=True).float(), LONGEST)
        shown["where it changed"] = grey(added)
        seen = self.place.store.get(f"seen-{frame}") if self.place.store else None
        if seen:
            shown.update(_model_saw(seen))
            sheet = bytes(seen["sheet"].numpy())
        else:
            sheet = encoded(contact_sheet(list(shown.items()), self.burn.line(frame)))
        pictures = {name: encoded(p, ".png" if name in _EXACT else ".jpg", 92) for name, p in shown.items()}
        return Detail(frame, reason, pictures, []), sheet


def _model_saw(seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the model was shown and made, pixel by pixel but enlarged: a browser would blur small ones."""
    found = {
        "seen by the model": seen["plate"],
        "reconstruction": seen["recon"],
        "the model's edit": seen["edit"],
        f"edit less reconstruction x{TIMES}": ((seen["edit"] - seen["recon"]).abs() * TIMES).clamp(0, 1),
    }
    times = max(1, SMALL // max(seen["plate"].shape[-2:]))
    return {name: p.repeat_interleave(times, 1).repeat_interleave(times, 2) for name, p in found.items()}


_EXACT = ("seen by the model", "reconstruction", "the model's edit", f"edit less reconstruction x{TIMES}",
          "where it changed")  # fmt: skip


def _flicker(three: Sequence[Written]) -> dict[str, float]:
    """Of the middle one of three frames, where it or its neighbours were edited: the edit's and the plate's, x 1e3."""
    import torch

    from sfumato.diffusion.metrics import flicker

    if len({tuple(one.plate.shape) for one in three}) > 1:
        return {}
    where = torch.stack([one.added != 0 for one in three]).any(0).any(0, keepdim=True)
    plates, edits = zip(*(one.shown() for one in three))
    found = {"flicker": edits, "plate_flicker": plates}
    return {name: 1e3 * flicker(before, here, after, where) for name, (before, here, after) in found.items()}


def look_first(rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, str]]:
    """The frames to see first and why: a trip that was not exact, the strongest flicker, the largest change."""
    found: dict[int, str] = {}
    inexact = [row for row in rows if row.get("exact") is False]
    if inexact:
        found[inexact[0]["frame"]] = f"the trip is not exact, in {len(inexact)} frames"
    restless = [row for row in rows if row.get("flicker", 0) > row.get("plate_flicker", 0)]
    for row in sorted(restless, key=lambda r: r["plate_flicker"] - r["flicker"])[:2]:
        found.setdefault(
            row["frame"], f"flickers by {row['flicker']:.1f}e-3, its plate by {row['plate_flicker']:.1f}e-3"
        )
    changed = max(rows, key=lambda row: row.get("changed", 0))
    if changed.get("changed"):
        found.setdefault(changed["frame"], f"changed most, {changed['changed']:.1%} of the pixels")
    found.setdefault(rows[0]["frame"], "the first frame")
    return list(found.items())[:MOST_DETAILS]
