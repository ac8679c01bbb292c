"""Directing networks of clips: time is no word, and every frame and row may have words and boxes of its own."""

import pytest
import torch
from place_networks import WORDS, build, call, space_of
from place_steering import SLOTS, fast, inputs

from sfumato.errors import RequestError
from sfumato.place.each import Each
from sfumato.place.hooks import Steer, directed
from sfumato.place.keyed import Keyed


@torch.no_grad()
@pytest.mark.parametrize("name", ["UNet3D", "UNetMotion", "Latte"])
def test_attention_over_time_is_told_from_attention_to_words(name):
    network = build(name)
    latent, words = inputs(name)
    kinds = {}

    class Noting(Steer):
        def bias(self, site):
            kinds.setdefault(site.kind, set()).add(site.name)

    with directed(network, space_of(name, latent, SLOTS), [False, True], Noting()):
        call(name, network, latent, words)
    assert kinds.keys() == {"cross", "self", "temporal"}
    assert all(any(part in n for part in ("temp", "motion", "transformer_in")) for n in kinds["temporal"])


@torch.no_grad()
@pytest.mark.parametrize("name", ["UNet3D", "UNetMotion", "Latte"])
def test_each_frame_may_have_words_of_its_own(name):
    network = build(name)
    latent, words = inputs(name, rows=1)
    other = torch.randn(1, SLOTS, WORDS, generator=torch.Generator().manual_seed(7))

    class Telling(Steer):
        def __init__(self, told):
            self.told = told

        def words(self):
            return self.told

    def answer(told):
        with directed(network, space_of(name, latent, SLOTS), [True], Telling(told)):
            return call(name, network, latent, words)

    plain, changed = call(name, network, latent, words), call(name, network, latent, other)
    assert torch.allclose(answer(words.expand(3, -1, -1)), plain, atol=1e-5)
    assert torch.allclose(answer(other.expand(3, -1, -1)), changed, atol=1e-5)
    mixed = answer(torch.cat([words, words, other]))
    assert not torch.allclose(mixed, plain, atol=1e-3)
    assert not torch.allclose(mixed, changed, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("name", ["UNet3D", "UNetMotion", "Latte"])
def test_rows_of_one_call_have_boxes_and_words_of_their_own(name):
    network = build(name)
    latent, words = inputs(name)
    told = torch.randn(2, 3, SLOTS, WORDS, generator=torch.Generator().manual_seed(7))
    steers = [Keyed(fast(3), told[0]), Keyed(fast(3, 0.3), told[1])]
    space = space_of(name, latent, SLOTS)
    with directed(network, space, [True, True], Each(steers)):
        together = call(name, network, latent, words)
    for row, steer in enumerate(steers):
        with directed(network, space, [True], steer):
            alone = call(name, network, latent[row : row + 1], words[row : row + 1])
        assert torch.allclose(together[row : row + 1], alone, atol=2e-5)


@torch.no_grad()
def test_a_model_that_reads_one_prompt_for_a_clip_refuses_a_prompt_for_each_frame():
    network = build("Wan")
    latent, words = inputs("Wan")

    class Telling(Steer):
        def words(self):
            return torch.zeros(3, SLOTS, WORDS)

    with (
        pytest.raises(RequestError, match="reads one prompt for a whole clip"),
        directed(network, space_of("Wan", latent, SLOTS), [True, True], Telling()),
    ):
        call("Wan", network, latent, words)
