"""Where a run computes: the CPU, or a GPU that nobody else of us is using. The lease lasts as long as the process.

SFUMATO_GPUS=name,name stands for the list of GPUs in tests; a run on "auto" then takes a lease and computes on the CPU.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Callable

from sfumato_plugins.errors import wrong
from sfumato_plugins.lease import Client, Lease, NoLocks, folder_for_leases, locking
from sfumato_plugins.settings import load_settings
from sfumato_plugins.waiting import make_way, wait_for

if TYPE_CHECKING:
    import torch

Say = Callable[[str], None]
Pause = Callable[[], None]

_DRIVERS = ("nvidia", "nvhost", "nvgpu", "kfd", "dxg")  # NVIDIA, Jetson, AMD, Windows' Linux
ENOUGH = 2 << 30  # bytes; a plate of 1024 px takes 1 GiB in standard, of 2048 px four times that
CPU = "compute on the CPU, or see `sfumato doctor`"

_held: Lease | None = None


def held() -> Lease | None:
    """The lease of this process."""
    return _held


def choose_device(
    name: str, client: Client, say: Say, pause: Pause, environ: Mapping[str, str] = os.environ
) -> torch.device:
    """The device meant by "auto", "cpu" or "cuda", with the lease of its GPU; waits while others have them all.

    Raises:
        sfumato.errors.RequestError: there is no such device.
        sfumato.errors.Cancelled: by `pause`.
    """
    from sfumato.device import pick_device

    if name == "cpu":
        return pick_device(name)
    gpus = visible_gpus(environ)
    if not gpus:
        return pick_device(name)
    gpu = hold(list(gpus), client, say, pause, environ)
    index = gpus.get(gpu)
    if index is None or name not in ("auto", "cuda"):
        return pick_device(name)
    import torch

    torch.cuda.set_device(index)  # what asks for no device in particular must not wake another GPU
    device = pick_device(name)
    if device.type != "cuda":
        return device
    device = torch.device("cuda", index)
    _look_at_memory(device, say)
    return device


def _look_at_memory(device: torch.device, say: Say) -> None:
    """Say what is free, and hold the site's limit: other programs know nothing of our lease."""
    import torch

    from sfumato.device import free_memory

    total = torch.cuda.get_device_properties(device).total_memory
    limit = float(load_settings().get("gpu_memory_limit", 0)) * 2**30
    if limit:
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total), device)
    say(memory_sentence(free_memory(device), total, limit))


def memory_sentence(free: float, total: float, limit: float = 0) -> str:
    """What there is, in bytes, put into words; 0 is no limit."""
    words = f"GPU memory: {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    if limit:
        words += f", {limit / 2**30:.1f} GiB allowed (gpu_memory_limit)"
    if min(free, limit or free) < ENOUGH:
        words += "; that may be too little: close what else uses the GPU, or compute on the CPU"
    return words


def refuse_early(name: str, environ: Mapping[str, str] = os.environ) -> None:
    """Say at once that a machine has no GPU at all, before anything is read and torch is loaded.

    Raises:
        JobError: the device asked for is a GPU, and no driver has made one (exit 2). Only Linux is known well enough.
    """
    if name != "cuda" or "SFUMATO_GPUS" in environ or not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError):
        if not any(device.startswith(_DRIVERS) for device in os.listdir("/dev")):
            raise wrong("params.device", "cuda cannot be used: this machine has no GPU, or no driver for it", CPU)


def visible_gpus(environ: Mapping[str, str] = os.environ) -> dict[str, int | None]:
    """The GPUs this process may use, by the name their lease has: UUID -> CUDA's number, None for one made up.

    CUDA counts only what CUDA_VISIBLE_DEVICES lets it see, in an order of its own; asking it wakes no GPU.
    """
    if "SFUMATO_GPUS" in environ:
        return {name: None for name in environ["SFUMATO_GPUS"].split(",") if name}
    import torch

    if not torch.cuda.is_available():
        return {}
    found: dict[str, int | None] = {}
    for index in range(torch.cuda.device_count()):
        uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
        found[f"GPU-{uuid}" if uuid else f"GPU-{index}"] = index
    return found


def hold(gpus: Sequence[str], client: Client, say: Say, pause: Pause, environ: Mapping[str, str] = os.environ) -> str:
    """Take the lease of one of some GPUs, unless this process has it, and keep it; the name of the GPU."""
    global _held
    if _held is None or _held.gpu not in gpus:
        if _held is not None:
            _held.give_back()
        _held = None
        try:
            with locking():
                folder = folder_for_leases(environ)
            _held = wait_for(gpus, client, folder, say, pause)
        except NoLocks as error:
            say(f"the GPU cannot be kept from others: {error}; going on all the same")
            return gpus[0]
    _held.tell(busy=True)
    return _held.gpu


def between_frames(say: Say, pause: Pause) -> None:
    """A frame is done: let an artist in who waits for the GPU, if nobody waits for this run."""
    global _held
    if _held is None or _held.client.interactive or not _held.wanted_by():
        return
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
        sys.modules["torch"].cuda.empty_cache()
    lease, _held = _held, None  # not ours while we wait, and not if the waiting is cancelled
    _held = make_way(lease, say, pause)


def rest() -> None:
    """The job is done: those who wait may know that asking is enough now."""
    if _held is not None:
        _held.tell(busy=False)
