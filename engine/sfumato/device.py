"""Where work runs, how much memory it has, and what makes it come out the same again."""

import contextlib
import hashlib
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from sfumato.errors import RequestError

_NO_LIMIT = 2**60  # control groups write "no limit" as a huge number


def pick_device(name: str = "auto") -> torch.device:
    """The device meant by "auto", "cpu", "cuda" or "cuda:1". Auto is CUDA where it works, else the CPU.

    A driver that is too old reports a device and fails on its first use, so a few numbers are added on it.

    Raises:
        RequestError: no such device, or it was asked for by name and does not work.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise RequestError(f"no device called {name}", "choose auto, cpu, cuda or cuda:N")
    if name == "cpu":
        return torch.device("cpu")
    why = _cuda_fault("cuda" if name == "auto" else name)
    if why is None:
        return torch.device("cuda" if name == "auto" else name)
    if name == "auto":
        return torch.device("cpu")
    raise RequestError(f"{name} cannot be used: {why}", "run with --device cpu, or see `sfumato doctor`")


def describe(device: torch.device) -> str:
    """One line for records and people: which processor, how many threads or how much memory, which torch."""
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        chip = f"{about.name}, {about.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    else:
        chip = f"{_processor()}, {torch.get_num_threads()} threads"
    return f"{device.type}: {chip}, torch {torch.__version__}"


def free_memory(device: torch.device) -> int:
    """Bytes that can still be allocated there without harming anybody else.

    CUDA: what the driver has free plus what our own cache holds unused; other programs know nothing of us, so ask
    before every large step. CPU: what the kernel calls available, or what is left of the control group (container,
    farm slot) if that is less.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return min(_available(), _group_left())


def peak_memory(device: torch.device) -> int:
    """The most bytes this process has held there so far: resident memory, or what torch allocated on the GPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = _number(Path("/proc/self/status"), r"VmHWM:\s+(\d+)")
    if peak is not None:
        return peak * 1024
    import resource  # not Linux: no /proc

    scale = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def seeded(seed: int, *stream: str | int) -> torch.Generator:
    """A CPU generator of its own for each seed and stream, for instance `seeded(job.seed, "prior", frame)`.

    Always on the CPU: noise is drawn there and moved, so that it is the same on every device.
    """
    words = "/".join(str(part) for part in (seed, *stream))
    state = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") >> 1
    return torch.Generator().manual_seed(state)


@contextlib.contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Only algorithms that give the same bits each time, while inside; what was set before comes back after.

    On the CPU whatever has no such algorithm raises. On CUDA it runs all the same and torch warns: bit-identity is
    promised for the CPU only.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    tuned = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    memory.fill_uninitialized_memory = False  # costs time and changes nothing for correct code
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = fill
        torch.backends.cudnn.benchmark = tuned


def _cuda_fault(name: str) -> str | None:
    """Why a CUDA device cannot be used, or None if it can."""
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    try:
        total = torch.ones(8, device=name).sum().item()
    except (RuntimeError, AssertionError) as error:
        return str(error).splitlines()[0]
    return None if total == 8 else "it computes wrong numbers"


def _available() -> int:
    kibibytes = _number(Path("/proc/meminfo"), r"MemAvailable:\s+(\d+)")
    if kibibytes is not None:
        return kibibytes * 1024
    with contextlib.suppress(ValueError, OSError, AttributeError):
        import os

        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return _NO_LIMIT


def _group_left() -> int:
    """What the control group still allows: its limit, less what is used and cannot be dropped."""
    for folder, limit, used, cache in (
        (Path("/sys/fs/cgroup"), "memory.max", "memory.current", r"^inactive_file (\d+)"),
        (
            Path("/sys/fs/cgroup/memory"),
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            r"^total_inactive_file (\d+)",
        ),
    ):
        most, now = _number(folder / limit, r"^(\d+)"), _number(folder / used, r"^(\d+)")
        if most is not None and now is not None and most < _NO_LIMIT:
            return max(most - now + (_number(folder / "memory.stat", cache) or 0), 0)
    return _NO_LIMIT


def _number(file: Path, pattern: str) -> int | None:
    """The first number a pattern finds in a small system file, or None."""
    try:
        found = re.search(pattern, file.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) if found else None


def _processor() -> str:
    """The CPU's name as the system gives it."""
    with contextlib.suppress(OSError):
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        if found:
            return found.group(1).strip()
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order, while inside: bytes on the CPU do not depend on how many cores a machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
