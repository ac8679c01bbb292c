"""The pictures the embedded model was trained on, and the detector that judges what it draws."""

import random
from itertools import islice

import pytest
import torch

from sfumato.models.training.captions import NOUNS, SLOTS, caption
from sfumato.models.training.detect import find_ground, find_things
from sfumato.models.training.render import render
from sfumato.models.training.scenes import COLOURS, SHAPES, Scene, Thing, scenes


def test_the_same_seed_gives_the_same_scenes_and_pictures():
    first, again = (list(islice(scenes(3), 20)) for _ in range(2))
    assert first == again
    assert torch.equal(render(first, 32)[0], render(again, 32)[0])
    assert list(islice(scenes(4), 20)) != first


def test_a_picture_does_not_depend_on_those_rendered_with_it():
    drawn = list(islice(scenes(5), 8))
    together = render(drawn, 32)[0]
    alone = torch.cat([render([scene], 32)[0] for scene in drawn])
    assert torch.allclose(together, alone, atol=1e-6)


def test_things_lie_anywhere_and_not_only_in_the_middle():
    things = [t for scene in islice(scenes(6), 600) for t in scene.things]
    x = torch.tensor([t.x for t in things])
    assert abs(float(x.mean()) - 0.5) < 0.03
    assert 0.2 < float(x.std()) < 0.3  # of a uniform one .289, less what things need to stay in the frame
    assert {t.shape for t in things} == set(SHAPES)
    assert {t.colour for t in things} == set(COLOURS)


@pytest.mark.parametrize("size", [32, 200])
def test_a_mask_covers_its_thing_and_what_is_in_front_is_taken_off(size):
    behind, front = Thing("box", "red", 0.45, 0.5, 0.4), Thing("ball", "blue", 0.6, 0.5, 0.3)
    picture, (masks,) = render([Scene((behind, front), "snow")], size)
    assert masks.shape == (2, size, size)
    assert float(masks.sum(0).max()) <= 1 + 1e-6
    assert float(masks[1].mean()) == pytest.approx(torch.pi * 0.15**2, rel=0.03)
    red = (picture[0, 0] - picture[0, 2])[masks[0] > 0.99]
    assert float(red.min()) > 0.2


def test_the_detector_finds_what_was_drawn():
    drawn = [s for s in islice(scenes(7, most=1), 300) if not s.things[0].striped]
    pictures, _ = render(drawn, 32)
    right = boxes = 0
    for scene, picture in zip(drawn, pictures, strict=True):
        thing, found = scene.things[0], find_things(picture)
        assert find_ground(picture) == scene.ground
        assert found[0].colour == thing.colour
        inside = min(thing.box) >= 0 and max(thing.box) <= 1
        right += found[0].shape == thing.shape or not inside
        near = max(abs(a - b) for a, b in zip(found[0].box, thing.box, strict=True)) < 0.05
        boxes += near or not inside or thing.shape == "cone"  # which does not fill its box
    assert right >= 0.98 * len(drawn)
    assert boxes >= 0.97 * len(drawn)


def test_the_detector_sees_nothing_where_nothing_is():
    grounds = [Scene((), g, seed=n) for n, g in enumerate(("snow", "sand", "grass", "slate", "brick", "water") * 5)]
    with_one = [Scene((Thing("ball", "red", 0.5, 0.5, 0.3),), s.ground, seed=s.seed) for s in grounds]
    pictures, _ = render(with_one, 32)
    for picture, scene in zip(pictures, with_one, strict=True):
        assert [f.colour for f in find_things(picture)] == ["red"], scene


def test_captions_name_what_is_there_and_rarely_where():
    rng, drawn = random.Random(1), list(islice(scenes(8), 400))
    words = [caption(scene, rng) for scene in drawn]
    for scene, text in zip(drawn, words, strict=True):
        for thing in scene.things:
            assert thing.colour in text
            assert any(noun in text for noun in NOUNS[thing.shape])
    placed = [w for w in words if any(p in w for p in ("left", "right", "top", "bottom", "above", "below"))]
    assert 0.05 < len(placed) / len(words) < 0.25


def test_every_caption_fits_the_slots_and_knows_its_words():
    pytest.importorskip("transformers", reason="the tokenizer is transformers'")
    from sfumato.models.training.captions import make_tokenizer

    tokenizer, rng = make_tokenizer(), random.Random(2)
    for scene in islice(scenes(9), 300):
        ids = tokenizer(caption(scene, rng)).input_ids
        assert len(ids) <= SLOTS
        assert tokenizer.unk_token_id not in ids
