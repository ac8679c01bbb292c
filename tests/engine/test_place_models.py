"""The models that placing ships with: small, whole, and their things go where they are asked to be."""

import random
from importlib.resources import files
from pathlib import Path

import pytest
import torch

pytest.importorskip("diffusers", reason="diffusion models need the diffusion extra")

from sfumato.models.load import load_model
from sfumato.models.training.scenes import COLOURS, GROUNDS
from sfumato.place.box import Box
from sfumato.place.calibration import DEFAULT, read_calibration
from sfumato.place.detect import measure
from sfumato.place.render import place, place_many
from sfumato.place.request import Request
from sfumato.place.staging import Staging, Subject, one_still
from sfumato.place.track import BoxTrack

HOME = files("sfumato.models")


def requests(count, method, strength, seed):
    """Prompts of one box whose edges lie on the micro model's patches."""
    rng, found = random.Random(seed), []
    for number in range(count):
        side = rng.choice((3, 4))
        x, y = rng.randrange(9 - side), rng.randrange(9 - side)
        thing = f"{rng.choice(tuple(COLOURS))} box"
        prompt = f"{'an' if thing[0] == 'o' else 'a'} {thing} on {rng.choice(tuple(GROUNDS))}"
        staging = one_still(prompt, [(thing, Box(x / 8, y / 8, (x + side) / 8, (y + side) / 8))])
        found.append(Request(staging, method=method, strength=strength, steps=24, seed=number))
    return found


@pytest.fixture(scope="module")
def micro():
    return load_model("embedded_micro")


def overlap(model, method, strength=1.0, count=32):
    """The mean IoU of asked and measured boxes; a missing one counts 0."""
    calibration = read_calibration(HOME / "embedded_micro")
    done = place_many(model, requests(count, method, strength, 7), calibration=calibration, measure=measure)
    ious = [iou or 0.0 for rendered in done for row in rendered.ious() for iou in row]
    assert len(ious) == count
    print(f"{method} {strength:g}: mIoU {sum(ious) / count:.3f}")
    return sum(ious) / count


@pytest.mark.parametrize(
    ("name", "most"), [("embedded_micro", 2**20), ("embedded_place", 16e6), ("embedded_trail", 16e6)]
)
def test_a_model_of_placing_is_small_and_has_a_card_and_a_calibration(name, most):
    home = Path(str(HOME)) / name
    assert sum(file.stat().st_size for file in home.rglob("*") if file.is_file()) <= most
    assert "Apache-2.0" in (home / "README.md").read_text()
    assert read_calibration(home) != DEFAULT


def test_a_box_of_the_micro_model_is_where_chance_puts_it_and_then_where_it_was_asked_to_be(micro):
    unedited = overlap(micro, "none")
    fast, precise = overlap(micro, "fast"), overlap(micro, "precise")
    assert unedited <= 0.25
    assert fast >= 0.85
    assert precise >= 0.93
    for method, most in (("fast", fast), ("precise", precise)):
        assert abs(overlap(micro, method, 0.5) - (unedited + most) / 2) <= 0.1


def test_the_micro_model_draws_without_a_codec_in_its_own_size(micro):
    assert micro.size == (16, 16)
    assert torch.isfinite(place_many(micro, requests(1, "none", 0.0, 1))[0].pictures).all()


def test_the_model_of_stills_puts_two_things_where_they_were_asked_to_be():
    boxes = [("red ball", Box(0.1, 0.15, 0.5, 0.55)), ("blue box", Box(0.55, 0.5, 0.9, 0.85))]
    staging = one_still("a red ball and a blue box on sand", boxes)
    calibration = read_calibration(HOME / "embedded_place")
    model = load_model("embedded_place")
    ious = {}
    for method in ("none", "fast"):
        asked = [Request(staging, method=method, strength=1.0, steps=16, seed=seed) for seed in range(4)]
        done = place_many(model, asked, calibration=calibration, measure=measure)
        ious[method] = sum(iou or 0.0 for rendered in done for iou in rendered.ious()[0]) / 8
    assert ious["none"] < 0.3
    assert ious["fast"] > 0.55


def test_the_model_of_shots_leads_a_thing_from_left_to_right_and_turns_its_colour():
    track = BoxTrack.baked(0, [Box(0.07 * n, 0.3, 0.07 * n + 0.4, 0.7) for n in range(8)])
    ball = Subject("ball", ("red ball", "blue ball"), track)
    staging = Staging(((0, "a red ball on sand"), (7, "a blue ball on sand")), (ball,), 0, 8)
    model, calibration = load_model("embedded_trail"), read_calibration(HOME / "embedded_trail")
    done = place(model, Request(staging, method="fast", strength=1.0, steps=12, seed=3), calibration=calibration)
    assert done.pictures.shape == (8, 3, 64, 64)
    (first,), (last,) = (measure(done.pictures[n], [phrase]) for n, phrase in ((0, "red ball"), (7, "blue ball")))
    assert first is not None
    assert last is not None
    assert last.left - first.left > 0.3
