"""An object that was rendered, moved: what moves, what stays, and what is refused."""

import pytest
import torch

from sfumato.errors import RequestError
from sfumato.models.load import load_model
from sfumato.place.box import Box
from sfumato.place.detect import measure
from sfumato.place.finetune import moved, shifted
from sfumato.place.render import place
from sfumato.place.request import Request
from sfumato.place.staging import Staging, Subject, one_still
from sfumato.place.track import BoxTrack, Key

HERE, THERE = Box(0.05, 0.1, 0.55, 0.6), Box(0.45, 0.4, 0.95, 0.9)


@pytest.fixture(scope="module")
def model():
    return load_model()


def still(**more):
    return Request(one_still("a red ball on snow", [("red ball", HERE)]), **{"method": "fast", "steps": 8} | more)


def test_a_latent_is_shifted_by_places_and_its_edge_goes_on():
    latent = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert shifted(latent, (1, -1))[0, 0].tolist() == [[1, 2, 3, 3], [1, 2, 3, 3], [5, 6, 7, 7]]
    assert shifted(latent, (0, 2), 0.0)[0, 0].tolist() == [[0, 0, 0, 1], [0, 0, 4, 5], [0, 0, 8, 9]]
    assert torch.equal(shifted(latent, (0, 0)), latent)


def test_inside_the_new_place_the_latent_is_the_known_one_to_the_bit(model):
    before, after = place(model, still()), moved(model, still(), "red ball", THERE)
    height, width = before.latent.shape[-2:]
    new = after.asked[0][0]
    assert new.width == pytest.approx(HERE.width)
    assert new.distance(THERE) < 1 / width
    down, right = (round((b - a) * n) for a, b, n in ((HERE.top, new.top, height), (HERE.left, new.left, width)))
    rows, columns = slice(int(height * 0.5), int(height * 0.8)), slice(int(width * 0.5), int(width * 0.8))
    known = shifted(before.latent, (down, right))
    assert torch.equal(after.latent[..., rows, columns], known[..., rows, columns])
    assert not torch.equal(after.latent[..., :2, :2], known[..., :2, :2])
    assert after.calls == 2 * before.calls


def test_the_object_is_found_where_it_was_moved_to(model):
    request = still(steps=16, seed=1)
    at = place(model, request, measure=measure).found[0][0]
    assert at is not None
    found = moved(model, request, "red ball", THERE, measure=measure, where=at)
    assert found.found[0][0] is not None
    assert found.found[0][0].distance(THERE) < 0.5 * at.distance(THERE)


def test_what_cannot_be_moved_is_named(model):
    with pytest.raises(RequestError, match="no object “cube” in one still or clip"):
        moved(model, still(), "cube", THERE)
    with pytest.raises(RequestError, match="is there already"):
        moved(model, still(), "red ball", HERE)


def test_an_object_that_goes_somewhere_in_a_clip_is_not_moved():
    clip = load_model("embedded_trail")
    going = BoxTrack((Key(1, HERE), Key(clip.frames, THERE)))
    subject = Subject("ball", ("red ball",), going)
    staging = Staging(((1, "a red ball on grass"),), (subject,), count=clip.frames)
    with pytest.raises(RequestError, match="“ball” goes somewhere in the clip"):
        moved(clip, Request(staging), "ball", THERE)
