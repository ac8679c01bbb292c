"""The deep image prior: networks nobody trained, whose shape alone prefers natural pictures."""

from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

GROUPS = 4


class Block(nn.Module):
    """Two 3 x 3 convolutions, each normalised over groups of channels and gated by a leaky rectifier."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        # Differs from Ulyanov et al.: group norm, not batch norm, so that a flash in a corner does not move a far edge.
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, padding_mode="reflect", bias=False),
            nn.GroupNorm(GROUPS, after),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, padding_mode="reflect", bias=False),
            nn.GroupNorm(GROUPS, after),
            nn.LeakyReLU(0.2, inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out


class Hourglass(nn.Module):
    """Encoder and decoder with or without skips between levels of one size.

    Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior", 2018. Without skips the network cannot copy fine detail of one
    region into another: what foreground and background must be kept from.

    Args:
        inputs: Channels of the noise.
        widths: Channels of each level, finest first; every level halves the size.
        skip: Channels of the skip connections; 0 for none.
    """

    def __init__(self, inputs: int, widths: Sequence[int], skip: int) -> None:
        super().__init__()
        before = [inputs, *widths[:-1]]
        self.down = nn.ModuleList(Block(b, w, 2) for b, w in zip(before, widths, strict=True))
        self.skips = nn.ModuleList(nn.Conv2d(b, skip, 1) for b in before) if skip else None
        below = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(Block(b + skip, w) for b, w in zip(below, widths, strict=True))

    def forward(self, noise: Tensor) -> Tensor:
        """(1, inputs, H, W) -> features (1, widths[0], H, W); any H and W."""
        stages = [noise]
        for down in self.down:
            stages.append(down(stages[-1]))
        x = stages.pop()
        for level in range(len(self.up) - 1, -1, -1):
            fine = stages.pop()
            x = nnf.interpolate(x, size=fine.shape[2:], mode="bilinear", align_corners=False)
            if self.skips is not None:
                x = torch.cat([x, nnf.leaky_relu(self.skips[level](fine), 0.2)], 1)
            x = self.up[level](x)
        return x


class MatteNetworks(nn.Module):
    """The three networks of a neural matte.

    Elcott, Lewis, Kanazawa, Bregler, "Training-Free Neural Matte Extraction for Visual Effects", 2022: one network
    rebuilds the picture, and a second head on its last features gives alpha; two more extend foreground and
    background. All heads but the picture's start at zero: alpha as a change of the classical answer, the layers as a
    change of the mean colour.
    """

    def __init__(self, noise: int = 16, guide: int = 5) -> None:
        super().__init__()
        picture, layer = (24, 32, 48, 64), (8, 16, 32)
        self.noise = noise
        self.trunk = Hourglass(noise + guide, picture, skip=8)
        # Differs from the paper: no skips for the layers. With them the background network copies the hair.
        self.foreground, self.background = (Hourglass(noise // 2, layer, skip=0) for _ in range(2))
        self.picture = nn.Conv2d(picture[0], 3, 1)
        self.alpha, self.fore, self.back = (
            nn.Conv2d(picture[0], 1, 1),
            nn.Conv2d(layer[0], 3, 1),
            nn.Conv2d(layer[0], 3, 1),
        )
        for head in (self.alpha, self.fore, self.back):
            nn.init.zeros_(head.weight)
            if head.bias is not None:
                nn.init.zeros_(head.bias)

    def forward(self, noise: Tensor, guide: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Picture, change of alpha, change of foreground and of background; each (1, C, H, W)."""
        features = self.trunk(torch.cat([noise, guide], 1))
        some = noise[:, : self.noise // 2]
        return (
            self.picture(features),
            self.alpha(features),
            self.fore(self.foreground(some)),
            self.back(self.background(some)),
        )

    def reset(self, generator: torch.Generator) -> None:
        """Draw all weights anew from one generator: the same numbers on every machine."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.weight.any():
                nn.init.kaiming_normal_(module.weight, a=0.2, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
