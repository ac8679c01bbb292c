"""Reversible stacks: states come back to the bit, gradients are those of a network that kept everything."""

import copy
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sfumato.errors import RequestError
from sfumato.train.chain import Chain
from sfumato.train.lattice import from_whole, lifted, lowered, pack, seal, to_whole, unpack
from sfumato.train.reversible import Reversible, ReversibleBlocks, Streams, reversible, run_plainly


class Block(nn.Module):
    """Attention and a feed-forward net behind norms, with dropout; conditioned by a shift."""

    def __init__(self, width=32, heads=4, dropout=0.0):
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.net = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x, shift=None):
        y = self.norms[0](x)
        if shift is not None:
            y = y + shift[:, None]
        q, k, v = self.qkv(y).unflatten(-1, (3, self.heads, -1)).movedim(2, 0).transpose(-2, -3)
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.net(self.norms[1](x)))


def stack(depth, seed=0, **more):
    torch.manual_seed(seed)
    return nn.ModuleList([Block(**more) for _ in range(depth)])


def gradients(blocks, x, call, shift=None):
    """What a loss leaves in x, the shift and every weight."""
    blocks.zero_grad()
    x = x.detach().requires_grad_()
    shift = None if shift is None else shift.detach().requires_grad_()
    out = call(x) if shift is None else call(x, shift)
    torch.manual_seed(9)
    (out.float() * torch.randn(out.shape)).sum().backward()
    leaves = [x, *([] if shift is None else [shift]), *blocks.parameters()]
    return out.detach(), [leaf.grad.clone() for leaf in leaves]


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


def test_a_block_that_answers_differently_each_time_is_an_error_and_no_gradient():
    class Moody(Block):
        calls = 0

        def forward(self, x):
            Moody.calls += 1
            return super().forward(x) + 0.01 * Moody.calls

    blocks = nn.ModuleList([Block(), Moody(), Block(), Block()])
    out = Reversible(list(blocks))(torch.randn(2, 6, 32))
    with pytest.raises(RequestError, match="block 1 of a reversible stack does not give the same answer twice"):
        out.sum().backward()
    assert all(p.grad is None for p in blocks[0].parameters())


def test_inference_is_the_untouched_network_and_so_are_its_names():
    blocks = stack(6)
    network = nn.Module()
    network.blocks = blocks
    names, x = list(network.state_dict()), torch.randn(2, 6, 32)
    with torch.no_grad():
        known = run_plainly(blocks, Streams(), (x,), {})
        network.blocks = ReversibleBlocks(blocks)
        found = x
        for block in network.blocks.eval():
            found = block(found)
        assert torch.equal(found, known)
        assert torch.equal(reversible(blocks)(x), known)
    assert list(network.state_dict()) == names


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


def test_blocks_that_cannot_be_undone_are_run_with_checkpoints_and_the_rest_reversibly():
    class Shrink(nn.Module):
        def forward(self, x):
            return x[:, ::2]

    norm = nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(10))
    blocks = nn.ModuleList([Block(), Block(), norm, Block(), Block(), Shrink(), Block(), Block()])
    whole = Reversible(list(blocks))
    x = torch.randn(3, 10, 32)
    torch.manual_seed(1)
    _, found = gradients(blocks, x, whole)
    assert set(whole.plain) == {2, 5}
    assert "statistics" in whole.plain[2]
    assert "form" in whole.plain[5]
    torch.manual_seed(1)
    _, again = gradients(blocks, x, whole)
    assert len(found) == len(again)
    assert all(bool(grad.any()) for grad in found)


def test_a_stack_is_gone_back_through_once():
    blocks = stack(4)
    out = reversible(blocks)(torch.randn(2, 6, 32)).sum()
    out.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        out.backward()


def test_activations_too_large_for_the_level_are_named():
    with pytest.raises(RequestError, match="lower the level"):
        reversible(stack(3), level=20)(torch.full((1, 4, 32), 5000.0))
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


@pytest.mark.parametrize("which", ["dit", "sd3"])
def test_stock_diffusers_transformers_train_reversibly(which):
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers")
    torch.manual_seed(0)
    if which == "dit":
        network = diffusers.DiTTransformer2DModel(
            num_attention_heads=2, attention_head_dim=16, in_channels=4, num_layers=4, sample_size=8, patch_size=2,
            num_embeds_ada_norm=10,
        )  # fmt: skip
        given = {"timestep": torch.tensor([3, 700]), "class_labels": torch.tensor([1, 2])}
        streams = Streams()
    else:
        network = diffusers.SD3Transformer2DModel(
            sample_size=8, patch_size=2, in_channels=4, num_layers=4, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=24, caption_projection_dim=32, pooled_projection_dim=20, out_channels=4,
            pos_embed_max_size=8,
        )  # fmt: skip
        given = {"timestep": torch.tensor([3, 700]), "encoder_hidden_states": torch.randn(2, 7, 24),
                 "pooled_projections": torch.randn(2, 20)}  # fmt: skip
        streams = Streams(("hidden_states", "encoder_hidden_states"), (1, 0))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    network.train()
    x = torch.randn(2, 4, 8, 8)
    names = list(network.state_dict())
    network.transformer_blocks = ReversibleBlocks(network.transformer_blocks, gamma_bits=8, streams=streams)
    assert list(network.state_dict()) == names
    found = []
    for keep in (False, True):
        network.transformer_blocks.stack.keep = keep
        torch.manual_seed(6)
        network.zero_grad()
        network(x, **given).sample.square().mean().backward()
        found.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    assert network.transformer_blocks.stack.redone == 0
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    plain = copy.deepcopy(network)
    plain.transformer_blocks = nn.ModuleList(list(nn.ModuleList.__iter__(plain.transformer_blocks.eval())))
    plain.zero_grad()
    plain(x, **given).sample.square().mean().backward()
    known = [p.grad for p in plain.parameters() if p.grad is not None]
    assert len(known) == len(found[0])
    apart = sum(float((a - b).square().sum()) for a, b in zip(found[0], known, strict=True))
    whole = sum(float(b.square().sum()) for b in known)
    assert (apart / whole) ** 0.5 < 0.1  # gamma of a 256th disturbs the network a little
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with torch.no_grad():
            assert torch.equal(network.eval()(x, **given).sample, plain.eval()(x, **given).sample)
