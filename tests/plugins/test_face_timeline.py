"""Where a take lies on a timeline: rates, timecodes, offsets."""

import pytest

from sfumato_plugins.errors import JobError
from sfumato_plugins.facing.timeline import placed, timecode_seconds


def test_a_take_lies_on_its_own_frames_unless_it_is_told_otherwise():
    timeline = placed(first=0, fps=60)
    assert [timeline.frame(n) for n in (0, 1, 59)] == [0, 1, 59]
    assert placed(first=0, fps=60, start=1001).frame(10) == 1011
    assert placed(first=0, fps=60, start=1001, offset=-2.5).frame(0) == 998.5


@pytest.mark.parametrize(
    ("fps", "rate", "sample", "frame"),
    [(120, 24, 5, 1002), (120, 24, 1, 1001.2), (59.94, 23.976, 5, 1003), (48, 24, 1, 1001.5), (23.976, 24, 1000, 2002)],
)
def test_seconds_stay_seconds_when_rates_differ(fps, rate, sample, frame):
    timeline = placed(first=0, fps=fps, start=1001, rate=rate)
    assert timeline.frame(sample) == pytest.approx(frame, abs=1e-3)
    assert timeline.sample(timeline.frame(sample)) == sample


def test_a_timecode_says_where_the_take_lies():
    timeline = placed(first=0, fps=24, take_timecode="14:03:22:10", start=1001, timecode="14:03:20:00")
    assert timeline.frame(0) == 1001 + 58
    moved = placed(first=0, fps=120, take_timecode="14:03:22:10", start=1001, timecode="14:03:20:00", offset=3, rate=24)
    assert moved.frame(0) == 1001 + 58 + 3


def test_a_timecode_for_a_take_without_one_is_refused_with_what_to_do():
    with pytest.raises(JobError, match="carries no timecode") as caught:
        placed(first=0, fps=24, timecode="01:00:00:00")
    assert "--start" in caught.value.problems[0].hint


@pytest.mark.parametrize("text", ["14:03", "14:03:22:30", "14:61:00:00", "noon", "14:03:22"])
def test_what_is_no_timecode_is_named(text):
    with pytest.raises(JobError, match=text.replace("(", "")):
        timecode_seconds(text, 24)


def test_drop_frame_counts_as_television_does():
    assert timecode_seconds("00:10:00;00", 29.97) == pytest.approx(600, abs=0.02)
    assert timecode_seconds("01:00:00;00", 29.97) == pytest.approx(3600, abs=0.005)
    assert timecode_seconds("01:00:00;00", 59.94) == pytest.approx(3600, abs=0.005)
    assert timecode_seconds("01:00:00:00", 29.97) == pytest.approx(3603.6, abs=0.01)
