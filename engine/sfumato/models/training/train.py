"""Training the embedded model: rendered scenes, their captions, and nothing else."""

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from sfumato.models.training.captions import caption, make_tokenizer
from sfumato.models.training.codec import CHANNELS, SHARE
from sfumato.models.training.network import BETAS, SIZE, TIMES, Networks
from sfumato.models.training.render import render
from sfumato.models.training.scenes import scenes
from sfumato.report import Report, Step, silent


@dataclass(frozen=True)
class Training:
    """How it is trained. The same numbers on the same machine give the same weights.

    steps: Of the optimiser. batch: Pictures a step. rate: Peak learning rate; rises over `warm` steps, then falls to 0
    as half a cosine. dropped: Share of prompts left empty, for guidance. remembered: Share of the old in the running
    mean of weights that is kept.
    """

    steps: int = 5000
    batch: int = 64
    rate: float = 1e-3
    warm: int = 200
    dropped: float = 0.1
    remembered: float = 0.998
    seed: int = 1


def train(training: Training, codec: Any, checkpoint: Path, report: Report = silent, every: int = 200) -> Networks:
    """Train, or go on from the checkpoint of the same training; a kill loses at most `every` steps.

    codec: From `train_codec`, at rest.

    Returns:
        The networks with the running mean of their weights, in eval mode.
    """
    networks, mean = Networks(training.seed), Networks(training.seed)
    mean.load_state_dict(networks.state_dict())
    optimiser = torch.optim.AdamW(networks.parameters(), training.rate, (0.9, 0.98), weight_decay=0.01)
    first = _resume(training, checkpoint, networks, mean, optimiser)
    batches = _batches(training, first)
    running = 0.0
    for step in range(first, training.steps):
        for group in optimiser.param_groups:
            group["lr"] = training.rate * _share(step, training)
        picture, *rest = next(batches)
        with torch.no_grad():
            latent = codec.encoder(2 * picture - 1)
        loss = _loss(networks, latent, *rest)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimiser.step()
        _remember(mean, networks, min(training.remembered, (step + 1) / (step + 10)))
        running = float(loss.detach()) if step == first else 0.98 * running + 0.02 * float(loss.detach())
        report(Step("train", step + 1, training.steps, loss=running))
        if (step + 1) % every == 0 or step + 1 == training.steps:
            _keep(training, checkpoint, step + 1, networks, mean, optimiser)
    return mean.eval()


def _loss(networks: Networks, x0: Tensor, noise: Tensor, levels: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Squared error of v = alpha noise - sigma x0 (Salimans and Ho, "Progressive Distillation", 2022, appendix D)."""
    time, alpha, sigma = (row.view(-1, 1, 1, 1) for row in levels)
    cpu = x0.device.type == "cpu"  # whose fused attention is three times slower backward, for so few tokens
    kernels = [SDPBackend.MATH] if cpu else [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    with torch.autocast("cpu", torch.bfloat16, enabled=cpu), sdpa_kernel(kernels):
        v = networks(alpha * x0 + sigma * noise, time.view(-1), ids, mask)
    error: Tensor = (v.float() - (alpha * noise - sigma * x0)).square().mean()
    return error


def _batches(training: Training, first: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """Each step draws from a generator of its own, so a resumed training sees what an unbroken one would."""
    tokenizer = make_tokenizer()
    betas = np.linspace(*BETAS, TIMES)
    logs = -0.5 * np.log(1 / (1 - np.cumprod(1 - betas)) - 1)  # log(sigma / alpha), rising
    for step in range(first, training.steps):
        seed = training.seed * 1_000_003 + step
        rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
        source = scenes(seed)
        drawn = [next(source) for _ in range(training.batch)]
        prompts = ["" if rng.random() < training.dropped else caption(s, rng) for s in drawn]
        words = tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt")
        noise = torch.randn(training.batch, CHANNELS, SIZE // SHARE, SIZE // SHARE, generator=generator)
        levels = _levels(torch.rand(2, training.batch, generator=generator).numpy(), logs)
        yield render(drawn, SIZE)[0], noise, levels, words.input_ids, words.attention_mask


def _levels(uniform: Any, logs: Any) -> Tensor:
    """Times, alphas, sigmas (3, B). Nine in ten noise levels lie where shapes are decided, the rest anywhere."""
    middle = 0.9 + 0.7 * np.log(uniform[0] / (1 - uniform[0]) + 1e-9)
    log = np.where(uniform[1] < 0.9, middle, logs[0] + uniform[0] * (logs[-1] - logs[0]))
    log = np.clip(log, logs[0], logs[-1])
    alpha = 1 / np.sqrt(1 + np.exp(2 * log))
    time = np.interp(log, logs, np.arange(len(logs)))
    return torch.tensor(np.stack([time, alpha, np.sqrt(1 - alpha**2)]), dtype=torch.float32)


def _share(step: int, training: Training) -> float:
    if step < training.warm:
        return (step + 1) / training.warm
    return 0.5 + 0.5 * float(np.cos(np.pi * (step - training.warm) / (training.steps - training.warm)))


@torch.no_grad()
def _remember(mean: Networks, networks: Networks, kept: float) -> None:
    torch._foreach_lerp_(list(mean.parameters()), list(networks.parameters()), 1 - kept)


def _keep(training: Training, path: Path, step: int, networks: Networks, mean: Networks, optimiser: Any) -> None:
    parts = {"networks": networks.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict()}
    beside = path.with_suffix(".part")
    torch.save({"training": asdict(training), "step": step, **parts}, beside)
    beside.replace(path)


def _resume(training: Training, path: Path, networks: Networks, mean: Networks, optimiser: Any) -> int:
    if not path.exists():
        return 0
    kept = torch.load(path, weights_only=True)
    if kept["training"] != asdict(training):
        return 0
    networks.load_state_dict(kept["networks"])
    mean.load_state_dict(kept["mean"])
    optimiser.load_state_dict(kept["optimiser"])
    return int(kept["step"])
