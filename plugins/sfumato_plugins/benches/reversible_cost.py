"""What a step through a deep stack costs, reversibly and otherwise: bytes and seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches.reversible_stacks import BATCH, LEVEL, TOKENS, WIDTH, drawn, stack

if TYPE_CHECKING:
    from torch import Tensor, nn

Row = dict[str, Any]
Say = Callable[[str], None]
WAYS = ("autograd", "checkpoints", "reversible", "reversible, 4 bits")


def memory(depths: tuple[int, ...], say: Say) -> list[Row]:
    """The peak of a step at each depth, each way; plain autograd up to 24 blocks."""
    import resource

    from sfumato.train.live_tensors import LiveTensors

    rows: list[Row] = []
    for way in WAYS:
        first: tuple[int, float] | None = None
        for depth in depths:
            if way == WAYS[0] and depth > 24:
                continue
            blocks, x = stack(depth), _given()
            with LiveTensors() as live:
                _step(way, blocks, x)
            peak = live.peak / 1e6
            first = first or (depth, peak)
            more = (peak - first[1]) / (depth - first[0]) if depth > first[0] else None
            process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rows.append(
                {"case": "memory", "method": way, "blocks": depth, "peak": peak, "a block": more, "process": process}
            )
            say(f"{way}, {depth} blocks: {peak:.0f} MB")
    return rows


def timing() -> list[Row]:
    """Seconds of the processor for a step of 12 blocks, each way in turn."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    blocks, x = stack(12), _given()
    for _ in range(4):
        for way in WAYS:
            began = time.process_time()
            _step(way, blocks, x)
            taken[way].append(time.process_time() - began)
    least = {way: min(seconds[1:]) for way, seconds in taken.items()}  # the first warms up
    return [
        {"case": "time", "method": way, "blocks": 12, "seconds": least[way], "over": least[way] / least[WAYS[1]]}
        for way in WAYS
    ]


def _step(way: str, blocks: nn.ModuleList, x: Tensor) -> None:
    from torch.utils.checkpoint import checkpoint

    from sfumato.train.reversible import Reversible

    if way.startswith("reversible"):
        out = Reversible(list(blocks), 4 if "4" in way else 1, LEVEL, generator=drawn(3))(x)
    else:
        out = x
        for block in blocks:
            out = block(out) if way == WAYS[0] else checkpoint(block, out, use_reentrant=False)
    out.square().sum().backward()


def _given() -> Tensor:
    import torch

    return torch.randn(BATCH, TOKENS, WIDTH, generator=drawn(0), requires_grad=True)
