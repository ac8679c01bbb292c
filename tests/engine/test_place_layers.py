"""Which attentions tell where things are, on the micro model."""

import pytest

from sfumato.errors import RequestError
from sfumato.models.load import load_model
from sfumato.place.detect import measure
from sfumato.place.layers import telling

STILLS = [(f"a {colour} box on {ground}", f"{colour} box") for colour, ground in (
    ("red", "snow"), ("blue", "sand"), ("yellow", "slate"), ("green", "brick"), ("purple", "water"), ("red", "slate"),
)]  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return load_model("embedded_micro")


def test_late_blocks_show_things_and_the_first_does_not(model):
    found = telling(model, STILLS, measure, steps=12)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    block = {int(name.split(".")[1]): value for name, value in found.items()}
    assert min(block[2], block[3]) > 0.7
    assert block[0] < block[2]


def test_nothing_found_is_said(model):
    with pytest.raises(RequestError, match="no object was found in any of the stills"):
        telling(model, STILLS[:1], lambda picture, phrases: [None], steps=4)
