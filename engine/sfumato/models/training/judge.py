"""How often the embedded model draws what its prompt says."""

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.diffusion.bdia import make_plan
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.walk import latent, sample
from sfumato.models.model import Model
from sfumato.models.training.detect import find_ground, find_things
from sfumato.models.training.scenes import COLOURS, GROUNDS, SHAPES
from sfumato.report import Report, silent


@dataclass(frozen=True)
class Judged:
    """Shares of single-object prompts, 0..1: the largest thing's colour, its shape, the ground, and all three right."""

    colour: float
    shape: float
    ground: float
    right: float
    count: int


def draw(
    model: Model, prompts: list[str], seed: int = 0, steps: int = 30, guidance: float = 3.0, report: Report = silent
) -> Tensor:
    """Pictures of prompts, (B, 3, H, W) display-referred 0..1. One seed for the batch; a prompt's noise is its own."""
    grid = model.grid(steps)
    plan = make_plan(grid, "auto", level=None, inverting=False, start="euler")
    generator = torch.Generator().manual_seed(seed)
    height, width = model.size
    shape = model.codec.encode(torch.zeros(1, 3, height, width)).shape[1:]
    noise = torch.randn(len(prompts), *shape, generator=generator) * grid.nodes[-1].sigma
    predictor = Guided(model.denoiser, model.embedder(prompts), model.embedder([""] * len(prompts)), guidance)
    with torch.no_grad():
        return model.codec.decode(latent(plan, sample(plan, predictor, noise, report))).clamp(0, 1)


def judge(model: Model, count: int = 200, seed: int = 0, steps: int = 30, guidance: float = 3.0) -> Judged:
    """Draw `count` single-object prompts, every colour, shape and ground in turn, and look what came of them."""
    rng = random.Random(seed)
    asked = [
        (rng.choice(tuple(COLOURS)), SHAPES[n % len(SHAPES)], tuple(GROUNDS)[n % len(GROUNDS)]) for n in range(count)
    ]
    prompts = [f"{'an' if c == 'orange' else 'a'} {c} {s} on {g}" for c, s, g in asked]
    colour = shape = ground = right = 0
    for start in range(0, count, 50):
        pictures = draw(model, prompts[start : start + 50], seed + start, steps, guidance)
        for picture, wanted in zip(pictures, asked[start : start + 50], strict=True):
            found = find_things(picture)
            seen = (found[0].colour, found[0].shape, find_ground(picture)) if found else ("", "", "")
            same = [a == b for a, b in zip(seen, wanted, strict=True)]
            colour, shape, ground = colour + same[0], shape + same[1], ground + same[2]
            right += all(same)
    return Judged(colour / count, shape / count, ground / count, right / count, count)
