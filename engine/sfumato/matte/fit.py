"""Fitting the prior to one picture: what the networks must explain, and when they are believed."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.matte.prior import MatteNetworks
from sfumato.matte.settings import MatteSettings
from sfumato.report import Report, Step

LISTEN = 0.6  # share of the steps after which alpha is averaged
EVERY = 10  # steps between two looks at the loss, for which a GPU has to be waited for
LOSS = "loss."  # what the losses of the last step are called in a checkpoint
SAVE_AFTER = 10.0  # seconds between two checkpoints


@dataclass(frozen=True)
class Evidence:
    """What the prior is fitted to, at its own size; colours of order one.

    light: (1, 3, H, W) the picture where compositing holds; picture: the same as the eye compares it.
    trimap, alpha, sure: (1, 1, H, W): of 0, 0.5 and 1; the classical alpha; how sure it is of itself, 0..1.
    fore, back: (1, 3, H, W) the known colours nearest to each pixel, as the eye compares them.
    coded: Light and picture are the same values.
    clean: (1, 3, H, W) the background in light, where it is known.
    """

    light: Tensor
    picture: Tensor
    trimap: Tensor
    alpha: Tensor
    sure: Tensor
    fore: Tensor
    back: Tensor
    coded: bool
    clean: Tensor | None = None


@dataclass(frozen=True)
class Fitted:
    """alpha: mean over the last steps; spread: its standard deviation over them, both (1, 1, H, W); the losses of the
    last step by name; the networks' weights, to start a neighbouring frame from."""

    alpha: Tensor
    spread: Tensor
    losses: dict[str, float]
    weights: dict[str, Tensor]


class Checkpoint(Protocol):
    """Where a fit under way is kept, so that a killed run goes on from it. `get` answers None if nothing is kept."""

    def get(self) -> Mapping[str, Tensor] | None: ...

    def put(self, state: dict[str, Tensor]) -> None: ...


