"""The same small network trained without back-propagation between its layers: by HSIC, and a linear read-out.

Each hidden layer minimises nHSIC(Z, X) - beta nHSIC(Z, Y) on its own (Ma, Lewis and Kleijn, "The HSIC Bottleneck",
2020, eq. (7)); then [entry, Z2] -> controls by ridge regression.

# Differs from the paper: answers are numbers, not classes, so their kernel is linear, on standardised controls; and
# epsilon and beta are those of a few linear directions, 1e-2 and 10, chosen on takes that are not reported.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from sfumato.face.networks import BATCH, RIDGE, WIDTH, Net, begin, principal
from sfumato.report import Report, Step, silent
from sfumato.train.bottleneck import Bottleneck, layers_step
from sfumato.train.hsic import linear

OBJECTIVE = Bottleneck(sigma=2.0, beta=10.0, epsilon=1e-2, answers=linear)
SAMPLES = 2 * BATCH  # a batch; a kernel of few samples tells little
RATE = 6e-3
FEWER = 3  # of the epochs that back-propagation is given: a step here costs that much more
STILL = 0.05  # deviation below which a control is not scaled up


def fit_by_hsic(
    features: Tensor,
    target: Tensor,
    given: Tensor | None,
    blur: float,
    counts: Tensor,
    epochs: int,
    seed: int,
    report: Report = silent,
) -> Net:
    """Train one; arguments and answer as `sfumato.face.networks.fit`, with `epochs` / FEWER passes over all samples."""
    draw = torch.Generator().manual_seed(seed)
    features, target, counts = features.float(), target.float(), counts.float()
    net = principal(features)
    entry = net.entry(features, None)
    extra = 0 if given is None else given.shape[1]
    lines = _lines(entry.shape[1] + extra, draw)
    layers = [nn.Sequential(line, nn.LeakyReLU(0.1)) for line in lines]
    answers = (target - target.mean(0)) / target.std(0).clamp(min=STILL)
    optimiser = torch.optim.AdamW(nn.ModuleList(layers).parameters(), RATE)
    size = min(SAMPLES, len(entry))
    steps, rounds = max(1, len(entry) // size), max(1, round(epochs / FEWER))

    def known(rows: Tensor) -> Tensor:
        if given is None:
            return entry[rows]
        noise = torch.randn(len(rows), extra, generator=draw) * blur
        return torch.cat([entry[rows], given[rows].float() + noise], 1)

    loss = None
    for epoch in range(rounds):
        report(Step("epoch", epoch, rounds, loss=loss))
        drawn = torch.multinomial(counts, steps * size, True, generator=draw).reshape(steps, size)
        for number, rows in enumerate(drawn):
            optimiser.param_groups[0]["lr"] = RATE * _falling(epoch + number / steps, rounds)
            if bool((answers[rows] != answers[rows[:1]]).any()):  # else the batch tells nothing
                loss = float(layers_step(layers, known(rows), answers[rows], OBJECTIVE, optimiser).sum())
    report(Step("epoch", rounds, rounds, loss=loss))
    with torch.no_grad():
        straight, last = _read_out(layers, known(torch.arange(len(entry))), target, counts)
        done = [(line.weight.clone(), line.bias.clone()) for line in lines]
    return replace(net, basis=net.basis.contiguous(), straight=straight, layers=(*done, last))


def _lines(wide: int, draw: torch.Generator) -> list[nn.Linear]:
    """Of the two hidden layers, as `networks.fit` begins them."""
    made = []
    for weight, bias in begin([wide, WIDTH, WIDTH, 1], torch.zeros(1), draw)[:2]:
        line = nn.Linear(weight.shape[1], weight.shape[0])
        line.weight.data, line.bias.data = weight, bias
        made.append(line)
    return made


def _falling(done: float, rounds: int) -> float:
    return 0.5 + 0.5 * math.cos(math.pi * done / rounds)


def _read_out(
    layers: list[nn.Sequential], entry: Tensor, target: Tensor, counts: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Ridge regression of controls on the entry and the last hidden layer: the line (K, P), and the last layer."""
    hidden = entry
    for layer in layers:
        hidden = layer(hidden)
    known = torch.cat([entry, hidden], 1).double()
    share = (counts / counts.sum())[:, None].double()
    middle, wanted = (share * known).sum(0), (share * target).sum(0)
    known, target = known - middle, target.double() - wanted
    normal = known.T @ (share * known)
    ridge = 0.1 * RIDGE * normal.diagonal().mean() * torch.eye(len(normal), dtype=torch.float64)
    found = torch.linalg.solve(normal + ridge, known.T @ (share * target)).T
    straight, weight = found[:, : entry.shape[1]], found[:, entry.shape[1] :]
    return straight.float().contiguous(), (weight.float().contiguous(), (wanted - found @ middle).float())
