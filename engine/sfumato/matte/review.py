"""A shot's mattes laid out for review: numbers of every frame, which to look at first, and the pictures to look at."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from sfumato.matte import pictures
from sfumato.matte.detail import CROP, LONGEST, Crop, Detail, ReviewFrame, as_coded, in_full
from sfumato.matte.metrics import mse, recomposite_residual, sad, unknown
from sfumato.matte.pictures import Show
from sfumato.matte.sheet import contact_sheet, encoded
from sfumato.report import Report, Step, silent

SMALL = 640  # pixels: long side of the clip
MOST_CLIP_FRAMES = 240

__all__ = ["CROP", "LONGEST", "Burn", "Crop", "Detail", "Review", "ReviewFrame", "look_first", "review_shot"]


@dataclass(frozen=True)
class Burn:
    """What is burnt into every picture beside the frame number."""

    shot: str = ""
    version: str = ""
    tool: str = "sfumato matte"
    preset: str = ""

    def line(self, frame: int | None = None) -> str:
        """One line: shot, version, frame, tool, preset."""
        parts = (self.shot, self.version, "" if frame is None else str(frame), self.tool, self.preset)
        return "   ".join(part for part in parts if part)


@dataclass(frozen=True)
class Review:
    """Everything a page shows; see `sfumato_plugins.page.write_page`.

    rows: One dict a frame: frame, residual, worst, confidence, change, chatter, band, the stats and, with a truth, sad
        and mse. first: (frame, reason), the frames to look at first. clip: JPEG frames by mode, for `clip_frames`.
    sheets: Contact sheets as PNG by name.
    """

    burn: Burn
    size: tuple[int, int]
    summary: dict[str, Any]
    rows: list[dict[str, Any]]
    first: list[tuple[int, str]]
    details: list[Detail]
    clip_frames: list[int]
    clip: dict[str, list[bytes]]
    sheets: dict[str, bytes]


def review_shot(
    frames: Sequence[int],
    load: Callable[[int], ReviewFrame],
    show: Show,
    *,
    burn: Burn | None = None,
    over: Tensor | None = None,
    coded: bool = False,
    summary: Mapping[str, Any] | None = None,
    most: int = 4,
    report: Report = silent,
) -> Review:
    """Lay out a shot for review. Frames are loaded one or a few at a time, some more than once.

    Args:
        frames: Frame numbers, ascending; at least one.
        load: Reads one frame.
        show: From the working space to a display.
        over: A background the artist gave, (3, H, W) in the working space, scaled to the frame if it has another size.
        coded: The working space is display-coded (a PNG still), so grey means 0.46 and not 0.18.
        most: How many frames are shown in full.
    """
    burn = burn or Burn()
    clip_frames = list(frames)[:: max(1, -(-len(frames) // MOST_CLIP_FRAMES))]
    rows, clip = _numbers(frames, load, show, set(clip_frames), coded, report)
    first = look_first(rows, most)
    details, sheets = [], {}
    for step, (frame, reason) in enumerate(first, start=1):
        detail, tiles = in_full(frame, reason, frames, load, show, over, coded)
        details.append(detail)
        sheets[str(frame)] = encoded(contact_sheet(tiles, burn.line(frame)))
        report(Step("review pictures", step, len(first), frame=frame))
    size = load(first[0][0]).alpha.shape
    return Review(burn, (size[2], size[1]), dict(summary or {}), rows, first, details, clip_frames, clip, sheets)


def _numbers(
    frames: Sequence[int], load: Callable[[int], ReviewFrame], show: Show, wanted: set[int], coded: bool, report: Report
) -> tuple[list[dict[str, Any]], dict[str, list[bytes]]]:
    """Rows of numbers, and the small frames of the clip."""
    rows: list[dict[str, Any]] = []
    clip: dict[str, list[bytes]] = {"plate": [], "over grey": [], "alpha": []}
    earlier: list[tuple[Tensor, Tensor]] = []  # alpha and band of up to two frames before
    for step, frame in enumerate(frames, start=1):
        shot = load(frame)
        band = unknown(shot.trimap)
        rows.append(_row(frame, shot, band))
        same = [e for e in earlier if e[0].shape == shot.alpha.shape]
        if same:
            rows[-1]["change"] = _rms(shot.alpha - same[-1][0], band | same[-1][1])
        if len(same) == 2:
            rows[-2]["chatter"] = _rms(same[1][0] - (same[0][0] + shot.alpha) / 2, same[1][1])
        earlier = [*earlier, (shot.alpha, band)][-2:]
        if frame in wanted:
            for mode, picture in _small(shot, show, coded).items():
                clip[mode].append(encoded(picture, ".jpg", 84))
        report(Step("review numbers", step, len(frames), frame=frame))
    return rows, clip


def _row(frame: int, shot: ReviewFrame, band: Tensor) -> dict[str, Any]:
    rms, worst = recomposite_residual(shot.image, shot.alpha, shot.foreground, shot.background, shot.trimap)
    sure = shot.confidence
    row: dict[str, Any] = {
        "frame": frame,
        "residual": rms,
        "worst": worst,
        "confidence": None if sure is None else float(sure[band].mean()) if bool(band.any()) else 1.0,
        "change": None,
        "chatter": None,
        "band": float(band.float().mean()),
    }
    if shot.truth is not None:
        row["sad"] = sad(shot.alpha, shot.truth, shot.trimap) / 1e3
        row["mse"] = mse(shot.alpha, shot.truth, shot.trimap) * 1e3
    return {**row, **{key: value for key, value in shot.stats.items() if key not in row}}


def _rms(x: Tensor, where: Tensor) -> float:
    return float(x[where].double().square().mean().sqrt()) if bool(where.any()) else 0.0


def _small(shot: ReviewFrame, show: Show, coded: bool) -> dict[str, Tensor]:
    alpha = pictures.reduce_to(shot.alpha, SMALL)
    element = pictures.reduce_to(shot.premultiplied(), SMALL)
    plate = pictures.reduce_to(shot.image.nan_to_num(0, 0, 0), SMALL)
    composite = pictures.over(element, alpha, pictures.flat(as_coded(pictures.GREY, coded), alpha))
    return {"plate": show(plate), "over grey": show(composite), "alpha": pictures.grey(alpha)}


REASONS = (  # number, whether more is worse, what to say of it
    ("mse", True, "largest error against the truth, MSE {:.1f}e-3"),
    ("chatter", True, "alpha jumps against its neighbours by {:.3f} in the band"),
    ("residual", True, "layers explain the plate worst, {:.4f} RMS in the band"),
    ("confidence", False, "least sure, {:.2f} in the band"),
)

PLAIN = {"residual": 5e-4}  # below this a number is no reason to look


def look_first(rows: Sequence[Mapping[str, Any]], most: int) -> list[tuple[int, str]]:
    """The frames a supervisor should see first and why: the worst of each number in turn, then the first frame."""
    found: dict[int, str] = {}
    for rank in range(len(rows)):
        for name, more, sentence in REASONS:
            least = PLAIN.get(name, -math.inf)
            valued = [row for row in rows if row.get(name) is not None and least <= row[name] < math.inf]
            valued.sort(key=lambda row: row[name], reverse=more)
            if rank < len(valued) and len(found) < most and valued[rank]["frame"] not in found:
                place = "" if rank == 0 else f"no. {rank + 1}: "
                found[int(valued[rank]["frame"])] = place + sentence.format(valued[rank][name])
    return list(found.items()) or [(int(rows[0]["frame"]), "the first frame")]
