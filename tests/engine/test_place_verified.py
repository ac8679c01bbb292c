"""Renders that are measured and repeated: what is tried in which order, and what is kept."""

import pytest
import torch

from sfumato.models.load import load_model
from sfumato.place.box import Box
from sfumato.place.render import Rendered
from sfumato.place.request import Request
from sfumato.place.staging import Staging, Subject, one_still
from sfumato.place.track import BoxTrack
from sfumato.place.verified import STRIDE, Tries, again, kept_boxes, unlike, verified, worst_iou

BOX = Box(0.2, 0.2, 0.6, 0.6)


def still(**more):
    return Request(one_still("a red ball on snow", [("red ball", BOX)]), **{"steps": 2, "strength": 0.6} | more)


def came_out(*found):
    frames = len(found)
    return Rendered(torch.zeros(frames, 3, 4, 4), ((BOX,),) * frames, tuple((box,) for box in found), torch.zeros(1), 1)


def test_the_second_try_asks_for_what_was_missed_with_more_strength_and_the_same_noise():
    now = again(still(seed=4), still(seed=4), came_out(Box(0.3, 0.25, 0.6, 0.7)), 1)
    assert now.strength == pytest.approx(0.8)
    assert now.seed == 4
    box = now.staging.subjects[0].track.at(1)
    assert [round(e, 3) for e in box.edges] == [0.1, 0.15, 0.6, 0.5]


def test_the_third_try_has_other_noise_and_the_boxes_as_asked():
    asked = still(seed=4)
    now = again(asked, asked, came_out(None), 2)
    assert now.seed == 4 + 2 * STRIDE
    assert now.staging == asked.staging


def test_a_thing_that_looks_otherwise_than_said_gets_other_noise_at_once_and_no_more_strength():
    asked = still(seed=4)
    tries = [again(asked, asked, came_out(BOX), number, unlike=True) for number in (1, 2)]
    assert [one.seed for one in tries] == [4 + STRIDE, 4 + 2 * STRIDE]
    assert all((one.strength, one.staging) == (asked.strength, asked.staging) for one in tries)


def test_most_of_the_frames_in_which_it_can_be_told_say_how_a_thing_looks():
    def told(*answers):
        given = iter(answers)
        made = came_out(*[BOX] * len(answers))
        return unlike(made, still(), lambda picture, phrases: [next(given)])

    assert told(None) == told(True) == told(True, False) == told(None, True, None) == ()
    assert told(False) == told(None, False, None) == told(True, False, False) == ("red ball",)


def test_a_thing_that_the_frame_cuts_or_another_box_covers_tells_nothing_of_how_it_looks():
    def told(*boxes):
        request = Request(
            one_still("a red ball and a blue box", list(zip(("red ball", "blue box"), boxes, strict=True)))
        )
        inside = tuple(box.inside() for box in boxes)
        made = Rendered(torch.zeros(1, 3, 4, 4), (inside,), (inside,), torch.zeros(1), 1)
        return unlike(made, request, lambda picture, phrases: [False] * len(phrases))

    far = Box(0.7, 0.7, 0.9, 0.9)
    assert told(BOX, far) == ("red ball", "blue box")
    assert told(BOX, Box(0.7, 0.7, 1.1, 0.9)) == ("red ball",)
    assert told(BOX, Box(0.5, 0.5, 0.9, 0.9)) == ()


def test_what_is_placed_comes_before_what_looks_as_said_and_both_end_the_tries():
    def run(*pictures):
        tries = Tries(still(), 0.6, 3, lambda picture, phrases: [bool(picture.sum())])
        for box, as_said in pictures:
            made = came_out(box)
            made.pictures.fill_(float(as_said))
            tries.take(made)
        assert tries.next is None
        return tries.best()

    far = Box(0.0, 0.0, 0.3, 0.3)
    best = run((far, True), (BOX, False), (far, False))
    assert not best.met
    assert (best.kept.iou, best.kept.unlike) == (1, ("red ball",))
    assert run((BOX, False), (BOX, True)).met
    assert len(run((BOX, True)).tries) == 1


def test_a_thing_that_is_not_there_or_cut_by_the_frame_corrects_nothing():
    asked = still()
    assert again(asked, asked, came_out(None), 1).staging.subjects[0].track.at(1) == BOX
    inverted = Box(0.0, 0.0, 1.0, 1.0)  # twice as large as the box: less that, nothing would be left
    assert again(asked, asked, came_out(inverted), 1).staging.subjects[0].track.at(1).area > 0


def test_each_frame_of_a_shot_is_corrected_by_its_own_error():
    track = BoxTrack.baked(5, [BOX, None, BOX])
    staging = Staging(((5, "a red ball"),), (Subject("ball", ("red ball",), track),), 5, 3)
    request = Request(staging)
    made = came_out(Box(0.2, 0.2, 0.6, 0.5), None, BOX)
    made = Rendered(made.pictures, ((BOX,), (None,), (BOX,)), made.found, made.latent, 1)
    now = again(request, request, made, 1).staging.subjects[0].track
    assert now.at(5).bottom == pytest.approx(0.7)
    assert now.at(6) is None
    assert now.at(7) == BOX


def test_a_corrected_render_is_held_against_the_boxes_that_are_wanted():
    asked = still()
    now = again(asked, asked, came_out(Box(0.3, 0.2, 0.6, 0.6)), 1)
    made = Rendered(torch.zeros(1, 3, 4, 4), ((now.staging.subjects[0].track.at(1),),), ((BOX,),), torch.zeros(1), 1)
    assert worst_iou(made) < 1
    assert worst_iou(kept_boxes(made, asked)) == 1


def test_the_best_of_the_tries_is_kept_and_they_end_when_the_target_is_met():
    model = load_model()
    answers = iter([Box(0, 0, 0.3, 0.3), Box(0.25, 0.2, 0.6, 0.6), Box(0, 0, 0.2, 0.2)])
    seen = verified(model, still(method="fast"), 0.99, lambda picture, phrases: [next(answers)])
    assert not seen.met
    assert len(seen.tries) == 3
    assert worst_iou(seen.rendered) == max(one.iou for one in seen.tries) == seen.tries[1].iou
    assert seen.request.staging == still().staging
    once = verified(model, still(method="fast"), 0.5, lambda picture, phrases: [BOX])
    assert once.met
    assert len(once.tries) == 1
