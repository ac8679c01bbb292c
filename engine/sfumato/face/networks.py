"""A small network from features to controls: a straight line and two hidden layers beside it, fitted on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, smooth_l1_loss

from sfumato.report import Report, Step, silent
from sfumato.train.hsic import gaussian, linear, nhsic

WIDTH = 160
RIDGE = 1e-3  # of the mean variance
KEPT = 128  # principal directions of the features, at most
BATCH = 96
LOOSE = 1e-2  # epsilon of nHSIC(controls, day)
FLOOR = 1e-3  # deviation below which a direction says nothing


@dataclass(frozen=True)
class Net:
    """y = A z + W3 f(W2 f(W1 z + b1) + b2) + b3, f a leaky rectifier, z = [(x - mean) basis / scale, given]; float32.

    mean: (D,). basis: (D, P) principal directions. scale: (P,). straight: A, (K, P + G).
    layers: (weight, bias) pairs, (out, in) and (out,).
    """

    mean: Tensor
    basis: Tensor
    scale: Tensor
    straight: Tensor
    layers: tuple[tuple[Tensor, Tensor], ...]

    def __call__(self, features: Tensor, given: Tensor | None = None) -> Tensor:
        """Features (N, D), and (N, G) numbers that are known, if it takes them, to controls (N, K), float32."""
        return _through(self.straight, self.layers, self.entry(features, given if self.takes else None))

    @property
    def takes(self) -> int:
        """How many known numbers it takes, G or 0."""
        return self.straight.shape[1] - self.basis.shape[1]

    def entry(self, features: Tensor, given: Tensor | None) -> Tensor:
        """z of features (N, D) and, if given, (N, G) known numbers: (N, P + G)."""
        entry = (features.float() - self.mean) @ self.basis / self.scale
        return entry if given is None else torch.cat([entry, given.float()], 1)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """For a safetensors file, each under `name`."""
        found = {f"{name}.mean": self.mean, f"{name}.basis": self.basis, f"{name}.scale": self.scale}
        found[f"{name}.straight"] = self.straight
        for i, (weight, bias) in enumerate(self.layers):
            found |= {f"{name}.weight{i}": weight, f"{name}.bias{i}": bias}
        return {key: value.contiguous() for key, value in found.items()}

    @classmethod
    def from_tensors(cls, name: str, tensors: Mapping[str, Tensor]) -> Net:
        """The other way.

        Raises:
            KeyError: one is missing.
        """
        layers = tuple((tensors[f"{name}.weight{i}"], tensors[f"{name}.bias{i}"]) for i in range(3))
        mean, basis, scale, straight = (tensors[f"{name}.{key}"] for key in ("mean", "basis", "scale", "straight"))
        return cls(mean, basis, scale, straight, layers)


def fit(
    features: Tensor,
    target: Tensor,
    given: Tensor | None,
    blur: float,
    counts: Tensor,
    epochs: int,
    seed: int,
    report: Report = silent,
    days: Tensor | None = None,
    loosen: float = 0.0,
) -> Net:
    """Train one.

    Args:
        features: (N, D). target: (N, K).
        given: (N, G) true values of what is known when it is used; trained with noise of `blur`, because by then it
            is a network's or an artist's word.
        counts: (N,) how much each sample counts.
        epochs: Passes over all samples. seed: The same gives the same network on the same machine.
        days: (N, days) one-hot, the day of each sample. loosen: weight of nHSIC(controls, day) in the loss, so that
            the answer depends on the day no more than it must (Wang et al., "HBaR", 2021, uses HSIC so).

    The line is first the ridge regression of the samples; then all is trained together, by Adam with a cosine schedule
    on the Huber loss.
    """
    draw = torch.Generator().manual_seed(seed)
    features, target = features.float(), target.float()
    net = principal(features)
    entry = net.entry(features, None)
    extra = 0 if given is None else given.shape[1]
    layers = begin([entry.shape[1] + extra, WIDTH, WIDTH, target.shape[1]], target.mean(0), draw)
    straight = line(entry if given is None else torch.cat([entry, given.float()], 1), target, counts.float())
    weights = [straight.requires_grad_(), *(tensor.requires_grad_() for layer in layers for tensor in layer)]
    optimiser = torch.optim.AdamW(weights, lr=2e-3, weight_decay=1e-4)
    size = min(BATCH, len(entry))
    steps = max(1, len(entry) // size)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * steps)
    mean: float | None = None
    for epoch in range(epochs):
        report(Step("epoch", epoch, epochs, loss=mean))
        total = 0.0
        for rows in torch.multinomial(counts.float(), steps * size, True, generator=draw).reshape(steps, size):
            known = entry[rows]
            if given is not None:
                noise = torch.randn(len(rows), extra, generator=draw) * blur
                known = torch.cat([known, given[rows].float() + noise], 1)
            optimiser.zero_grad()
            answer = _through(straight, layers, known)
            loss = smooth_l1_loss(answer, target[rows], beta=0.05)
            if days is not None and loosen:
                loss = loss + loosen * nhsic(gaussian(answer, 1.0), linear(days[rows].float()), LOOSE)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            rates.step()
            total += float(loss.detach())
        mean = total / steps
    report(Step("epoch", epochs, epochs, loss=mean))
    done = tuple((weight.detach(), bias.detach()) for weight, bias in layers)
    return Net(net.mean, net.basis.contiguous(), net.scale, straight.detach(), done)


def principal(features: Tensor) -> Net:
    """The way into a network, (N, D) features to their principal directions, and no network yet."""
    mean = features.mean(0)
    spread = (features - mean).double()
    values, vectors = (found.float() for found in torch.linalg.eigh(spread.T @ spread / len(spread)))
    kept = max(1, min(KEPT, int((values > FLOOR**2).sum())))
    return Net(mean, vectors[:, -kept:], values[-kept:].clamp(min=FLOOR**2).sqrt(), torch.zeros(0), ())


def line(entry: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """(K, P) ridge regression, in the samples' shares."""
    share = (counts / counts.sum())[:, None]
    entry, target = entry - (share * entry).sum(0), target - (share * target).sum(0)
    normal = entry.T @ (share * entry)
    ridge = RIDGE * normal.diagonal().mean() * torch.eye(len(normal))
    found: Tensor = torch.linalg.solve(normal + ridge, entry.T @ (share * target)).T.contiguous()
    return found


def begin(sizes: list[int], middle: Tensor, draw: torch.Generator) -> tuple[tuple[Tensor, Tensor], ...]:
    """Layers of random weights, the last near nothing and at the middle of the answers."""
    layers = []
    for number, (before, after) in enumerate(pairwise(sizes)):
        last = number == len(sizes) - 2
        weight = torch.randn(after, before, generator=draw) * (0.01 if last else (2.0 / before) ** 0.5)
        layers.append((weight, middle.clone() if last else torch.zeros(after)))
    return tuple(layers)


def _through(straight: Tensor, layers: tuple[tuple[Tensor, Tensor], ...], entry: Tensor) -> Tensor:
    line = entry @ straight.T
    for number, (weight, bias) in enumerate(layers):
        entry = entry @ weight.T + bias
        if number < len(layers) - 1:
            entry = leaky_relu(entry, 0.1)
    return entry + line
