"""Null-text inversion, beside which BDIA is measured: the empty prompt is fitted until guidance does no harm.

Mokady et al., "Null-text Inversion for Editing Real Images using Guided Diffusion Models", 2022, arXiv 2211.09794,
algorithm 1. DDIM inversion without guidance leaves a row of latents; then, from noise on, the empty context of every
step is optimised so that the guided step leads to the next of them. Near, never exact, and paid in gradients.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.diffusion.ddim import increment
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.protocols import Context, Denoiser, Distilled
from sfumato.diffusion.schedule import Grid
from sfumato.errors import RequestError
from sfumato.report import Report, Step, silent


@dataclass(frozen=True)
class Fitting:
    """How an empty context is fitted at each step; the defaults are the authors' own.

    rounds: Steps of Adam at most.
    rate: Its step size at the noisiest step; it falls by a hundredth of itself a step.
    enough: Stop at a mean squared error of this, and `later` more for each step walked.
    """

    rounds: int = 10
    rate: float = 1e-2
    enough: float = 1e-5
    later: float = 2e-5


@dataclass(frozen=True)
class NullText:
    """What null-text inversion leaves: a latent, and an empty context for every step.

    noise: Latent at nodes[N].
    empties: For the steps from nodes[N], nodes[N - 1], ... in this order.
    gradients: How many calls of the network were differentiated.
    """

    noise: Tensor
    empties: tuple[Context, ...]
    gradients: int


def null_text_invert(
    guided: Guided, grid: Grid, data: Tensor, fitting: Fitting = Fitting(), report: Report = silent
) -> NullText:
    """Fit the empty context of `guided` so that `null_text_sample` comes back to `data`.

    Args:
        guided: The network under the source prompt; its empty context is where the fit begins.
        grid: The levels; N calls without guidance to climb them, then 2 a step and one for every round.
        data: Latent at nodes[0], (B, ...). Rows are fitted beside each other, each for itself.
        fitting: How long and how fast.
        report: Told after every step.

    Raises:
        RequestError: gradients do not reach the network's context; it is guided without an empty prompt (Flux).
    """
    if isinstance(guided.denoiser, Distilled):
        raise RequestError(
            "null-text inversion fits the empty prompt, and this network is guided without one",
            "compare with another baseline",
        )
    row = [data]
    alone = replace(guided, weight=1.0)
    with torch.no_grad():
        for here, there in zip(grid.nodes[:-1], grid.nodes[1:], strict=True):
            row.append(row[-1] + increment(row[-1], alone(row[-1], here), guided.prediction, here, there))
    z, empty, empties, gradients = row[-1], guided.empty, [], 0
    for i in range(grid.steps, 0, -1):
        done = grid.steps - i
        empty, rounds = _fitted(replace(guided, empty=empty), grid, i, z, row[i - 1], fitting, done)
        gradients += rounds
        empties.append(empty)
        z = _step(replace(guided, empty=empty), grid, i, z)
        report(Step("null text", done + 1, grid.steps))
    return NullText(row[-1], tuple(empties), gradients)


def null_text_sample(guided: Guided, grid: Grid, found: NullText, noise: Tensor | None = None) -> Tensor:
    """From the inversion's noise, or another, to nodes[0] with the fitted empty contexts, one guided call a step.

    The source prompt in `guided` comes back near the data; another edits it.
    """
    z = found.noise if noise is None else noise
    for i, empty in zip(range(grid.steps, 0, -1), found.empties, strict=True):
        z = _step(replace(guided, empty=empty), grid, i, z)
    return z


@torch.no_grad()
def _step(guided: Guided, grid: Grid, i: int, z: Tensor) -> Tensor:
    here, there = grid.nodes[i], grid.nodes[i - 1]
    return z + increment(z, guided(z, here), guided.prediction, here, there)


def _fitted(
    guided: Guided, grid: Grid, i: int, z: Tensor, wanted: Tensor, fitting: Fitting, done: int
) -> tuple[Context, int]:
    """The empty context of step i, and how many rounds it took."""
    here, there = grid.nodes[i], grid.nodes[i - 1]
    denoiser: Denoiser = guided.denoiser
    with torch.no_grad():
        prompt = denoiser(z, here, guided.prompt).to(z.dtype)
    tokens = guided.empty.tokens.detach().clone().requires_grad_()
    adam = torch.optim.Adam([tokens], lr=fitting.rate * max(0.0, 1 - done / 100))
    rounds, worst = 0, float("inf")
    while rounds < fitting.rounds and worst >= fitting.enough + done * fitting.later:
        with torch.enable_grad():
            empty = denoiser(z, here, guided.empty._replace(tokens=tokens)).to(z.dtype)
            if not empty.requires_grad:
                raise RequestError(
                    "null-text inversion fits a context, and this network lets no gradient through to it",
                    "load the network without inference mode, or compare with another baseline",
                )
            out = empty + guided.weight * (prompt - empty)
            reached = z + increment(z, out, guided.prediction, here, there)
            losses = (reached - wanted).square().flatten(1).mean(1)  # a row has its own tokens: a sum keeps them apart
            (tokens.grad,) = torch.autograd.grad(losses.sum(), tokens)
        adam.step()
        rounds, worst = rounds + 1, float(losses.detach().max())
    return guided.empty._replace(tokens=tokens.detach()), rounds
