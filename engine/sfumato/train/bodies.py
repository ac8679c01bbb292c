"""Networks as lists of layers that can be trained one by one."""

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from sfumato.device import seeded


class Dense(nn.Module):
    """Linear, batch norm without gains, ReLU: (m, ...) to (m, width). norm: False leaves the norm out.

    last: softmax instead of ReLU, for a layer whose units are to be read as classes.

    # Differs from the authors' code, whose last layer is as the others: on the simplex clusters are furthest apart at
    # its corners, so that no two classes take the same unit.
    """

    def __init__(self, given: int, width: int, norm: bool = True, last: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(given, width)
        self.norm = nn.BatchNorm1d(width, affine=False) if norm else nn.Identity()
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        z: Tensor = self.norm(self.linear(x.flatten(1)))
        return z.softmax(-1) if self.last else relu(z)


class Convolved(nn.Module):
    """x + what two convolutions make of it, ReLU: (m, C, h, w) to the same; with a stem before it, or halved after.

    given: Channels in, where they are not `width`: then a convolution brings them there first.
    halved: Height and width are, by a mean over 2 x 2.
    """

    def __init__(self, given: int, width: int, halved: bool = False) -> None:
        super().__init__()
        self.stem = nn.Identity() if given == width else _conv(given, width)
        self.body = nn.Sequential(_conv(width, width), nn.ReLU(), _conv(width, width))
        self.pool = nn.AvgPool2d(2) if halved else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.stem(x)
        answer: Tensor = self.pool(relu(x + self.body(x)))
        return answer


def dense(
    given: int, width: int, depth: int, classes: int = 0, norm: bool = True, seed: int = 0, gain: float | None = None
) -> list[nn.Module]:
    """`depth` hidden layers of a width, and one of `classes` units where there are any to be read off.

    gain: Over the root of what goes into a unit, the bound of the weights that are drawn. Without norms the default is
        what ReLU needs to pass variance on, the root of 6: He et al., "Delving Deep into Rectifiers", 2015, eq. (10);
        else 1, which is torch's own.
    """
    layers: list[nn.Module] = [Dense(given if not n else width, width, norm) for n in range(depth)]
    last = [Dense(width if depth else given, classes, norm, last=True)] if classes else []
    return _begun([*layers, *last], seed, gain or (1.0 if norm else 6**0.5))


def convolved(channels: int, width: int, halved: tuple[bool, ...], seed: int = 0) -> list[nn.Module]:
    """A residual block for each entry, from pictures of so many channels."""
    return _begun([Convolved(width if n else channels, width, half) for n, half in enumerate(halved)], seed)


def _conv(given: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(given, width, 3, padding=1, bias=False), nn.BatchNorm2d(width, affine=False))


@torch.no_grad()
def _begun(layers: list[nn.Module], seed: int, gain: float = 1.0) -> list[nn.Module]:
    """With weights drawn anew from a seed: uniform within a gain over the root of what goes into a unit."""
    generator = seeded(seed, "layers")
    for layer in layers:
        for part in layer.modules():
            if isinstance(part, (nn.Linear, nn.Conv2d)):
                bound = part.weight[0].numel() ** -0.5
                part.weight.uniform_(-gain * bound, gain * bound, generator=generator)
                if part.bias is not None:
                    part.bias.uniform_(-bound, bound, generator=generator)
    return layers
