"""Training layer by layer: each is to tell much of the answer and little of the input, and asks no other layer.

Ma, Lewis and Kleijn, "The HSIC Bottleneck: Deep Learning without Back-Propagation", 2020, arXiv 1908.01580, eq. (7):
for every layer i on its own, minimise nHSIC(Z_i, X) - beta nHSIC(Z_i, Y).

# Differs from the authors' code, which goes back through all earlier layers and then throws away what is not layer i's:
# inputs are detached, which gives the same update (a test shows it) at a cost that is linear in depth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfumato.errors import RequestError
from sfumato.train.hsic import EPSILON, gaussian, resolvent, traced


@dataclass(frozen=True)
class Bottleneck:
    """The objective of every layer.

    sigma: Width of the kernels of inputs and layers; see `sfumato.train.hsic.gaussian`.
    beta: How much telling the answer counts against telling the input.
    epsilon: The ridge of the normalised form. More where layers have as many units as a batch has samples: then they
        can tell samples apart without telling classes apart, and a small one counts that as telling all.
    scaled: Kernels of layers are in units of each layer's own spread: for networks without norms, whose layers would
        otherwise grow without end.
    answers: The kernel of the answers (m, ...); default: `gaussian`. `sfumato.train.hsic.linear` for numbers.
    """

    sigma: float | tuple[float, ...] = 5.0
    beta: float = 500.0
    epsilon: float = EPSILON
    scaled: bool = False
    answers: Callable[[Tensor], Tensor] | None = None

    def aim(self, inputs: Tensor, answers: Tensor) -> Tensor:
        """R_x - beta R_y of a batch, (m, m): what layers are held against; the same for all of them.

        Args:
            inputs: (m, ...).
            answers: (m, C) one-hot, or (m, ...) numbers.

        Raises:
            RequestError: a batch whose answers are all the same, or of fewer than four samples.
        """
        if bool((answers == answers[:1]).all()):
            raise RequestError(
                f"all {len(answers)} samples of a batch have the same answer, which then tells nothing",
                "shuffle the samples: files are often sorted by class",
            )
        with torch.no_grad():
            x = resolvent(gaussian(inputs.float(), self.sigma), self.epsilon)
            kernel = self.answers(answers.float()) if self.answers else gaussian(answers.float(), self.sigma)
            return x - self.beta * resolvent(kernel, self.epsilon)

    def losses(self, states: Sequence[Tensor], aim: Tensor) -> Tensor:
        """nHSIC(Z_i, X) - beta nHSIC(Z_i, Y) of layers' states (m, ...): (layers,), with gradients."""
        flat = [state.float().flatten(1) for state in states]
        if self.scaled:
            flat = [_scaled(state) for state in flat]
        return traced(torch.stack([gaussian(state, self.sigma) for state in flat]), aim, self.epsilon)


def _scaled(state: Tensor) -> Tensor:
    state = state - state.mean(0)
    return state / state.square().mean().sqrt().clamp(min=1e-12)


def detached(layers: Sequence[nn.Module], inputs: Tensor) -> list[Tensor]:
    """The state behind each layer, whose graph holds that layer alone."""
    states = []
    for layer in layers:
        states.append(layer(inputs))
        inputs = states[-1].detach()
    return states


def layers_step(
    layers: Sequence[nn.Module],
    inputs: Tensor,
    answers: Tensor,
    objective: Bottleneck,
    optimiser: torch.optim.Optimizer,
) -> Tensor:
    """One step of all layers, none of which waits for a gradient from another.

    Args:
        layers: Each is called with what the one before answered.
        inputs: (m, ...). answers: (m, C) one-hot, or (m, ...) numbers.
        objective: Of each layer.
        optimiser: Of all their weights.

    Returns:
        The objective of each layer before the step, (layers,).

    Raises:
        RequestError: as `Bottleneck.aim`; a layer's numbers overflow.
    """
    losses = objective.losses(detached(layers, inputs), objective.aim(inputs, answers))
    optimiser.zero_grad(set_to_none=True)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return losses.detach()
