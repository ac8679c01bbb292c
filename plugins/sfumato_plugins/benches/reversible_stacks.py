"""The stacks that the bench of reversible training measures: blocks of a ViT, their numbers drawn from seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, nn

BATCH, TOKENS, WIDTH, LEVEL = 8, 197, 256, 9


def stack(depth: int, width: int = WIDTH, dropout: float = 0.0) -> nn.ModuleList:
    """Blocks of a ViT, their gradients at hand."""
    import torch
    from torch import nn

    blocks = [nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, "gelu", batch_first=True, norm_first=True)
              for _ in range(depth)]  # fmt: skip
    generator = drawn(depth)
    for block in blocks:
        for parameter in block.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter, generator=generator)
            parameter.grad = torch.zeros_like(parameter)
    return nn.ModuleList(blocks)


def drawn(seed: int) -> Generator:
    """Numbers of a seed, on the CPU."""
    import torch

    return torch.Generator().manual_seed(seed)
