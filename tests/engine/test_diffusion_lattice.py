"""Integers that come back: scaling, side bits and digests, for any numbers."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.diffusion.lattice import (
    LIMIT,
    SideBits,
    contract,
    digest,
    expand,
    from_lattice,
    shared,
    to_lattice,
)
from sfumato.errors import RequestError

integers = st.lists(st.integers(-LIMIT + 1, LIMIT - 1), min_size=1, max_size=40).map(torch.tensor)
ratios = st.fractions(min_value=Fraction(1, 20), max_value=1, max_denominator=256).filter(lambda r: r < 1)


@given(integers, ratios)
def test_what_was_expanded_contracts_to_itself_with_nothing_kept(m: torch.Tensor, ratio: Fraction) -> None:
    assert torch.equal(contract(expand(m, 1 / ratio), ratio)[0], m)


@given(integers, ratios)
def test_what_was_contracted_expands_to_itself_with_its_rest(m: torch.Tensor, ratio: Fraction) -> None:
    down, rest = contract(m, ratio)
    assert torch.equal(expand(down, 1 / ratio, rest), m)
    assert bool((rest <= shared(down, ratio)).all())
    assert bool((rest >= 0).all())


@given(integers, ratios)
def test_side_bits_give_back_every_rest(m: torch.Tensor, ratio: Fraction) -> None:
    bits = SideBits()
    down, rest = contract(m, ratio)
    bits.put(7, down, rest, ratio)
    taken = bits.take(7, down, ratio)
    assert taken is not None
    assert torch.equal(taken, rest)
    assert bits.take(6, down, ratio) is None


def test_side_bits_cost_two_in_a_hundred_at_a_gamma_of_99_hundredths() -> None:
    m = torch.randint(-(2**20), 2**20, (100_000,), generator=torch.Generator().manual_seed(0))
    bits, ratio = SideBits(), Fraction(99, 100)
    down, rest = contract(m, ratio)
    bits.put(1, down, rest, ratio)
    assert bits.per_element(m.numel()) == pytest.approx(0.02, rel=0.05)


def test_side_bits_of_other_latents_are_refused() -> None:
    bits, ratio = SideBits(), Fraction(1, 2)
    down, rest = contract(torch.arange(64), ratio)
    bits.put(1, down, rest, ratio)
    with pytest.raises(RequestError, match="belong to other latents"):
        bits.take(1, torch.arange(100), ratio)


@given(st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=30), st.sampled_from([12, 16, 18]))
def test_a_latent_on_the_lattice_is_the_same_float_and_integer(values: list[float], level: int) -> None:
    m = to_lattice(torch.tensor(values), level)
    shown = from_lattice(m, level)
    assert torch.equal(to_lattice(shown, level), m)
    assert float((shown - torch.tensor(values)).abs().max()) <= 2.0 ** -(level + 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 8192.0])
def test_what_does_not_fit_is_refused_before_it_becomes_an_integer(value: float) -> None:
    with pytest.raises(RequestError, match="a latent or step is"):
        to_lattice(torch.tensor([0.0, value, 1.0]), 18)


@given(integers, st.integers(0, 39), st.integers(0, 40))
def test_any_changed_bit_changes_the_digest(m: torch.Tensor, where: int, bit: int) -> None:
    other = m.clone()
    other[where % m.numel()] ^= 1 << bit
    assert digest(m) != digest(other)
    assert digest(m) == digest(m.clone())


def test_an_empty_latent_is_no_trouble() -> None:
    assert to_lattice(torch.zeros(0), 18).shape == (0,)
