"""The detector on scenes whose truth is known; what it cannot find there does not count elsewhere."""

from itertools import islice

import pytest
import torch

from sfumato.models.training.placement import placed_scenes, touch
from sfumato.models.training.render import render
from sfumato.place.box import Box
from sfumato.place.detect import looks, match, measure, said, see


def whole_things(scene):
    """Things that neither the frame nor another thing hides any of, with their boxes."""
    for thing in scene.things:
        box = Box(*thing.bounds)
        inside = min(box.left, box.top, 1 - box.right, 1 - box.bottom) >= 0
        if inside and not any(touch(thing, other, 1.0) for other in scene.things if other is not thing):
            yield thing, box


def test_boxes_of_rendered_things_are_found_within_three_percent_and_every_class_is_right():
    scenes = list(islice(placed_scenes(4100), 60))
    pictures, _ = render(scenes, 64)
    ious, wrong = [], []
    for scene, picture in zip(scenes, pictures, strict=True):
        seen = see(picture)
        for thing, box in whole_things(scene):
            (found,) = match(seen, [f"{thing.colour} {thing.shape}"])
            ious.append(found.box.iou(box) if found else 0.0)
            if found is None or (found.colour, found.shape) != (thing.colour, thing.shape):
                wrong.append((thing, found))
    print(f"{len(ious)} things, mean IoU {sum(ious) / len(ious):.3f}")
    assert len(ious) > 60
    assert sum(ious) / len(ious) >= 0.97
    assert not wrong


def test_a_whole_thing_looks_as_its_own_phrase_says_and_unlike_another():
    scenes = list(islice(placed_scenes(4200), 40))
    pictures, _ = render(scenes, 64)
    told = []
    for scene, picture in zip(scenes, pictures, strict=True):
        for thing in (thing for thing, _ in whole_things(scene)):
            other = "ring" if thing.shape != "ring" else "ball"
            if [one.colour for one in scene.things].count(thing.colour) == 1:
                (right,), (wrong,) = (looks(picture, [f"{thing.colour} {shape}"]) for shape in (thing.shape, other))
                told.append((right, wrong))
    print(f"{len(told)} whole things, {told.count((None, None))} not told")
    assert set(told) <= {(True, False), (None, None)}
    assert told.count((True, False)) > 0.7 * len(told)
    assert looks(pictures[0], ["a cat", "a red thing"]) == [None, None]
    small = render(scenes[:1], 16)[0][0]
    assert looks(small, [f"{thing.colour} {thing.shape}" for thing in scenes[0].things]) == [None] * len(
        scenes[0].things
    )


def test_where_nothing_is_nothing_is_found():
    ground = 0.6 + 0.02 * torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert see(ground) == []
    assert measure(ground, ["red ball"]) == [None]


def test_two_phrases_of_one_colour_do_not_share_a_thing():
    scenes = [scene for scene in islice(placed_scenes(7), 40) if len(scene.things) == 1]
    picture = render(scenes[:1], 64)[0][0]
    thing = scenes[0].things[0]
    one, other = measure(picture, [f"{thing.colour} {thing.shape}", f"{thing.colour} ring"])
    assert one is not None
    assert other is None


@pytest.mark.parametrize(
    ("phrase", "colour", "shape"),
    [("a red sphere", "red", "ball"), ("small Blue cube", "blue", "box"), ("a cat", "", ""), ("orange", "orange", "")],
)
def test_a_phrase_names_a_colour_and_a_shape(phrase, colour, shape):
    assert said(phrase) == (colour, shape)
