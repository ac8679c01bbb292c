"""Reversible stacks in networks: names and inference stay; blocks that do not fit are run otherwise, or replaced."""

import copy
import warnings

import pytest
import torch
from reversible_blocks import Block, gradients, stack
from torch import nn

from sfumato.train.reversible import Reversible, ReversibleBlocks, reversible
from sfumato.train.streams import Streams, run_plainly


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


def stock(diffusers, which):
    """A network of diffusers, what it is called with, and what flows through its blocks."""
    if which == "dit":
        network = diffusers.DiTTransformer2DModel(
            num_attention_heads=2, attention_head_dim=16, in_channels=4, num_layers=4, sample_size=8, patch_size=2,
            num_embeds_ada_norm=10,
        )  # fmt: skip
        return network, {"timestep": torch.tensor([3, 700]), "class_labels": torch.tensor([1, 2])}, Streams()
    network = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_layers=4, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=24, caption_projection_dim=32, pooled_projection_dim=20, out_channels=4,
        pos_embed_max_size=8,
    )  # fmt: skip
    given = {"timestep": torch.tensor([3, 700]), "encoder_hidden_states": torch.randn(2, 7, 24),
             "pooled_projections": torch.randn(2, 20)}  # fmt: skip
    return network, given, Streams(("hidden_states", "encoder_hidden_states"), (1, 0))


@pytest.mark.parametrize("which", ["dit", "sd3"])
def test_stock_diffusers_transformers_train_reversibly(which):
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers")
    torch.manual_seed(0)
    network, given, streams = stock(diffusers, which)
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


def through(network, x):
    for block in network:
        x = block(x)
    return x


def test_a_block_that_is_replaced_is_the_one_that_is_trained():
    blocks, x = ReversibleBlocks(stack(5), gamma_bits=8).train(), torch.randn(2, 6, 32)
    torch.manual_seed(1)
    through(blocks, x).sum().backward()
    blocks.zero_grad()
    old, blocks[2] = blocks[2], Block()
    blocks.append(Block())
    torch.manual_seed(1)
    through(blocks, x).sum().backward()
    assert all(p.grad is None for p in old.parameters())
    assert all(bool(p.grad.any()) for block in (blocks[2], blocks[5]) for p in block.parameters())
    torch.manual_seed(1)
    found = through(blocks, x)
    torch.manual_seed(1)
    assert torch.equal(found, reversible(nn.ModuleList.__iter__(blocks), 8)(x))


def test_what_is_known_of_blocks_that_cannot_be_undone_follows_the_list():
    norm = nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(6))
    blocks = ReversibleBlocks([Block(), norm, Block(), Block()]).train()
    assert set(blocks.stack.plain) == {1}
    blocks[1], blocks[3] = Block(), norm
    through(blocks, torch.randn(3, 6, 32))
    assert set(blocks.stack.plain) == {3}
    del blocks[3]
    through(blocks, torch.randn(3, 6, 32))
    assert not blocks.stack.plain


def test_a_loop_meets_one_runner_in_training_with_gradients_and_the_blocks_otherwise():
    plain = stack(4)
    blocks = ReversibleBlocks(plain).train()
    assert list(blocks) == [blocks.stack]
    assert list(blocks[1:]) == list(plain)[1:]
    with torch.no_grad():
        assert list(blocks) == list(plain)
    assert list(blocks.eval()) == list(plain)
    assert reversible(block for block in plain).blocks == list(plain)
