"""A small vision transformer that classifies pictures, to be trained plainly, regularised, or reversibly.

Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021, arXiv 2010.11929. Stochastic depth: Huang et al., "Deep
Networks with Stochastic Depth", 2016, arXiv 1603.09382: the share of samples that skip a branch grows evenly from 0 in
the first block to all that is asked for in the last.

# Differs from the paper: classes are read from the mean of the tokens, none is added for them.
"""

from torch import Tensor, nn
from torch.nn.functional import dropout, gelu, scaled_dot_product_attention

from sfumato.train.reversible import ReversibleBlocks


class Block(nn.Module):
    """Attention and a feed-forward net, each behind a norm and added to what came: (B, T, D) to the same.

    drop: Share of numbers that dropout zeroes behind both. skip: Share of samples that go past each of them.
    """

    def __init__(self, width: int, heads: int, ratio: int = 4, drop: float = 0.0, skip: float = 0.0) -> None:
        super().__init__()
        self.heads, self.drop, self.skip = heads, drop, skip
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, ratio * width), nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        q, k, v = self.qkv(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self._left(self.out(mixed))
        return x + self._left(self.down(gelu(self.up(self.norms[1](x)))))

    def _left(self, branch: Tensor) -> Tensor:
        """What dropout and stochastic depth leave of a branch."""
        branch = dropout(branch, self.drop, self.training)
        if self.skip and self.training:
            branch = branch * dropout(branch.new_ones(len(branch), 1, 1), self.skip)
        return branch


class VisionTransformer(nn.Module):
    """Pictures (B, 3, H, W) to a number for each class, (B, classes).

    Args:
        size, patch: Pixels of a picture's side and of a patch's, which divides it.
        classes: How many. width, heads, depth, ratio: Of the blocks; the feed-forward net is `ratio` times as wide.
        drop, skip: Of dropout and of stochastic depth in the last block, in training.
        bits: Train reversibly with |gamma| = 2^-bits; 0: as autograd does.
    """

    def __init__(
        self,
        size: int = 32,
        patch: int = 8,
        classes: int = 10,
        width: int = 128,
        heads: int = 4,
        depth: int = 6,
        ratio: int = 4,
        drop: float = 0.0,
        skip: float = 0.0,
        bits: int = 0,
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.places = nn.Parameter(0.02 * self.patches.weight.new_empty((size // patch) ** 2, width).normal_())
        shares = [skip * number / max(depth - 1, 1) for number in range(depth)]
        blocks = [Block(width, heads, ratio, drop, share) for share in shares]
        self.blocks = ReversibleBlocks(blocks, bits) if bits else nn.ModuleList(blocks)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """See the class."""
        x = self.patches(pictures).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x)
        answer: Tensor = self.head(self.norm(x).mean(1))
        return answer
