"""How much memory a training will take, measured on a step of one picture and of two before it begins."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sfumato.device import free_memory
from sfumato.errors import MemoryLimitError
from sfumato.train.live_tensors import LiveTensors
from sfumato.train.stacks import BITS, can_reverse, depth, make_plain, make_reversible

SPARE = 1.1  # what a process holds besides tensors
_COPIES = 4  # of the weights, float32: themselves, their gradients, and AdamW's two moments


@dataclass(frozen=True)
class Estimate:
    """Bytes of live tensors, as `LiveTensors` counts them; on CUDA, as torch counts what it allocated.

    weights, gradients, optimiser: For as long as the training lasts.
    kept, undone: What a step adds with every activation kept, and with reversible blocks; None where it was not
        measured: there is no room even to try, or the network has no such blocks.
    seconds: A step, kept and undone. free: Bytes that can still be had, with the weights already there.
    batch: Pictures a step. parameters: Numbers that are trained.
    """

    weights: int
    gradients: int
    optimiser: int
    kept: int | None
    undone: int | None
    seconds: tuple[float | None, float | None]
    free: int
    batch: int
    parameters: int

    def total(self, reversible: bool) -> int | None:
        """Bytes of the whole training; None where the step was not measured."""
        step = self.undone if reversible else self.kept
        return None if step is None else self.weights + self.gradients + self.optimiser + step

    def fits(self, reversible: bool) -> bool:
        """Whether there is room for it."""
        total = self.total(reversible)
        return total is not None and (total - self.weights) * SPARE <= self.free


def require_room(parameters: int, device: torch.device) -> None:
    """Before anything is loaded: weights, gradients and the optimiser alone must fit.

    Raises:
        MemoryLimitError: they do not.
    """
    needed, free = _COPIES * 4 * parameters, free_memory(device)
    if needed > free:
        raise MemoryLimitError(
            f"training {parameters / 1e6:.0f} million weights takes {in_words(needed)} before the first activation "
            f"(weights, gradients, two moments each, float32), and {device.type} has {in_words(free)} free",
            "take a smaller model, or a machine with more memory",
        )


def estimate(network: nn.Module, step: Callable[[int], None], batch: int, bits: int = BITS) -> Estimate:
    """Measure.

    Args:
        network: With gradients asked of its weights, its blocks plain; left so.
        step: Runs forward and back on so many pictures, and leaves gradients.
        batch: Pictures a step of the training.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    size = sum(p.numel() * p.element_size() for p in parameters)
    device = parameters[0].device
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    room = free_memory(device) - 2 * size  # the moments are not there yet
    sizes = range(1, min(batch, 2) + 1)
    undone, kept = [], []
    if can_reverse(network):
        make_reversible(network, bits)
        undone = [_measured(step, pictures, device) for pictures in sizes]
        make_plain(network)
    if not undone or undone[-1][0] * depth(network) < room:
        kept = [_measured(step, pictures, device) for pictures in sizes]
    for parameter in parameters:
        parameter.grad = None
    (more, slow), (less, slower) = _in_line(kept, batch), _in_line(undone, batch)
    numbers = sum(p.numel() for p in parameters)
    return Estimate(size, size, 2 * size, more, less, (slow, slower), free_memory(device), batch, numbers)


def in_words(size: float) -> str:
    """Bytes as people say them: 812 MB, 3.4 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def _in_line(measured: list[tuple[int, float]], batch: int) -> tuple[int, float] | tuple[None, None]:
    """Bytes and seconds of a step of so many pictures: measured up to two, and in a line from there."""
    if len(measured) < 2 or batch < 3:
        return measured[-1] if measured else (None, None)
    first, second = measured
    more = [max(b - a, 0) for a, b in zip(first, second, strict=True)]
    return int(second[0] + (batch - 2) * more[0]), second[1] + (batch - 2) * more[1]


def _measured(step: Callable[[int], None], pictures: int, device: torch.device) -> tuple[int, float]:
    step(pictures)  # what is made once and kept is not counted
    began = time.perf_counter()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step(pictures)
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before, time.perf_counter() - began
    step(pictures)
    seconds = time.perf_counter() - began
    counter: Any = LiveTensors()
    with counter as live:
        step(pictures)
    return live.peak, seconds
