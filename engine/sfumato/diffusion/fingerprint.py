"""What must be the same for a network to answer with the same bits."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

import sfumato
from sfumato.device import describe


@dataclass(frozen=True)
class Fingerprint:
    """All that is known to change a network's bits (1e-6 an answer, 1e-3 after a walk), in words for people.

    model: Digest of the weights (`weights_digest`), or a name where there are none.
    conditions: Digest of what else goes in: prompts, guidance weight, masks.
    dtype: Of the network.
    layout: Shape and memory order of the batch it is given. One of two pictures has other bits than one alone.
    threads: Of the CPU.
    attention: Which kernels attention may use.
    arithmetic: Shortcuts allowed: TF32, autotuning, matmul precision.
    device: The processor's name. Two models of GPU do not agree.
    versions: Of sfumato and torch.
    """

    model: str
    conditions: str
    dtype: str
    layout: str
    threads: str
    attention: str
    arithmetic: str
    device: str
    versions: str

    def differences(self, here: "Fingerprint") -> list[str]:
        """A line for each part in which `here` is another than this record: what it was, and what it is."""
        ours, theirs = asdict(self), asdict(here)
        names = [f.name for f in fields(self) if ours[f.name] != theirs[f.name]]
        return [f"{name}: {ours[name]} in the record, {theirs[name]} here" for name in names]


def take_fingerprint(
    model: str, conditions: str, latent: Tensor, dtype: torch.dtype = torch.float32, batch: int = 1
) -> Fingerprint:
    """The fingerprint of this process, about to ask a network for a latent like this one.

    Args:
        model, conditions: As in `Fingerprint`.
        latent: One as the network will see it; its shape, memory order and device count.
        dtype: Of the network.
        batch: Copies of the latent in one call: 2 under guidance.
    """
    cuda: Any = torch.backends.cuda
    cpu = latent.device.type == "cpu"
    kernels = {
        "flash": cuda.flash_sdp_enabled(),
        "memory-efficient": cuda.mem_efficient_sdp_enabled(),
        "cudnn": cuda.cudnn_sdp_enabled(),
        "math": cuda.math_sdp_enabled(),
    }
    shortcuts = {
        "TF32 matmul": cuda.matmul.allow_tf32 and not cpu,
        "TF32 convolution": torch.backends.cudnn.allow_tf32 and not cpu,
        "autotuning": torch.backends.cudnn.benchmark and not cpu,
    }
    order = "contiguous" if latent.is_contiguous() else f"strides {tuple(latent.stride())}"
    return Fingerprint(
        model=model,
        conditions=conditions,
        dtype=str(dtype).removeprefix("torch."),
        layout=f"{batch} x {tuple(latent.shape)} {order}",
        threads=str(torch.get_num_threads()),
        attention=_named(kernels),
        arithmetic=f"{torch.get_float32_matmul_precision()} matmul, {_named(shortcuts)}",
        device=describe(latent.device).split(",")[0],
        versions=f"sfumato {sfumato.__version__}, torch {torch.__version__}",
    )


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors: names, dtypes, shapes and bytes, in the order of the names."""
    found = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _named(choices: Mapping[str, bool]) -> str:
    return ", ".join(name for name, on in choices.items() if on) or "none"
