"""Activations as whole numbers: what a step sets aside brings them back, a seal sees a change, rounding is small."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reversible_blocks import stack

from sfumato.train.lattice import from_whole, lifted, lowered, pack, seal, to_whole, unpack
from sfumato.train.streams import Streams, run_plainly


@given(st.integers(0, 2**31), st.sampled_from([1, 2, 4, 8]))
@settings(max_examples=50, deadline=None)
def test_what_is_lifted_is_lowered_and_takes_its_bits(seed, bits):
    g = torch.Generator().manual_seed(seed)
    shape = tuple(int(n) for n in torch.randint(1, 9, (3,), generator=g))
    whole = torch.randint(-(2**20), 2**20, shape, generator=g, dtype=torch.int32)
    sign = 2 * torch.randint(0, 2, (shape[0], 1, 1), generator=g, dtype=torch.int32) - 1
    quotient, packed = lifted(whole, sign, bits)
    assert torch.equal(lowered(quotient, sign, packed, bits), whole)
    assert packed.numel() == -(-whole.numel() * bits // 8)
    numbers = torch.randint(0, 2**bits, shape, generator=g, dtype=torch.int32)
    assert torch.equal(unpack(pack(numbers, bits), bits, numbers.shape), numbers)


def test_a_seal_sees_every_change_of_one_unit():
    g = torch.Generator().manual_seed(0)
    whole = torch.randint(-1000, 1000, (4, 50), generator=g, dtype=torch.int32)
    for place in range(200):
        other = whole.clone()
        other.view(-1)[place] += 1 if place % 2 else -1
        assert not torch.equal(seal((whole,)), seal((other,)))


def test_rounding_changes_inference_by_a_quarter_of_a_percent_at_most():
    blocks, x = stack(48), torch.randn(2, 20, 32)
    with torch.no_grad():
        known = run_plainly(blocks, Streams(), (x,), {})
        whole = to_whole(x, 9)
        for block in blocks:
            shown = from_whole(whole, 9)
            whole = whole + to_whole(block(shown) - shown, 9)
    change = from_whole(whole, 9) - known
    assert float(change.square().mean().sqrt() / known.square().mean().sqrt()) < 2.5e-3