def fit(
    evidence: Evidence,
    settings: MatteSettings,
    generator: torch.Generator,
    report: Report,
    warm: dict[str, Tensor] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Fit the three networks to one picture.

    Elcott et al. 2022: reconstruction of the picture, alpha and layers equal to the picture where the trimap knows,
    and the compositing equation where it does not.
    # Differs from the paper: alpha is the classical answer plus the network's change of it, held to it where it is
    # sure of itself (the paper starts from nothing; measured at 160 px: two to ten times the classical error);
    # the layers are pulled weakly towards known colours; alpha is averaged over the last steps,
    # because it drifts while the loss still falls.

    Args:
        generator: Of the CPU; noise and weights come from it. The same seed for all frames of a shot.
        warm: Weights to start from, of a network of the same shape.
        checkpoint: Kept every few seconds; a fit that goes on from one ends as if it had never stopped.
    """
    device = evidence.picture.device
    networks = MatteNetworks()
    networks.reset(generator)
    height, width = evidence.picture.shape[2:]
    noise = torch.rand(1, networks.noise, height, width, generator=generator).to(device)
    if warm is not None:
        networks.load_state_dict(warm)
    networks = networks.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = settings.steps if warm is None else settings.warm_steps
    optimiser = torch.optim.Adam(networks.parameters(), lr=settings.rate)
    unknown = ((evidence.trimap > 0) & (evidence.trimap < 1)).float()
    total = torch.zeros_like(evidence.trimap)
    squares = torch.zeros_like(total)
    first, saved = 0, time.monotonic()
    kept = checkpoint.get() if checkpoint else None
    if kept is not None:
        first = _restore(kept, networks, optimiser, generator)
        total, squares = kept["total"].to(device), kept["squares"].to(device)
    terms = {name[len(LOSS) :]: value for name, value in (kept or {}).items() if name.startswith(LOSS)}
    listening = min(math.ceil(LISTEN * steps), steps - 1)
    for step in range(first, steps):
        done = step / steps
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * min(1, (step + 1) / 20) * min(1, 0.1 + 0.9 * (1 - done) / (1 - LISTEN))
        shaken = noise
        if done < 0.8:
            shaken = noise + settings.jitter * torch.randn(noise.shape, generator=generator).to(device)
        alpha, terms = _objective(networks, shaken, evidence, settings, unknown, warm is None and done < 0.3)
        loss = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        if step >= listening:
            heard = alpha.detach().clamp(0, 1)
            total, squares = total + heard, squares + heard**2
        if checkpoint and time.monotonic() - saved > SAVE_AFTER:
            saved = time.monotonic()
            losses = {LOSS + name: value.detach() for name, value in terms.items()}
            sums = {"total": total, "squares": squares}
            checkpoint.put(_state(step + 1, networks, optimiser, generator) | sums | losses)
        report(Step("prior", step, steps, loss=float(loss.detach()) if step % EVERY == 0 else None))
    count = steps - listening
    mean = total / count
    spread = (squares / count - mean**2).clamp_min(0).sqrt()
    weights = {name: value.detach().cpu().contiguous() for name, value in networks.state_dict().items()}
    return Fitted(mean, spread, {name: float(value.detach()) for name, value in terms.items()}, weights)


def _state(
    step: int, networks: MatteNetworks, optimiser: torch.optim.Optimizer, generator: torch.Generator
) -> dict[str, Tensor]:
    """Everything a fit needs to go on after `step` steps, as plain tensors."""
    kept = {"step": torch.tensor(step), "generator": generator.get_state()}
    for name, parameter in networks.named_parameters():
        kept[f"weight.{name}"] = parameter.detach()
        kept |= {f"{key}.{name}": value for key, value in optimiser.state[parameter].items()}
    return kept


def _restore(
    kept: Mapping[str, Tensor], networks: MatteNetworks, optimiser: torch.optim.Optimizer, generator: torch.Generator
) -> int:
    """Put a kept state back; the number of steps it has done."""
    keys = ("step", "exp_avg", "exp_avg_sq")  # of Adam
    for name, parameter in networks.named_parameters():
        parameter.data.copy_(kept[f"weight.{name}"])
        optimiser.state[parameter] = {
            key: kept[f"{key}.{name}"].clone().to(parameter.device if key != "step" else "cpu") for key in keys
        }
        for key in keys[1:]:  # as the optimiser lays them out
            optimiser.state[parameter][key] = torch.empty_like(parameter).copy_(optimiser.state[parameter][key])
    generator.set_state(kept["generator"])
    return int(kept["step"])


def as_light(seen: Tensor) -> Tensor:
    """The light of a value as the eye compares it: the inverse of `as_seen`."""
    return seen.sign() * seen.abs().clamp_min(1e-6).pow(2.2)


def _objective(
    networks: MatteNetworks,
    noise: Tensor,
    e: Evidence,
    settings: MatteSettings,
    unknown: Tensor,
    hold: bool,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Alpha and the loss by its terms. `hold`: the layers settle before alpha may answer for the composite."""
    picture, change, fore, back = networks(noise, torch.cat([e.alpha, e.picture, e.trimap], 1))
    alpha = (e.alpha + change * unknown).clamp(-0.05, 1.05)
    foreground, background = e.fore.mean() + fore, e.back.mean() + back
    mix = alpha.detach() if hold else alpha
    # Compositing holds in light; dividing by it keeps a lamp from owning the gradient.
    fore_light, back_light = (foreground, background) if e.coded else (as_light(foreground), as_light(background))
    rest = mix * fore_light + (1 - mix) * (back_light if e.clean is None else e.clean) - e.light
    rest = rest * unknown / (1 if e.coded else 0.2 + e.light.abs())
    band = unknown.sum().clamp_min(1)
    inside, outside = (e.trimap == 1).float(), (e.trimap == 0).float()
    terms = {
        "composite": settings.composite * torch.sqrt(rest.square() + 1e-4).sum() / (3 * band),
        "anchor": ((alpha - e.alpha).square() * (settings.anchor * e.sure + settings.anchor_floor) * unknown).sum()
        / band,
        "foreground": ((foreground - e.picture).square() * inside).sum() / inside.sum().clamp_min(1),
        "palette": settings.palette * ((foreground - e.fore).square() * unknown).sum() / band,
    }
    if e.clean is None:
        terms["background"] = ((background - e.picture).square() * outside).sum() / outside.sum().clamp_min(1)
        terms["palette"] = terms["palette"] + settings.palette * ((background - e.back).square() * unknown).sum() / band
    if settings.reconstruction:
        terms["reconstruction"] = settings.reconstruction * (picture - e.picture).square().mean()
    return alpha, terms
