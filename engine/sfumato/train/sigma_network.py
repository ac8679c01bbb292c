"""Several bodies of one shape, each trained with a kernel width of its own, that answer together.

Ma, Lewis and Kleijn, "The HSIC Bottleneck", 2020, section 3.3: one width sees only so much of what samples tell of
each other. It is not a sum of kernels in one body, which `sfumato.train.hsic.gaussian` makes of several widths.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from sfumato.errors import RequestError
from sfumato.train.bottleneck import Bottleneck, layers_step
from sfumato.train.readout import run

Body = list[nn.Module]


class SigmaNetwork:
    """A body for each width.

    Args:
        make: A body of a seed; all have the same shape.
        sigmas: Widths, one for each body.
        objective: Of every body, but for its width.
        optimiser: Of a body's weights.

    Raises:
        RequestError: no width.
    """

    def __init__(
        self,
        make: Callable[[int], Body],
        sigmas: Sequence[float],
        objective: Bottleneck,
        optimiser: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    ) -> None:
        if not sigmas:
            raise RequestError("a network of no kernel width", "give one or more, such as 1, 5 and 10")
        self.bodies = [make(seed) for seed in range(len(sigmas))]
        self.objectives = [replace(objective, sigma=sigma) for sigma in sigmas]
        self.optimisers = [optimiser([w for layer in body for w in layer.parameters()]) for body in self.bodies]

    def step(self, inputs: Tensor, answers: Tensor) -> Tensor:
        """As `layers_step`, of each body: (bodies, layers). No body waits for another."""
        parts = zip(self.bodies, self.objectives, self.optimisers, strict=True)
        return torch.stack([layers_step(body, inputs, answers, how, optimiser) for body, how, optimiser in parts])

    def answer(self, inputs: Tensor) -> Tensor:
        """The mean of the bodies' last layers, (N, units), at rest: for a format layer to read."""
        return torch.stack([run(body, inputs) for body in self.bodies]).mean(0)
