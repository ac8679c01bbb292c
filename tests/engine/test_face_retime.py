"""Takes brought to another timeline: seconds stay seconds, and whole frames are made as their name says."""

import math

import pytest
import torch

from sfumato.errors import InputError
from sfumato.face.markers import Markers
from sfumato.face.retime import on_timeline, on_whole_frames


def take(count=241, fps=120.0, hertz=1.0, hole=()):
    """One marker that swings up and down by 1 cm."""
    seconds = torch.arange(count, dtype=torch.float64) / fps
    positions = torch.stack([torch.sin(2 * math.pi * hertz * seconds) * (axis == 1) for axis in range(3)], -1)[:, None]
    positions[list(hole)] = math.nan
    return Markers(("chin",), positions, fps)


def test_samples_keep_their_seconds():
    moved = on_timeline(take(), 1001.0, 24.0)
    assert moved.frames[:6] == (1001, 1001.2, 1001.4, 1001.6, 1001.8, 1002)
    assert moved.timeline_fps == 24
    assert moved.fps == 120


def test_whole_frames_of_a_slow_movement_are_where_it_was():
    whole = on_whole_frames(on_timeline(take(), 1001.0, 24.0), "filter")
    assert (whole.frames[0], whole.frames[-1], whole.step, whole.fps) == (1001, 1049, 1, 24)
    seconds = torch.arange(1, 48, dtype=torch.float64) / 24  # ends have one side only
    truth = torch.sin(2 * math.pi * seconds)
    assert torch.allclose(whole.positions[1:-1, 0, 1], truth, atol=0.02)


def test_filtering_takes_out_what_the_timeline_cannot_show_and_nearest_does_not():
    fast = on_timeline(take(hertz=23.0), 1.0, 24.0)  # folds back to 1 a second if samples are only picked
    assert on_whole_frames(fast, "filter").positions[1:-1, 0, 1].abs().max() < 0.1
    assert on_whole_frames(fast, "nearest").positions[:, 0, 1].abs().max() > 0.9


def test_a_hole_of_some_samples_is_bridged_and_a_longer_one_stays_a_hole():
    some = on_whole_frames(on_timeline(take(hole=range(50, 52)), 1.0, 24.0), "filter")
    assert some.positions.isfinite().all()
    more = on_whole_frames(on_timeline(take(hole=range(44, 58)), 1.0, 24.0), "filter")
    assert not more.positions[10].isfinite().any()
    assert more.positions[20].isfinite().all()


def test_a_take_that_begins_between_frames_begins_on_the_next_whole_one():
    assert on_whole_frames(on_timeline(take(), 1000.3, 24.0), "filter").start == 1001
    assert on_whole_frames(on_timeline(take(fps=24.0), 1000.3, 24.0), "nearest").step == 1


def test_a_take_already_on_whole_frames_is_left_alone():
    given = take(fps=24.0)
    assert on_whole_frames(given, "filter") is given


def test_a_take_too_short_for_a_frame_is_refused():
    with pytest.raises(InputError, match="no whole one"):
        on_whole_frames(on_timeline(take(count=3), 1000.3, 24.0), "filter")
