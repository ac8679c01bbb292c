"""What a network says that was never told which unit stands for which class."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sfumato.errors import RequestError


@torch.no_grad()
def run(layers: Sequence[nn.Module], inputs: Tensor, batch: int = 1000) -> Tensor:
    """The last layer's answer to inputs (N, ...), at rest: norms use what they learned."""
    modes = [layer.training for layer in layers]
    for layer in layers:
        layer.eval()
    found = []
    for part in torch.split(inputs, batch):
        for layer in layers:
            part = layer(part)
        found.append(part.flatten(1).float())
    for layer, mode in zip(layers, modes, strict=True):
        layer.train(mode)
    return torch.cat(found)


def assigned(answers: Tensor, classes: Tensor) -> Tensor:
    """The unit of each class (C,), by training data (N, units) and (N,): the assignment whose class means are largest
    together, no two classes on one unit (Kuhn, "The Hungarian Method", 1955).

    # Differs from the authors' code, which reads it off the test labels.

    Raises:
        RequestError: fewer units than classes; a class that does not occur.
    """
    from scipy.optimize import linear_sum_assignment

    means = class_means(answers, classes)
    if means.shape[1] < len(means):
        raise RequestError(
            f"{means.shape[1]} units for {len(means)} classes",
            "give the last layer as many units as there are classes, or train a format layer",
        )
    _, units = linear_sum_assignment(means.numpy(), maximize=True)
    return torch.as_tensor(units)


def class_means(answers: Tensor, classes: Tensor) -> Tensor:
    """The mean answer to each class: (C, units).

    Raises:
        RequestError: a class that does not occur.
    """
    count = torch.bincount(classes)
    if not bool(count.all()):
        absent = int((count == 0).nonzero()[0])
        raise RequestError(f"no sample of class {absent}", "number classes from 0 on, and show some of each")
    sums = torch.zeros(len(count), answers.shape[1]).index_add_(0, classes, answers)
    return sums / count[:, None]


def by_unit(answers: Tensor, units: Tensor) -> Tensor:
    """The class (N,) whose unit answers most."""
    return answers[:, units].argmax(-1)


def by_mean(answers: Tensor, means: Tensor) -> Tensor:
    """The class (N,) whose mean is nearest."""
    return torch.cdist(answers, means).argmin(-1)


def format_layer(
    answers: Tensor, classes: Tensor, epochs: int = 5, rate: float = 1e-2, batch: int = 256, seed: int = 0
) -> nn.Linear:
    """A linear softmax layer on the answers (N, units) of a body that stays as it is: section 3.2 of the paper.

    Answers are scaled to a mean square of 1 inside it, so that one rate serves every body.

    # Differs from the paper, which trains it by plain SGD: by Adam, with a rate that falls to 0.
    """
    count = int(classes.max()) + 1
    scale = float(answers.square().mean().sqrt().clamp(min=1e-6))
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(answers.shape[1], count)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimiser = torch.optim.Adam(layer.parameters(), rate)
    steps = epochs * -(-len(answers) // batch)
    falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(answers), generator=generator), batch):
            optimiser.zero_grad()
            cross_entropy(layer(answers[rows] / scale), classes[rows]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            falling.step()
    with torch.no_grad():
        layer.weight /= scale
    return layer
