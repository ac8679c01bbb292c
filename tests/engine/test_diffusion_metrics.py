"""Measures of an edit: what they must not notice, what they must, and in which order."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from sfumato.diffusion.metrics import background_error, flicker, outside, psnr, structure_distance
from sfumato.errors import RequestError, ShapeError
from sfumato.models.training.render import render
from sfumato.models.training.scenes import COLOURS, SHAPES, scenes


def changed(scene, **more):
    return replace(scene, things=(replace(scene.things[0], **more),))


@pytest.fixture(scope="module")
def sets():
    """Twelve scenes: as they are, recoloured, with another shape, moved; and the mask of the thing."""
    found = []
    for scene in itertools.islice(scenes(3, 1), 12):
        thing = scene.things[0]
        colour = next(c for c in COLOURS if c != thing.colour)
        shape = SHAPES[(SHAPES.index(thing.shape) + 2) % len(SHAPES)]
        moved = changed(scene, x=1 - thing.x, y=1 - thing.y)
        pictures, masks = render(
            [scene, changed(scene, colour=colour), changed(scene, shape=shape), moved], 32, grain=0
        )
        found.append((*pictures, masks[0]))
    return found


def test_a_picture_is_no_distance_from_itself(sets):
    for picture, *_, mask in sets:
        assert structure_distance(picture, picture) == 0
        assert psnr(picture, picture) == math.inf
        assert background_error(picture, picture, outside(mask, 1)) == 0


def test_a_new_colour_is_less_of_a_change_of_structure_than_a_new_shape_or_place(sets):
    rows = [
        [structure_distance(a, b) for b in (recoloured, reshaped, moved)] for a, recoloured, reshaped, moved, _ in sets
    ]
    recoloured, reshaped, moved = torch.tensor(rows).mean(0).tolist()
    assert 2 * recoloured < reshaped < moved


def test_structure_does_not_notice_brightness_and_hardly_grain(sets, seeded):
    grainy, reshaped = 0.0, 0.0
    for i, (picture, _, other, *_) in enumerate(sets):
        grainy += structure_distance(picture, picture + 0.012 * torch.randn(3, 32, 32, generator=seeded(i)))
        reshaped += structure_distance(picture, other)
        assert structure_distance(picture, 0.8 * picture) < 1e-4
    assert 3 * grainy < reshaped


def test_what_happens_to_the_object_is_no_error_of_the_background(sets):
    for picture, recoloured, *_, mask in sets:
        away = outside(mask, 1)
        assert psnr(picture, recoloured, away) == math.inf
        assert background_error(picture, recoloured, away) == 0
        assert psnr(picture, recoloured) < 40


def test_a_cast_over_the_background_outweighs_grain_of_the_same_power(sets, seeded):
    for picture, *_, mask in sets:
        away = outside(mask, 1)
        grain = 0.03 * torch.randn(3, 32, 32, generator=seeded(2))
        assert background_error(picture, picture + 0.03, away) > 1.5 * background_error(picture, picture + grain, away)


def test_psnr_is_that_of_a_known_error():
    black = torch.zeros(3, 4, 4)
    assert psnr(black, black + 0.1) == pytest.approx(20)
    left = torch.zeros(1, 4, 4, dtype=torch.bool)
    left[..., :2] = True
    assert psnr(black, black + 0.1 * left, left) == pytest.approx(20)
    assert psnr(black, black + 0.1 * left, ~left) == math.inf


def test_an_even_motion_is_no_flicker_and_a_flash_is():
    everywhere = torch.ones(1, 4, 4, dtype=torch.bool)
    frames = [torch.full((3, 4, 4), 0.1 * i) for i in range(3)]
    assert flicker(*frames, everywhere) == pytest.approx(0, abs=1e-8)
    assert flicker(frames[0], frames[1] + 0.2, frames[2], everywhere) == pytest.approx(0.2)
    assert flicker(*frames, ~everywhere) == 0


def test_pictures_of_two_sizes_and_objects_without_surroundings_are_refused():
    with pytest.raises(ShapeError, match="other"):
        structure_distance(torch.zeros(3, 32, 32), torch.zeros(3, 16, 16))
    with pytest.raises(RequestError, match="no pixel to compare"):
        psnr(torch.zeros(3, 4, 4), torch.zeros(3, 4, 4), outside(torch.ones(1, 4, 4), 1))
