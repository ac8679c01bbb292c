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
from sfumato_plugins.lease import Client, Lease, folder_for_leases
from sfumato_plugins.waiting import make_way, wait_for

if TYPE_CHECKING:
    import torch

Say = Callable[[str], None]
Pause = Callable[[], None]

_DRIVERS = ("nvidia", "nvhost", "nvgpu", "kfd", "dxg")  # NVIDIA, Jetson, AMD, Windows' Linux
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
    return torch.device(device.type, index) if device.type == "cuda" else device


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
        try:
            _held = wait_for(gpus, client, folder_for_leases(environ), say, pause)
        except OSError as error:
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
    _held = make_way(_held, say, pause)


def rest() -> None:
    """The job is done: those who wait may know that asking is enough now."""
    if _held is not None:
        _held.tell(busy=False)
