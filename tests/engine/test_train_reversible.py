"""Reversible stacks: states come back to the bit, gradients are those of a network that kept everything."""

import copy

import pytest
import torch
from reversible_blocks import Block, gradients, stack
from torch import nn

from sfumato.errors import RequestError
from sfumato.train.chain import Chain
from sfumato.train.lattice import from_whole, to_whole
from sfumato.train.reversible import Reversible, reversible


def trip(blocks, x, bits, level=9, conditions=()):
    """States at the start, and rebuilt from the end."""
    chain = Chain(list(blocks), lambda block, states, given: (block(states[0], *given),), (x,), bits, level, False)
    first = chain.first[0].clone()
    for _ in blocks:
        chain.forward(conditions)
    for _ in blocks:
        chain.back(conditions)
    assert chain.redone == 0
    return first, chain.now[0]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize(
    ("depth", "dropout", "half"), [(6, 0.1, True), (12, 0.0, False), (24, 0.1, False), (48, 0.1, True)]
)
def test_states_come_back_to_the_bit(depth, dropout, half, bits):
    blocks, x = stack(depth, dropout=dropout), torch.randn(3, 10, 32)
    with torch.autocast("cpu", torch.bfloat16, half):
        first, again = trip(blocks, x, bits)
    assert torch.equal(first, again)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_states_come_back_to_the_bit_through_96_blocks(bits):
    blocks, x = stack(96, dropout=0.1), torch.randn(2, 10, 32)
    with torch.autocast("cpu", torch.bfloat16):
        first, again = trip(blocks, x, bits)
    assert torch.equal(first, again)


@pytest.mark.parametrize("bits", [1, 8])
def test_gradients_are_those_of_kept_states_to_the_bit(bits):
    blocks, x, shift = stack(24, dropout=0.1), torch.randn(3, 10, 32), torch.randn(3, 32)
    found = []
    for keep in (False, True):
        torch.manual_seed(3)
        found.append(gradients(blocks, x, Reversible(list(blocks), bits, keep=keep), shift))
    assert torch.equal(found[0][0], found[1][0])
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))


class Whole(torch.autograd.Function):
    """Rounded on the way there, and nothing on the way back."""

    @staticmethod
    def forward(ctx, values):
        return from_whole(to_whole(values, 9), 9)

    @staticmethod
    def backward(ctx, grad):
        return grad


def by_autograd(blocks, x, signs, shift=None):
    """The same network written down plainly, every state kept."""
    now = Whole.apply(x)
    before, number = None, 0
    for number, block in enumerate(blocks):
        change = block(now, shift) - now
        if number == 0:
            before, now = now, now + Whole.apply(change)
            continue
        gamma = 0.5 * signs[number].view(-1, 1, 1)
        odd = (to_whole(before.detach(), 9) & 1).float() * 2.0**-9
        before, now = now, gamma * (before + odd) + Whole.apply((1 - gamma) * now + (1 + gamma) * change)
    return now


def test_gradients_are_autograds_of_the_same_network():
    blocks, x, shift = stack(12), torch.randn(3, 10, 32), torch.randn(3, 32)
    torch.manual_seed(4)
    torch.randint(2**62, ())  # what the stack draws before its signs
    signs = 2 * torch.randint(0, 2, (12, 3), dtype=torch.int32) - 1
    out, known = gradients(blocks, x, lambda x, shift: by_autograd(blocks, x, signs, shift), shift)
    torch.manual_seed(4)
    again, found = gradients(blocks, x, reversible(blocks), shift)
    assert torch.equal(out, again)
    for a, b in zip(found, known, strict=True):
        assert float((a - b).norm() / b.norm()) < 2e-6


