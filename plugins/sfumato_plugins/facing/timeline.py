"""Where a take lies on a timeline: frame numbers, timecode, offset, and rates that differ. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sfumato_plugins.errors import wrong
from sfumato_plugins.takes import exact_fps

_TIMECODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;])(\d{2,3})")


@dataclass(frozen=True)
class Timeline:
    """A take's samples as frames of a timeline.

    first: The take's own number of its first sample. fps: the take's samples a second.
    start: The frame of the timeline on which the first sample lies; may be a fraction. rate: the timeline's frames a
        second.
    """

    first: float
    fps: float
    start: float
    rate: float

    @property
    def ratio(self) -> float:
        """Frames of the timeline for each sample."""
        return exact_fps(self.rate) / exact_fps(self.fps)

    def frame(self, sample: float) -> float:
        """The timeline's frame of a sample that the take numbers so."""
        return round(self.start + (sample - self.first) * self.ratio, 6)

    def sample(self, frame: float) -> float:
        """The nearest sample's own number for a frame of the timeline."""
        return self.first + round((frame - self.start) / self.ratio)


def timecode_seconds(text: str, fps: float, where: str = "params.timecode") -> float:
    """Seconds since midnight; the frames of the timecode are counted at `fps`, and ; before them drops frames.

    >>> round(timecode_seconds("01:00:00:12", 24), 3)
    3600.5

    Raises:
        JobError: it is no timecode, or has a frame that the rate has not (exit 2).
    """
    match = _TIMECODE.fullmatch(text.strip())
    if not match:
        raise wrong(
            where, f"{text!r} is no timecode", "write it like 14:03:22:10; with ; before the frames it drops some"
        )
    hours, minutes, seconds, frames = (int(match[n]) for n in (1, 2, 3, 5))
    exact = exact_fps(fps)
    whole = round(exact)
    if frames >= whole or minutes > 59 or seconds > 59:
        raise wrong(where, f"{text} has no such frame at {fps:g} a second", f"frames count from 00 to {whole - 1:02d}")
    count = ((hours * 60 + minutes) * 60 + seconds) * whole + frames
    if match[4] == ";":
        every = round(whole / 15)  # 2 of 30, 4 of 60, in each minute but the tenth
        total = hours * 60 + minutes
        count -= every * (total - total // 10)
    return count / exact


def placed(
    *,
    first: float,
    fps: float,
    take_timecode: str = "",
    start: float | None = None,
    timecode: str = "",
    offset: float = 0.0,
    rate: float | None = None,
) -> Timeline:
    """Where a take lies.

    Args:
        first, fps, take_timecode: The take's own number of its first sample, its rate, its timecode if it has one.
        start: With `timecode`, the frame of the timeline which has that timecode; without, the first sample's frame.
        timecode: Of the timeline's frame `start`.
        offset: Frames of the timeline that the take is moved by after all that.
        rate: The timeline's frames a second; default: the take's.

    Raises:
        JobError: a timecode that is none, or one for a take that carries none (exit 2).
    """
    rate = exact_fps(rate or fps)
    lies = first if start is None else start
    if timecode:
        if not take_timecode:
            hint = "leave --timecode out: --start says on which frame the take begins"
            raise wrong("params.timecode", "the take carries no timecode, so one cannot place it", hint)
        apart = timecode_seconds(take_timecode, rate, "the take") - timecode_seconds(timecode, rate)
        lies += round(apart * rate, 6)
    return Timeline(first, exact_fps(fps), lies + offset, rate)
