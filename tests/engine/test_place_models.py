"""The models that placing ships with: small, whole, and their things go where they are asked to be."""

import random
from importlib.resources import files

import pytest
import torch

pytest.importorskip("diffusers", reason="diffusion models need the diffusion extra")

from sfumato.models.load import load_model
from sfumato.models.training.scenes import COLOURS, GROUNDS
from sfumato.place.box import Box
from sfumato.place.calibration import read_calibration
from sfumato.place.detect import measure
from sfumato.place.render import Request, place_many
from sfumato.place.staging import one_still

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


def test_the_micro_model_is_at_most_a_megabyte_and_has_a_card():
    home = HOME / "embedded_micro"
    parts = [home / "place.json", home / "README.md", home / "model_index.json"]
    parts += [
        file for part in ("transformer", "text_encoder", "tokenizer", "scheduler") for file in (home / part).iterdir()
    ]
    assert sum(len(file.read_bytes()) for file in parts) <= 2**20
    assert "only" in (home / "README.md").read_text()


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
