"""The demo shot is what it says: linear, bright, furred, and its truth is exact."""

import pathlib

import torch

from sfumato.demo.matte import draw_frames, make_shot, trimap_of
from sfumato.io import read_image

SMALL = (96, 54)


def first(size: tuple[int, int] = SMALL, seed: int = 0):
    return next(draw_frames(1, size, seed))


def test_the_plate_is_the_truth_over_the_street_and_grain():
    frame = first()
    exact = frame.colour + (1 - frame.alpha) * frame.clean
    difference = frame.plate - exact
    assert 0 < difference.std() < 0.02
    assert difference.mean().abs() < 1e-3


def test_the_plate_has_light_well_above_white_and_none_that_is_broken():
    frame = first()
    assert frame.clean.max() > 4
    assert torch.isfinite(frame.plate).all()
    assert frame.colour.min() >= 0


def test_hair_covers_pixels_in_part():
    alpha = first((160, 90)).alpha
    part = ((alpha > 0.02) & (alpha < 0.98)).float().mean()
    assert 0.01 < part < 0.2
    assert (alpha == 1).float().mean() > 0.1
    assert (alpha == 0).float().mean() > 0.3
    assert len(alpha.unique()) > 50


def test_no_colour_where_nothing_covers():
    frame = first()
    assert (frame.colour[:, frame.alpha[0] == 0] == 0).all()


def test_the_trimap_never_lies():
    frame = first()
    assert set(frame.trimap.unique().tolist()) <= {0.0, 0.5, 1.0}
    assert (frame.alpha[frame.trimap == 0] == 0).all()
    assert (frame.alpha[frame.trimap == 1] == 1).all()
    assert (frame.trimap == 1).any()


def test_a_trimap_of_nothing_is_all_background():
    assert (trimap_of(torch.zeros(1, 9, 9)) == 0).all()


def test_the_creature_moves_and_the_same_seed_draws_the_same():
    one, two = list(draw_frames(2, SMALL, seed=3))
    again = first(seed=3)
    other = first(seed=4)
    assert not torch.equal(one.alpha, two.alpha)
    assert torch.equal(one.plate, again.plate)
    assert not torch.equal(one.plate, other.plate)


def test_odd_sizes_are_drawn():
    assert first((33, 47)).plate.shape == (3, 47, 33)


def test_the_files_read_back_as_they_were_drawn(tmp_path: pathlib.Path):
    shot = make_shot(tmp_path / "demo", frames=2, size=SMALL)
    frame = first()
    assert shot.frames == (1001, 1002)
    truth = read_image(shot.truth.replace("####", "1001"))
    assert truth.channels == ("R", "G", "B", "A")
    assert torch.equal(truth.pixels, torch.cat([frame.colour, frame.alpha]))
    assert torch.equal(read_image(shot.trimap.replace("####", "1001")).matte(), frame.trimap)
    plate = read_image(shot.plate.replace("####", "1001"))
    assert torch.equal(plate.rgb(), frame.plate.half().float())
    assert not plate.coded
