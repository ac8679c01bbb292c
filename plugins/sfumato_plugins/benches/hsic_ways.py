"""Three ways to train the same body: the HSIC bottleneck, back-propagation, and local cross-entropy heads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sfumato.train.bottleneck import Bottleneck

Row = dict[str, Any]
Step = Callable[["Tensor", "Tensor"], Any]
BATCH, MOMENTUM = 256, 0.9


def trained(
    layers: list[nn.Module],
    step: Step,
    weights: list[Any],
    inputs: Tensor,
    classes: Tensor,
    epochs: float,
    rate: float,
    seed: int,
    adam: bool = False,
) -> float:
    """Train by a step of inputs and classes, shuffled, in bfloat16 where it is safe; rates fall evenly to 0.

    step: Fills gradients of the weights. Returns the processor's seconds.
    """
    import torch

    optimiser: Any = torch.optim.Adam(weights, rate) if adam else torch.optim.SGD(weights, rate, MOMENTUM)
    generator = torch.Generator().manual_seed(seed)
    steps = max(1, int(epochs * (len(inputs) // BATCH)))
    began, done = time.process_time(), 0
    while done < steps:
        for rows in torch.split(torch.randperm(len(inputs), generator=generator), BATCH):
            if len(rows) < BATCH or done >= steps:
                break
            for group in optimiser.param_groups:
                group["lr"] = rate * (1 - done / steps)
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                loss = step(inputs[rows], classes[rows])
            loss.backward()
            optimiser.step()
            done += 1
    return time.process_time() - began


def head(width: int, count: int, seed: int) -> nn.Module:
    """A linear layer that answers classes, drawn from a seed."""
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(width, count)


def weights_of(layers: list[nn.Module]) -> list[Any]:
    """Of all layers."""
    return [weight for layer in layers for weight in layer.parameters()]


def hsic_step(layers: list[nn.Module], objective: Bottleneck, count: int) -> Step:
    """Every layer by the bottleneck, inputs detached; `count` classes."""
    from torch.nn.functional import one_hot

    from sfumato.train.bottleneck import detached

    def step(inputs: Tensor, classes: Tensor) -> Any:
        aim = objective.aim(inputs, one_hot(classes, count).float())
        return objective.losses(detached(layers, inputs), aim).sum()

    return step


def backward_step(layers: list[nn.Module]) -> Step:
    """Cross-entropy of the last layer, back through all."""
    from torch.nn.functional import cross_entropy

    def step(inputs: Tensor, classes: Tensor) -> Any:
        for layer in layers:
            inputs = layer(inputs)
        return cross_entropy(inputs.flatten(1).float(), classes)

    return step


def local_step(layers: list[nn.Module], heads: list[nn.Module]) -> Step:
    """Cross-entropy of a linear head behind every layer, inputs detached."""
    from torch.nn.functional import cross_entropy

    from sfumato.train.bottleneck import detached

    def step(inputs: Tensor, classes: Tensor) -> Any:
        states = detached(layers, inputs)
        return sum(cross_entropy(head(z.flatten(1)).float(), classes) for head, z in zip(heads, states))

    return step


def right(found: Tensor, classes: Tensor) -> float:
    """Per cent of answers that are right."""
    return 100 * float((found == classes).double().mean())