def test_a_unit_of_fault_is_seen_and_mended_before_a_gradient_is_wrong():
    blocks, x = stack(8), torch.randn(2, 6, 32)
    torch.manual_seed(5)
    _, known = gradients(blocks, x, Reversible(list(blocks)))
    for fault in range(1, 8):
        torch.manual_seed(5)
        whole = Reversible(list(blocks))
        blocks.zero_grad()
        given = x.detach().requires_grad_()
        out = whole(given)
        chain = chain_of(out)
        left = chain.left[fault]
        left.packed[0][3] ^= 1 << fault % 8
        torch.manual_seed(9)
        loss = (out * torch.randn(out.shape)).sum()
        with pytest.warns(UserWarning, match="was not rebuilt"):
            loss.backward()
        assert whole.redone == 1
        found = [given.grad, *[p.grad for p in blocks.parameters()]]
        assert all(torch.equal(a, b) for a, b in zip(found, known, strict=True))


def chain_of(out):
    """The chain that a result hangs on."""
    node = out.grad_fn
    while not hasattr(node, "chain"):
        node = node.next_functions[0][0]
    return node.chain


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_block_that_answers_differently_each_time_is_an_error_and_no_gradient(place):
    class Moody(Block):
        calls = 0

        def forward(self, x):
            Moody.calls += 1
            return super().forward(x) + 0.01 * Moody.calls

    blocks = nn.ModuleList([Moody() if number == place else Block() for number in range(4)])
    out = Reversible(list(blocks))(torch.randn(2, 6, 32))
    with pytest.raises(RequestError, match=f"block {place} of a reversible stack does not give the same answer twice"):
        out.sum().backward()
    assert all(p.grad is None for p in blocks[place].parameters())


def test_a_first_block_whose_weights_change_before_the_way_back_is_an_error():
    blocks = stack(3)
    out = reversible(blocks)(torch.randn(2, 6, 32)).sum()
    with torch.no_grad():
        next(blocks[0].parameters()).add_(0.5)
    with pytest.raises(RequestError, match="block 0"):
        out.backward()


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(6), nn.InstanceNorm1d(6, track_running_stats=True)])
def test_a_block_that_counts_what_it_sees_counts_it_once(norm):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = norm

        def forward(self, x):
            return x + self.norm(x)

    shown, once = torch.randn(2, 6, 32), copy.deepcopy(norm)
    once(shown)
    Reversible([Counting(), Block(), Block()])(shown).sum().backward()
    assert torch.equal(norm.running_mean, once.running_mean)
    assert torch.equal(norm.running_var, once.running_var)


def test_a_stack_is_gone_back_through_once():
    blocks = stack(4)
    out = reversible(blocks)(torch.randn(2, 6, 32)).sum()
    out.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        out.backward()


def test_activations_too_large_for_the_level_are_named():
    with pytest.raises(RequestError, match="lower the level"):
        reversible(stack(3), level=20)(torch.full((1, 4, 32), 5000.0))
    doubling = [nn.Linear(32, 32, bias=False) for _ in range(2)]
    for layer, factor in zip(doubling, (2.0, 1.0), strict=True):
        nn.init.eye_(layer.weight).data.mul_(factor)
    assert Reversible(doubling, 1, 20)(torch.full((1, 4, 32), 400.0)).abs().max() >= 600
    with pytest.raises(RequestError, match="holds up to 1024"):  # each fits, and their sum does not
        Reversible(doubling, 1, 20)(torch.full((1, 4, 32), 900.0))
    with pytest.raises(RequestError, match="not a number"):
        reversible(stack(3))(torch.full((1, 4, 32), torch.nan))
    with pytest.raises(RequestError, match="3 bits"):
        reversible(stack(3), gamma_bits=3)


def test_weights_that_are_frozen_get_nothing_and_the_global_generator_goes_on():
    blocks = stack(4, dropout=0.5)
    for parameter in blocks[1].parameters():
        parameter.requires_grad_(False)
    torch.manual_seed(2)
    reversible(blocks)(torch.randn(2, 6, 32)).sum().backward()
    one = torch.rand(3)
    torch.manual_seed(2)
    reversible(blocks)(torch.randn(2, 6, 32)).sum().backward()
    assert torch.equal(torch.rand(3), one)
    assert all(p.grad is None for p in blocks[1].parameters())
    assert all(p.grad is not None for p in blocks[0].parameters())
