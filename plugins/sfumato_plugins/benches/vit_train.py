"""How the networks of `sfumato bench reversible --data` are trained on CIFAR-10, and how often they are right."""

from __future__ import annotations

import math
import pathlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor, nn

Row = dict[str, Any]
GREY = 127  # of bytes


class Pictures(NamedTuple):
    """Bytes (N, 3, 32, 32) and classes (N,), to learn from and to be tested with."""

    inputs: Tensor
    classes: Tensor
    test_inputs: Tensor
    test_classes: Tensor


def load(folder: pathlib.Path) -> Pictures:
    """CIFAR-10.

    Raises:
        InputError: it is not there.
    """
    from sfumato.models.edm_pictures import read_cifar10

    return Pictures(*read_cifar10(folder, "train"), *read_cifar10(folder, "test"))


@dataclass(frozen=True)
class Recipe:
    """How to train: with so many pictures of the set, drawn by each seed.

    patch: Pixels of a patch's side. ratio: Of the feed-forward net's width to the blocks'.
    rate: The highest of AdamW's, after a share `warm` of the steps; then a cosine to 0. decay: Of weights.
    """

    pictures: int
    epochs: int
    patch: int
    ratio: int
    batch: int = 64
    rate: float = 1e-3  # the best for plain training on a seed that is not reported
    decay: float = 0.05
    warm: float = 0.05


SHORT = Recipe(2000, 10, patch=8, ratio=2)  # a minute a run on one core
FULL = Recipe(50_000, 40, patch=4, ratio=2, batch=256)  # for a GPU


def trained(pictures: Pictures, recipe: Recipe, seed: int, device: str, **way: Any) -> Row:
    """Train a network and measure it on the test pictures.

    way: Of `VisionTransformer`: drop, skip, bits.

    Returns:
        `accuracy`: percent of the test pictures; `loss`: the last epoch's mean; `seconds`: of the processor.
    """
    import torch

    from sfumato.train.vit import VisionTransformer

    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(pictures.inputs), generator=generator)[: recipe.pictures]  # the set is sorted by class
    inputs, classes = pictures.inputs[drawn].to(device), pictures.classes[drawn].to(device)
    began = time.process_time()
    devices = [] if device == "cpu" else [torch.device(device)]
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        network = VisionTransformer(patch=recipe.patch, ratio=recipe.ratio, **way).to(device)
        loss = _train(network, inputs, classes, recipe, generator)
    seconds = time.process_time() - began
    accuracy = 100 * _right(network, pictures.test_inputs, pictures.test_classes, device) / len(pictures.test_classes)
    return {"accuracy": accuracy, "loss": loss, "seconds": seconds}


def _train(network: nn.Module, inputs: Tensor, classes: Tensor, recipe: Recipe, generator: Any) -> float:
    """The mean loss of the last epoch."""
    import torch
    from torch.nn.functional import cross_entropy

    from sfumato.models.edm_pictures import as_floats

    optimiser = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=recipe.decay)
    each = len(inputs) // recipe.batch
    steps = recipe.epochs * each
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / (recipe.warm * steps)) * (1 + math.cos(math.pi * step / steps)) / 2,
    )
    network.train()
    losses = []
    for _ in range(recipe.epochs):
        order = torch.randperm(len(inputs), generator=generator)[: each * recipe.batch].to(inputs.device)
        for chosen in order.view(each, recipe.batch):
            optimiser.zero_grad(set_to_none=True)
            loss = cross_entropy(network(as_floats(shifted(inputs[chosen], generator))), classes[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            rates.step()
            losses.append(loss.detach())
    return float(torch.stack(losses[-each:]).mean())


def shifted(pictures: Tensor, generator: Any, most: int = 4) -> Tensor:
    """Each (N, C, H, W) moved by up to so many pixels, what comes in being grey, and half of them mirrored."""
    import torch
    from torch.nn.functional import pad

    count, _, height, width = pictures.shape
    down, along = torch.randint(2 * most + 1, (2, count, 1), generator=generator)
    turned = torch.rand(count, 1, generator=generator) < 0.5
    across = torch.arange(width)
    ys = (torch.arange(height) + down).to(pictures.device)
    xs = (torch.where(turned, width - 1 - across, across) + along).to(pictures.device)
    wide = pad(pictures, (most, most, most, most), value=GREY).permute(0, 2, 3, 1)
    number = torch.arange(count, device=pictures.device)
    return wide[number[:, None, None], ys[:, :, None], xs[:, None, :]].permute(0, 3, 1, 2)


def _right(network: nn.Module, inputs: Tensor, classes: Tensor, device: str) -> int:
    import torch

    from sfumato.models.edm_pictures import as_floats

    network.eval()
    with torch.no_grad():
        return sum(
            int((network(as_floats(inputs[at : at + 500].to(device))).argmax(1).cpu() == classes[at : at + 500]).sum())
            for at in range(0, len(inputs), 500)
        )
