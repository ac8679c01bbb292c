"""Several walks in the network's same calls, and objects made alone and composed."""

import pytest
import torch

from sfumato.errors import RequestError
from sfumato.models.load import load_model
from sfumato.place.box import Box
from sfumato.place.composed import COMPOSED, stagings_alone
from sfumato.place.methods import METHODS
from sfumato.place.render import place, place_many
from sfumato.place.request import Request
from sfumato.place.staging import Staging, Subject, one_still
from sfumato.place.track import BoxTrack

LEFT, RIGHT = Box(0.05, 0.1, 0.45, 0.5), Box(0.5, 0.4, 0.95, 0.85)
STILLS = [
    one_still("a red ball and a blue box on snow", [("red ball", RIGHT), ("blue box", LEFT)]),
    one_still("a green cone on sand", [("green cone", LEFT)]),
    one_still("nothing on sand", []),
]


@pytest.fixture(scope="module")
def model():
    return load_model()


def requests(method, **more):
    return [Request(still, method=method, seed=i, **{"steps": 4} | more) for i, still in enumerate(STILLS)]


@pytest.mark.parametrize("method", [*METHODS, *COMPOSED])
def test_walks_together_come_out_as_each_does_alone(model, method):
    for request, found in zip(requests(method), place_many(model, requests(method)), strict=True):
        alone = place(model, request)
        assert float((alone.latent - found.latent).abs().max()) < 1e-3
        assert alone.calls == found.calls
        assert alone.asked == found.asked


def test_what_is_not_alike_is_not_rendered_together(model):
    with pytest.raises(RequestError, match="rendered together differ"):
        place_many(model, [*requests("fast"), *requests("none")])
    several = Staging(((1, "a red ball"),), (Subject("ball", ("red ball",), BoxTrack.still(LEFT)),), 1, 3)
    with pytest.raises(RequestError, match="several stills in one request"):
        place_many(model, [Request(several)])


def test_composing_costs_a_walk_for_each_object_and_leaves_nothing_at_strength_0(model):
    two, one, none = place_many(model, requests("trailblazer-composed"))
    assert (two.calls, one.calls, none.calls) == (12, 8, 4)
    plain = place_many(model, requests("none"))
    assert torch.equal(none.latent, plain[2].latent)
    still = place_many(model, requests("trailblazer-composed", strength=0.0))
    assert all(torch.equal(a.latent, b.latent) for a, b in zip(still, plain, strict=True))


def test_an_object_alone_has_its_own_words_for_a_prompt():
    alone = stagings_alone(STILLS[0])
    assert [staging.prompts for staging in alone] == [((1, "red ball"),), ((1, "blue box"),)]
    assert [len(staging.subjects) for staging in alone] == [1, 1]
