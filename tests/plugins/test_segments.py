"""A shot is cut by the job's range alone, and a frame's reads are all it depends on."""

import itertools

import hypothesis
import pytest
from hypothesis import strategies

from sfumato_plugins.segments import RADIUS, SPACING, pieces, plan, reads, segments, surrounding

ranges = strategies.lists(strategies.integers(-20, 80), min_size=1, max_size=60, unique=True)


@hypothesis.given(ranges)
def test_every_frame_is_in_exactly_one_segment(frames):
    for quality in ("preview", "standard"):
        cut = segments(plan(frames, quality))
        assert sorted(f for segment in cut for f in segment) == sorted(frames)


@hypothesis.given(ranges)
def test_first_and_last_are_keyframes_and_none_is_far_from_one(frames):
    cut = plan(frames, "standard")
    assert cut.keys[0] == min(frames)
    assert cut.keys[-1] == max(frames)
    places = [cut.frames.index(key) for key in cut.keys]
    assert all(b - a <= SPACING for a, b in itertools.pairwise(places))


def test_in_preview_every_frame_stands_alone():
    cut = plan(range(1, 20), "preview")
    assert segments(cut) == tuple((f,) for f in range(1, 20))
    assert reads(7, cut) == (7,)


def test_a_frame_between_keyframes_reads_its_neighbours_and_both_keyframes_with_theirs():
    cut = plan(range(1, 18), "final")
    assert cut.keys == (1, 9, 17)
    assert surrounding(5, cut) == (1, 9)
    assert reads(5, cut) == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
    assert reads(9, cut) == (7, 8, 9, 10, 11)


@pytest.mark.parametrize("quality", ["preview", "standard", "final"])
def test_a_frame_looks_as_far_as_the_engines_preset_does(quality):
    pytest.importorskip("torch", reason="the presets are the engine's, and torch is not installed")
    from sfumato.matte.settings import preset

    assert plan([1, 2, 3], quality).radius == preset(quality).neighbours == RADIUS[quality]


def test_keyframes_come_first_in_the_order_of_work():
    assert segments(plan(range(1, 18), "final"))[:3] == ((1,), (9,), (17,))


@pytest.mark.parametrize("wanted", [(1,), (2, 3, 4), (5, 11, 16)])
def test_a_part_is_cut_where_the_whole_is(wanted):
    cut = plan(range(1, 18), "standard")
    found = pieces(wanted, cut)
    assert sorted(f for piece in found for f in piece) == sorted(wanted)
    assert all(any(set(piece) <= set(segment) for segment in segments(cut)) for piece in found)


def test_a_still_is_its_own_keyframe():
    assert plan([7], "final").keys == (7,)
