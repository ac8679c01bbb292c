"""Training the embedded model: rendered scenes, their captions, and nothing else."""

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import max_pool2d

from sfumato.models.training.captions import caption, make_tokenizer
from sfumato.models.training.network import BETAS, TIMES, Design, Networks
from sfumato.models.training.render import render
from sfumato.models.training.scenes import Scene, scenes
from sfumato.report import Report, Step, silent

Source = Callable[[int], Iterator[Scene]]


@dataclass(frozen=True)
class Training:
    """How it is trained. The same numbers on the same machine give the same weights.

    steps: Of the optimiser. batch: Pictures a step. rate: Peak learning rate; rises over `warm` steps, then falls to 0
    as half a cosine. dropped: Share of prompts left empty, for guidance. remembered: Share of the old in the running
    mean of weights that is kept. focus: How much more an error counts on a thing than on the ground at first; in the
    last two fifths of the steps it fades, for what a weight on the answer bends must be straight in the end.
    draws: Noises and captions that each rendered scene is seen with, one after another in a batch.
    middle: log(sigma / alpha) around which shapes are decided, and most noise levels lie; more where a place of the
    latent is a smaller part of the picture.
    """

    steps: int = 9000
    batch: int = 96
    rate: float = 1.5e-3
    warm: int = 200
    dropped: float = 0.1
    remembered: float = 0.998
    focus: float = 3.0
    draws: int = 1
    middle: float = 0.9
    seed: int = 1


def train(
    training: Training,
    codec: Any,
    checkpoint: Path,
    report: Report = silent,
    every: int = 200,
    fast: bool = False,
    networks: Networks | None = None,
    source: Source = scenes,
) -> Networks:
    """Train, or go on from the checkpoint of the same training; a kill loses at most `every` steps.

    Args:
        training: How.
        codec: From `train_codec`, at rest; None for a network on pixels.
        checkpoint: Where it is kept.
        report: Is told of each step.
        every: Steps between two checkpoints.
        fast: Compile first; half as long a step after a minute, other last bits.
        networks: Where it begins, if not as the embedded model from nothing.
        source: Scenes without end, of a seed.

    Returns:
        The networks with the running mean of their weights, in eval mode.
    """
    networks = networks or Networks(training.seed)
    mean = Networks(training.seed, networks.design)
    mean.load_state_dict(networks.state_dict())
    optimisers = _optimisers(networks, training.rate)
    first = _resume(training, checkpoint, networks, mean, optimisers)
    if fast:
        networks.compile()
    batches = _batches(training, networks.design, source, first)
    running = 0.0
    for step in range(first, training.steps):
        for group in [g for o in optimisers for g in o.param_groups]:
            group["lr"] = training.rate * _share(step, training)
        picture, weight, *rest = next(batches)
        loss = _loss(networks, _codes(codec, picture).repeat(training.draws, 1, 1, 1), weight, *rest)
        networks.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        _remember(mean, networks, min(training.remembered, (step + 1) / (step + 10)))
        running = float(loss.detach()) if step == first else 0.98 * running + 0.02 * float(loss.detach())
        report(Step("train", step + 1, training.steps, loss=running))
        if (step + 1) % every == 0 or step + 1 == training.steps:
            _keep(training, checkpoint, step + 1, networks, mean, optimisers)
    return mean.eval()


def _optimisers(networks: Networks, rate: float) -> list[Any]:
    """Matrices inside the networks by Muon (Jordan et al. 2024), at AdamW's step size (Liu et al., "Muon is Scalable
    for LLM Training", 2025, eq. 4); what comes first and last, embeddings, biases and gains by AdamW."""
    outer = ("embed", "pos_", "proj_out", "table", "adaln_single")
    inner = {n: p for n, p in networks.named_parameters() if p.ndim == 2 and not any(word in n for word in outer)}
    rest = [p for n, p in networks.named_parameters() if n not in inner]
    muon = torch.optim.Muon(inner.values(), rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(rest, rate, (0.9, 0.98), weight_decay=0.01)]


@torch.no_grad()
def _codes(codec: Any, picture: Tensor) -> Tensor:
    """Of pictures (B, 3, H, W): themselves, -1..1, where there is no codec. In bfloat16 on a processor, five times
    quicker; the difference is a tenth of what half precision weights make."""
    if codec is None:
        return 2 * picture - 1
    with torch.autocast("cpu", torch.bfloat16, enabled=picture.device.type == "cpu"):
        codes: Tensor = codec.encoder((2 * picture - 1).contiguous(memory_format=torch.channels_last))
    return codes.float().contiguous()


