"""Training the embedded model: rendered scenes, their captions, and nothing else."""

import copy
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import max_pool2d

from sfumato.models.training.captions import caption, make_tokenizer
from sfumato.models.training.network import BETAS, TIMES, Design
from sfumato.models.training.render import render
from sfumato.models.training.scenes import Scene
from sfumato.report import Report, Step, silent

Source = Callable[[int], Iterator[Scene]]
Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""Latents, weights of their errors, noises; times, alphas and sigmas of the noise (3, B); prompts and their mask."""


@dataclass(frozen=True)
class Training:
    """How it is trained. The same numbers on the same machine give the same weights.

    steps: Of the optimiser. batch: Pictures a step. rate: Peak learning rate; rises over `warm` steps, then falls to 0
    as half a cosine. dropped: Share of prompts left empty, for guidance. remembered: Share of the old in the running
    mean of weights that is kept. focus: How much more an error counts on a thing than on the ground at first; in the
    last two fifths of the steps it fades, for what a weight on the answer bends must be straight in the end.
    draws: Noises and captions that each rendered scene is seen with, one after another in a batch.
    known: Share of the rate for layers that were there before others were put between them.
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
    known: float = 1.0
    middle: float = 0.9
    seed: int = 1

    def drawn(self, step: int) -> int:
        """Seed of all that a step draws."""
        return self.seed * 1_000_003 + step


def train(
    training: Training,
    networks: Any,
    batches: Iterable[tuple[Any, ...]],
    checkpoint: Path,
    report: Report = silent,
    every: int = 200,
    fast: bool = False,
    loss_of: Callable[..., Tensor] | None = None,
) -> Any:
    """Train, or go on from the checkpoint of the same training; a kill loses at most `every` steps.

    Args:
        training: How.
        networks: Where it begins; called with latents, times, prompts and their mask, they answer v.
        batches: From the step on that `begun` says.
        checkpoint: Where it is kept.
        report: Is told of each step.
        every: Steps between two checkpoints.
        fast: Compile first; half as long a step after a minute, other last bits.
        loss_of: Of the networks and what a batch holds; default: `error`.

    Returns:
        The networks with the running mean of their weights, in eval mode.
    """
    mean = copy.deepcopy(networks)
    optimisers = _optimisers(networks, training)
    first = _resume(training, checkpoint, networks, mean, optimisers)
    if fast:
        networks.compile()
    running = 0.0
    for step, batch in enumerate(batches, first):
        for group in [g for o in optimisers for g in o.param_groups]:
            group["lr"] = training.rate * group["share"] * _share(step, training)
        loss = (loss_of or error)(networks, *batch)
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


def begun(training: Training, checkpoint: Path) -> int:
    """The step from which a training goes on: 0 without a checkpoint, or with one of another training."""
    kept = torch.load(checkpoint, weights_only=True, mmap=True) if checkpoint.exists() else {}
    return int(kept["step"]) if kept.get("training") == asdict(training) else 0


def _optimisers(networks: Any, training: Training) -> list[Any]:
    """Matrices inside the networks by Muon (Jordan et al. 2024), at AdamW's step size (Liu et al., "Muon is Scalable
    for LLM Training", 2025, eq. 4); what comes first and last, embeddings, biases and gains by AdamW."""
    outer = ("embed", "shared", "pos_", "proj_out", "table", "adaln_single")
    groups: dict[tuple[bool, bool], list[Any]] = {}
    for name, weight in networks.named_parameters():
        inner = weight.ndim == 2 and not any(word in name for word in outer)
        groups.setdefault((inner, "temporal" in name), []).append(weight)
    parts = [
        [{"params": w, "share": 1.0 if new else training.known} for (kind, new), w in groups.items() if kind is inner]
        for inner in (True, False)
    ]
    muon = torch.optim.Muon(parts[0], training.rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(parts[1], training.rate, (0.9, 0.98), weight_decay=0.01)]


@torch.no_grad()
def encoded(codec: Any, picture: Tensor) -> Tensor:
    """Of pictures (B, 3, H, W): themselves, -1..1, where there is no codec. In bfloat16 on a processor, five times
    quicker; the difference is a tenth of what half precision weights make."""
    if codec is None:
        return 2 * picture - 1
    with torch.autocast("cpu", torch.bfloat16, enabled=picture.device.type == "cpu"):
        codes: Tensor = codec.encoder((2 * picture - 1).contiguous(memory_format=torch.channels_last))
    return codes.float().contiguous()


