"""Running a block twice with the same answer: the same random numbers, the same autocast."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Replay:
    """The conditions that a block is run in, the first time and every other.

    Takes one number from the generator; None: from torch's own, so that what a stack draws follows `torch.manual_seed`.
    """

    def __init__(self, device: torch.device, generator: torch.Generator | None) -> None:
        self.kind = device.type
        self.devices = [device] if device.type not in ("cpu", "mps", "meta") else []
        self.seed = int(torch.randint(2**62, (), generator=generator))
        self.autocast = {
            kind: (torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in {"cpu", self.kind}
        }
        self.cached = torch.is_autocast_cache_enabled()

    @contextmanager
    def block(self, number: int) -> Iterator[None]:
        """Run block `number` within; the generators are afterwards as they were."""
        kinds = iter(self.autocast.items())
        with torch.random.fork_rng(self.devices, device_type=self.kind if self.devices else "cuda"):
            seed = (self.seed + number * 0x9E3779B97F4A7C15) % 2**63
            torch.default_generator.manual_seed(seed)
            if self.devices:
                getattr(torch, self.kind).manual_seed(seed)
            with torch.enable_grad(), self._autocast(list(kinds)):
                yield

    @contextmanager
    def _autocast(self, kinds: list[tuple[str, tuple[bool, torch.dtype]]]) -> Iterator[None]:
        if not kinds:
            yield
            return
        (kind, (enabled, dtype)), *others = kinds
        with torch.autocast(kind, dtype, enabled, self.cached), self._autocast(others):
            yield
