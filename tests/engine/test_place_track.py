"""Boxes over time, and the errors that name what is wrong with them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import RequestError
from sfumato.place.box import WINDOW, Box
from sfumato.place.staging import Staging, Subject, occurrences, one_still
from sfumato.place.track import BoxTrack, Curve, Key

edges = st.floats(-0.5, 1.5, allow_nan=False, width=32)


@st.composite
def boxes(draw):
    (left, right), (top, bottom) = (
        draw(st.tuples(edges, edges).filter(lambda e: abs(e[0] - e[1]) > 1e-3).map(sorted)) for _ in range(2)
    )
    return Box(left, top, right, bottom)


@given(boxes(), boxes())
def test_iou_is_the_same_both_ways_and_one_only_with_itself(a, b):
    assert a.iou(b) == pytest.approx(b.iou(a))
    assert 0 <= a.iou(b) <= 1 + 1e-9
    assert a.iou(a) == pytest.approx(1)


def test_iou_of_half_a_box_beside_is_a_third():
    assert Box(0, 0, 0.4, 0.4).iou(Box(0.2, 0, 0.6, 0.4)) == pytest.approx(1 / 3)
    assert Box(0, 0, 0.4, 0.4).iou(Box(0.5, 0.5, 0.6, 0.6)) == 0
    assert Box(0, 0, 0.4, 0.4).iou(Box(0.4, 0, 0.6, 0.4)) == 0


def test_a_box_half_outside_has_the_other_half_inside():
    assert Box(-0.2, 0.5, 0.2, 0.8).inside() == Box(0, 0.5, 0.2, 0.8)
    assert Box(1.1, 0, 1.2, 1).inside() is None
    assert WINDOW.inside() == WINDOW


@pytest.mark.parametrize("box", [(0.4, 0, 0.1, 1), (0, 0.5, 1, 0.5), (0, 0, float("nan"), 1)])
def test_an_empty_box_is_refused_with_the_order_of_its_edges(box):
    with pytest.raises(RequestError, match="left, top, right, bottom"):
        Box(*box)


@given(boxes(), boxes(), st.integers(-50, 50), st.integers(1, 40))
def test_a_straight_track_is_at_its_keys_on_their_frames_and_even_between(a, b, start, gap):
    track = BoxTrack((Key(start, a), Key(start + gap, b)))
    assert track.at(start) == a
    assert track.at(start + gap) == b
    middle = track.at(start + gap / 2)
    assert middle.left == pytest.approx((a.left + b.left) / 2)
    lefts = [track.at(start + i).left for i in range(gap + 1)]
    steps = [y - x for x, y in itertools.pairwise(lefts)]
    assert max(steps) - min(steps) < 1e-9


def test_a_hold_waits_and_an_ease_is_slow_at_both_ends():
    a, b = Box(0, 0, 0.2, 0.2), Box(0.8, 0, 1, 0.2)
    held = BoxTrack((Key(1, a, "hold"), Key(11, b)))
    assert held.at(10) == a
    assert held.at(11) == b
    eased = BoxTrack((Key(1, a, "ease"), Key(11, b)))
    lefts = [eased.at(f).left for f in range(1, 12)]
    steps = [y - x for x, y in itertools.pairwise(lefts)]
    assert steps[0] == pytest.approx(steps[-1])
    assert steps[0] < 0.3 * max(steps)
    assert eased.at(6).left == pytest.approx(0.4)


def test_an_object_that_is_not_to_be_seen_has_no_box():
    a = Box(0, 0, 0.2, 0.2)
    track = BoxTrack((Key(1, a), Key(5, a, visible=False), Key(9, a), Key(12, None)))
    assert [track.at(f) is not None for f in (1, 4, 5, 8, 9, 11, 12)] == [True, True, False, False, True, True, False]


@given(st.lists(st.none() | boxes(), min_size=2, max_size=30).filter(lambda found: any(found)), st.integers(-100, 100))
def test_a_baked_track_gives_back_its_boxes(baked, start):
    track = BoxTrack.baked(start, baked)
    assert track.over(start, start + len(baked) - 1) == baked


def test_a_still_box_is_there_in_every_frame():
    track = BoxTrack.still(Box(0, 0, 0.5, 0.5))
    assert track.at(-1000) == track.at(1000) == Box(0, 0, 0.5, 0.5)


def test_a_track_is_not_asked_beyond_its_ends():
    track = BoxTrack.baked(1001, [WINDOW] * 10)
    with pytest.raises(RequestError, match="frames 1001 to 1010 is asked for frame 1011"):
        track.at(1011)


def test_keys_out_of_order_are_refused():
    with pytest.raises(RequestError, match="key at frame 5 after one at 5"):
        BoxTrack((Key(5, WINDOW), Key(5, WINDOW)))
    with pytest.raises(RequestError, match="without a key"):
        BoxTrack(())


def test_a_curve_is_straight_between_keys_and_level_outside():
    curve = Curve(((10, 0.0), (20, 1.0)))
    assert [curve.at(f) for f in (0, 10, 15, 20, 99)] == [0, 0, 0.5, 1, 1]


def test_a_phrase_is_found_by_whole_words_only():
    assert occurrences("red ball", "A red  ball, and redder balls") == [(2, 11)]
    assert occurrences("ball", "football") == []
    assert occurrences("", "anything") == []


def moving(*boxes, phrase="red ball"):
    return Subject(phrase, (phrase,), BoxTrack.baked(1, list(boxes)))


def test_two_objects_with_one_phrase_are_refused():
    with pytest.raises(RequestError, match="two objects are named “red ball”"):
        one_still("a red ball and a Red ball", [("red ball", WINDOW), ("red ball", WINDOW)])
    other = Subject("other", ("Red Ball",), BoxTrack.still(WINDOW))
    with pytest.raises(RequestError, match="two objects have the phrase “red ball”"):
        Staging(((1, "a red ball"),), (moving(WINDOW, WINDOW), other))


def test_a_phrase_that_is_not_in_the_prompt_is_named():
    with pytest.raises(RequestError, match="“green ball” is not in the prompt “a red ball”"):
        one_still("a red ball", [("green ball", WINDOW)])


def test_a_track_shorter_than_the_range_is_named_with_both():
    staging = Staging(((1, "a red ball"),), (moving(WINDOW, WINDOW),), 1, 5)
    with pytest.raises(RequestError, match=r"“red ball” ends: it has frames 1 to 2, and 1 to 5"):
        staging.check()


def test_a_box_outside_the_frame_is_named_unless_it_comes_in():
    out, inside = Box(1.2, 0, 1.4, 0.5), Box(0.5, 0, 0.7, 0.5)
    with pytest.raises(RequestError, match=r"“red ball” \(1.2,0,1.4,0.5\) is outside the frame in every frame"):
        Staging(((1, "a red ball"),), (moving(out, out),), 1, 2).check()
    entering = Staging(((1, "a red ball"),), (moving(out, inside),), 1, 2)
    entering.check()
    subject = entering.subjects[0]
    assert [entering.seen(subject, f) for f in (1, 2)] == [None, inside]


def test_a_frame_between_two_prompts_is_a_part_of_the_way():
    subject = Subject("pet", ("cat", "dog"), BoxTrack.still(WINDOW))
    staging = Staging(((1, "a cat"), (5, "a dog")), (subject,), 1, 9)
    assert [staging.worded(f) for f in (0, 3, 5, 9)] == [
        ("a cat", "a cat", 0),
        ("a cat", "a dog", 0.5),
        ("a dog", "a dog", 0),
        ("a dog", "a dog", 0),
    ]
    assert subject.called("a dog") == "dog"


def test_pixel_aspect_makes_the_picture_wider_and_leaves_boxes_alone():
    staging = Staging(((1, "a cat"),), (), width=1024, height=1024, pixel_aspect=2.0)
    assert staging.aspect == 2
    assert Box(0, 0, 0.5, 0.5).distance(Box(0.5, 0, 1, 0.5), aspect=2) == pytest.approx(1 / 5**0.5)