def error(
    networks: Any, x0: Tensor, weight: Tensor, noise: Tensor, levels: Tensor, ids: Tensor, mask: Tensor
) -> Tensor:
    """Squared error of v = alpha noise - sigma x0 (Salimans and Ho, "Progressive Distillation", 2022, appendix D)."""
    time, alpha, sigma = (row.view(-1, *[1] * (x0.ndim - 1)) for row in levels)
    cpu = x0.device.type == "cpu"  # whose fused attention is three times slower backward, for so few tokens
    kernels = [SDPBackend.MATH] if cpu else [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    with torch.autocast("cpu", torch.bfloat16, enabled=cpu), sdpa_kernel(kernels):
        v = networks(alpha * x0 + sigma * noise, time.view(-1), ids, mask)
    found: Tensor = (weight * (v.float() - (alpha * noise - sigma * x0)).square()).mean()
    return found


def batches(training: Training, design: Design, codec: Any, source: Source, first: int = 0) -> Iterator[Batch]:
    """Each step draws from a generator of its own, so a resumed training sees what an unbroken one would.

    codec: From `train_codec`, at rest; None for a network on pixels. source: Scenes without end, of a seed.
    """
    for step in range(first, training.steps):
        drawn = list(islice(source(training.drawn(step)), training.batch // training.draws))
        yield pictured(training, design, codec, drawn, *render(drawn, design.size), step)


def pictured(
    training: Training,
    design: Design,
    codec: Any,
    drawn: Sequence[Scene],
    pictures: Tensor,
    covers: Sequence[Tensor],
    step: int,
) -> Batch:
    """A step's batch of scenes that were rendered, each seen with several noises and captions."""
    seed = training.drawn(step)
    generator = torch.Generator().manual_seed(seed)
    said = [*drawn] * training.draws
    codes = encoded(codec, pictures).repeat(training.draws, 1, 1, 1)
    things = torch.stack([cover.amax(0) for cover in covers]).repeat(training.draws, 1, 1)
    weight = 1 + training.focus * fading(step, training) * max_pool2d(things, design.share).unsqueeze(1)
    noise = torch.randn(codes.shape, generator=generator)
    return codes, weight, noise, drawn_levels(training, generator, len(said)), *worded(training, said, seed)


def worded(training: Training, said: Sequence[Scene], seed: int) -> tuple[Tensor, Tensor]:
    """Captions of scenes, some left empty, as tokens and their mask, both (B, SLOTS)."""
    rng, tokenizer = random.Random(seed), _tokenizer()
    prompts = ["" if rng.random() < training.dropped else caption(scene, rng) for scene in said]
    words = tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt")
    return words.input_ids, words.attention_mask


@cache
def _tokenizer() -> Any:
    return make_tokenizer()


def drawn_levels(training: Training, generator: torch.Generator, count: int) -> Tensor:
    """Times, alphas, sigmas (3, B) of noise."""
    betas = np.linspace(*BETAS, TIMES)
    logs = -0.5 * np.log(1 / (1 - np.cumprod(1 - betas)) - 1)  # log(sigma / alpha), rising
    return _levels(torch.rand(2, count, generator=generator).numpy(), logs, training.middle)


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


def fading(step: int, training: Training) -> float:
    """1 until three fifths, 0 from four fifths."""
    return float(np.clip(4 - 5 * step / training.steps, 0, 1))


@torch.no_grad()
def _remember(mean: Any, networks: Any, kept: float) -> None:
    torch._foreach_lerp_(list(mean.parameters()), list(networks.parameters()), 1 - kept)


def _keep(training: Training, path: Path, step: int, networks: Any, mean: Any, optimisers: Any) -> None:
    parts = {"networks": networks.state_dict(), "mean": mean.state_dict()}
    steps = [optimiser.state_dict() for optimiser in optimisers]
    beside = path.with_suffix(".part")
    torch.save({"training": asdict(training), "step": step, "optimisers": steps, **parts}, beside)
    beside.replace(path)


def _resume(training: Training, path: Path, networks: Any, mean: Any, optimisers: Any) -> int:
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
