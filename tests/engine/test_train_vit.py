"""A small vision transformer: the same network however it is trained."""

import pytest
import torch

from sfumato.train.vit import Block, VisionTransformer


def network(**more):
    torch.manual_seed(0)
    return VisionTransformer(patch=8, width=16, heads=2, depth=3, ratio=2, **more)


@pytest.mark.parametrize("way", [{"drop": 0.3}, {"skip": 0.3}, {"bits": 1}])
def test_ways_of_training_share_weights_and_inference_and_differ_in_training(way):
    plain, other = network(), network(**way)
    assert list(plain.state_dict()) == list(other.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), other.parameters(), strict=True))
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(plain.eval()(x), other.eval()(x))
    assert not torch.allclose(plain.train()(x), other.train()(x), atol=1e-3)
    other(x).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in other.parameters())


def test_stochastic_depth_skips_whole_branches_and_keeps_their_mean():
    torch.manual_seed(0)
    block, x = Block(8, 2, skip=0.25).train(), torch.randn(1, 5, 8).expand(4000, 5, 8)
    with torch.no_grad():
        block.down.weight.zero_()
        block.down.bias.zero_()  # attention alone
        after = block(x) - x
        whole = block.eval()(x[:1]) - x[:1]
    skipped = (after == 0).flatten(1).all(1)
    assert float(skipped.float().mean()) == pytest.approx(0.25, abs=0.03)
    assert torch.allclose(after[~skipped], (whole / 0.75).expand_as(after[~skipped]), atol=1e-5)
