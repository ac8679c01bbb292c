"""A small residual block to make stacks of, and what a loss leaves in one."""

import torch
from torch import nn


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
