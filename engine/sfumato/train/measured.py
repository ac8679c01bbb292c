"""What a fine-tuning will take: its own step, measured on the model and the pictures it is about."""

import torch
from torch import nn

from sfumato.diffusion.protocols import Denoiser
from sfumato.models.model import Levels
from sfumato.train.encoded import Encoded
from sfumato.train.estimate import Estimate, estimate
from sfumato.train.fine_tune import FineTune, moved
from sfumato.train.noise import drawn_rows, loss_of


def measure(denoiser: Denoiser, levels: Levels, network: nn.Module, data: Encoded, settings: FineTune) -> Estimate:
    """See `estimate`. The network is left without gradients, asked for them, its blocks plain.

    data: Of one picture at least; it is shown again where a step has more.
    """
    network.float().requires_grad_(True).train()
    device = next(network.parameters()).device

    def step(pictures: int) -> None:
        clean = data.latents([0] * pictures).to(device)
        said = moved(data.context([data.says[0]] * pictures), device)
        rows = drawn_rows(levels, torch.full((pictures,), 0.5))
        with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(denoiser, network, clean, torch.zeros_like(clean), rows, said).mean()
        loss.backward()  # type: ignore[no-untyped-call]

    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        found = estimate(network, step, settings.batch, settings.bits)
    network.eval()
    return found
