"""Despill."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import RequestError
from sfumato.matte.despill import LUMINANCE, despill


def colours(seed: int) -> torch.Tensor:
    return torch.randn(3, 6, 7, generator=torch.Generator().manual_seed(seed)) + 0.5


@given(st.integers(0, 999), st.sampled_from(["green", "blue"]), st.sampled_from(["average", "max"]), st.booleans())
def test_what_has_no_spill_keeps_its_bits(seed, screen, limit, keep):
    foreground = colours(seed)
    clean, spill = despill(foreground, screen, limit=limit, keep_luminance=keep)
    untouched = (spill == 0).expand_as(foreground)
    assert torch.equal(clean[untouched], foreground[untouched])
    assert torch.all(spill >= 0)


@given(st.integers(0, 999), st.sampled_from(["green", "blue"]))
def test_the_screen_channel_ends_at_its_limit(seed, screen):
    clean, _ = despill(colours(seed), screen, limit="max", keep_luminance=False)
    channel = {"green": 1, "blue": 2}[screen]
    others = [c for c in range(3) if c != channel]
    assert torch.all(clean[channel] <= clean[others].amax(0) + 1e-6)


@given(st.integers(0, 999), st.sampled_from(["average", "max"]), st.floats(0, 1))
def test_luminance_stays(seed, limit, strength):
    foreground = colours(seed)
    clean, _ = despill(foreground, "green", limit=limit, strength=strength)
    weights = torch.tensor(LUMINANCE)
    assert torch.allclose(torch.einsum("c,chw->hw", weights, clean - foreground), torch.zeros(6, 7), atol=1e-5)


def test_strength_zero_changes_nothing():
    foreground = colours(1)
    assert torch.equal(despill(foreground, "green", strength=0.0)[0], foreground)


@pytest.mark.parametrize("wrong", [{"screen": "red"}, {"limit": "min"}, {"strength": 2.0}])
def test_a_wrong_choice_is_a_sentence(wrong):
    with pytest.raises(RequestError, match="despill"):
        despill(colours(0), **{"screen": "green", **wrong})