def _loss(
    networks: Networks, x0: Tensor, weight: Tensor, noise: Tensor, levels: Tensor, ids: Tensor, mask: Tensor
) -> Tensor:
    """Squared error of v = alpha noise - sigma x0 (Salimans and Ho, "Progressive Distillation", 2022, appendix D)."""
    time, alpha, sigma = (row.view(-1, 1, 1, 1) for row in levels)
    cpu = x0.device.type == "cpu"  # whose fused attention is three times slower backward, for so few tokens
    kernels = [SDPBackend.MATH] if cpu else [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    with torch.autocast("cpu", torch.bfloat16, enabled=cpu), sdpa_kernel(kernels):
        v = networks(alpha * x0 + sigma * noise, time.view(-1), ids, mask)
    error: Tensor = (weight * (v.float() - (alpha * noise - sigma * x0)).square()).mean()
    return error


def _batches(training: Training, design: Design, source: Source, first: int) -> Iterator[tuple[Tensor, ...]]:
    """Each step draws from a generator of its own, so a resumed training sees what an unbroken one would."""
    tokenizer = make_tokenizer()
    betas = np.linspace(*BETAS, TIMES)
    logs = -0.5 * np.log(1 / (1 - np.cumprod(1 - betas)) - 1)  # log(sigma / alpha), rising
    for step in range(first, training.steps):
        seed = training.seed * 1_000_003 + step
        rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
        drawn = list(islice(source(seed), training.batch // training.draws))
        said = drawn * training.draws
        prompts = ["" if rng.random() < training.dropped else caption(s, rng) for s in said]
        words = tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt")
        noise = torch.randn(len(said), design.channels, design.side, design.side, generator=generator)
        levels = _levels(torch.rand(2, len(said), generator=generator).numpy(), logs, training.middle)
        pictures, covers = render(drawn, design.size)
        things = torch.stack([cover.amax(0) for cover in covers]).repeat(training.draws, 1, 1)
        weight = 1 + training.focus * _fading(step, training) * max_pool2d(things, design.share).unsqueeze(1)
        yield pictures, weight, noise, levels, words.input_ids, words.attention_mask


def _levels(uniform: Any, logs: Any, middle: float) -> Tensor:
    """Times, alphas, sigmas (3, B). Nine in ten noise levels lie where shapes are decided, the rest anywhere."""
    decided = middle + 0.7 * np.log(uniform[0] / (1 - uniform[0]) + 1e-9)
    log = np.where(uniform[1] < 0.9, decided, logs[0] + uniform[0] * (logs[-1] - logs[0]))
    log = np.clip(log, logs[0], logs[-1])
    alpha = 1 / np.sqrt(1 + np.exp(2 * log))
    time = np.interp(log, logs, np.arange(len(logs)))
    return torch.tensor(np.stack([time, alpha, np.sqrt(1 - alpha**2)]), dtype=torch.float32)


def _share(step: int, training: Training) -> float:
    if step < training.warm:
        return (step + 1) / training.warm
    return 0.5 + 0.5 * float(np.cos(np.pi * (step - training.warm) / (training.steps - training.warm)))


def _fading(step: int, training: Training) -> float:
    """1 until three fifths, 0 from four fifths."""
    return float(np.clip(4 - 5 * step / training.steps, 0, 1))


@torch.no_grad()
def _remember(mean: Networks, networks: Networks, kept: float) -> None:
    torch._foreach_lerp_(list(mean.parameters()), list(networks.parameters()), 1 - kept)


def _keep(training: Training, path: Path, step: int, networks: Networks, mean: Networks, optimisers: Any) -> None:
    parts = {"networks": networks.state_dict(), "mean": mean.state_dict()}
    steps = [optimiser.state_dict() for optimiser in optimisers]
    beside = path.with_suffix(".part")
    torch.save({"training": asdict(training), "step": step, "optimisers": steps, **parts}, beside)
    beside.replace(path)


def _resume(training: Training, path: Path, networks: Networks, mean: Networks, optimisers: Any) -> int:
    if not path.exists():
        return 0
    kept = torch.load(path, weights_only=True)
    if kept["training"] != asdict(training):
        return 0
    networks.load_state_dict(kept["networks"])
    mean.load_state_dict(kept["mean"])
    for optimiser, state in zip(optimisers, kept["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    return int(kept["step"])
