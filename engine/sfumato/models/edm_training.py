"""Training of the small EDM denoiser: its loss, averaged weights, and checkpoints a killed run goes on from."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from sfumato.atomic import write_bytes
from sfumato.device import seeded
from sfumato.errors import RequestError
from sfumato.models.edm import Preconditioning, Size, Transformer, make_network
from sfumato.models.edm_pictures import as_floats
from sfumato.report import Report, Step, silent


@dataclass(frozen=True)
class Training:
    """How long and how fast. Levels are drawn as in the paper: log sigma is normal with `mean` and `deviation`."""

    images: int = 250_000  # seen in all
    batch: int = 64
    rate: float = 1e-3  # Adam's
    warm: int = 20_000  # images until the rate is reached
    cool: int = 80_000  # images at the end, during which it falls to nothing in a straight line
    half_life: int = 25_000  # images, of the averaged weights
    mean: float = -1.2
    deviation: float = 1.2
    clip: float = 1.0  # of the gradient's norm
    bfloat16: bool = True  # the matrix products; four times faster on processors that have them
    seed: int = 0

    def rate_at(self, seen: int) -> float:
        """Learning rate after so many images. Nothing before the end knows how long the training is."""
        return self.rate * min(1.0, (seen + self.batch) / self.warm, (self.images - seen) / self.cool)

    def decay_at(self, seen: int) -> float:
        """How much of the average a step keeps: less at first, so that fresh weights are forgotten."""
        return float(0.5 ** (self.batch / min(self.half_life, 0.05 * (seen + self.batch) + 1)))


def loss_of(network: Callable[..., Tensor], clean: Tensor, sigma: Tensor, noise: Tensor, label: Tensor) -> Tensor:
    """The mean of lambda(sigma) |D(clean + sigma noise; sigma) - clean|^2 with lambda = 1 / c_out^2. Eq. (8).

    Written for F, as |F - (clean - c_skip z) / c_out|^2, which is the same and divides by no small number twice.

    Args:
        network: F.
        clean: (B, 3, H, W) in -1 .. 1.
        sigma: (B,).
        noise: Shape of clean, unit deviation.
        label: (B,) int64.
    """
    c = Preconditioning.at(sigma)
    z = clean + sigma[:, None, None, None] * noise
    wanted = (clean - c.skip[:, None, None, None] * z) / c.out[:, None, None, None]
    return (network(c.into[:, None, None, None] * z, c.noise, label).float() - wanted).square().mean()


def train(
    size: Size,
    settings: Training,
    pictures: Tensor,
    labels: Tensor,
    checkpoint: Path,
    report: Report = silent,
    *,
    compiled: bool = False,
    every: float = 60.0,
) -> Transformer:
    """A denoiser trained from nothing, or from where its checkpoint stands.

    Args:
        size: Its shape.
        settings: How it is trained.
        pictures: (N, 3, H, W) uint8. Drawn with replacement, never flipped or otherwise augmented.
        labels: (N,) int64.
        checkpoint: Everything a killed run needs to go on, written every so often and at the end.
        report: Told after every step, with the loss.
        compiled: Let torch compile the network: a third faster, a minute of waiting, needs a C++ compiler.
        every: Seconds between checkpoints.

    Returns:
        The network with the averaged weights, without gradients.

    Raises:
        RequestError: the checkpoint is of another size or other settings. Only `images` may be another: more goes on,
            fewer cools down from where it stands.
    """
    state = _State(size, settings)
    state.resume(checkpoint)
    run = torch.compile(state.network, dynamic=False) if compiled else state.network
    saved = time.monotonic()
    while state.seen < settings.images:
        index, sigma, noise = _drawn(settings, len(pictures), pictures.shape[1:], state.seen)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            loss = loss_of(run, as_floats(pictures[index]), sigma, noise, labels[index])
        state.learn(loss)
        report(Step("train", state.seen, settings.images, loss=float(loss.detach())))
        if time.monotonic() - saved > every:
            state.save(checkpoint)
            saved = time.monotonic()
    state.save(checkpoint)
    return load_average(checkpoint)


def load_average(checkpoint: Path) -> Transformer:
    """The averaged network of a checkpoint of any age, for inference, float32.

    Raises:
        RequestError: there is none, or it is no checkpoint of this trainer.
    """
    tensors, about = _read(checkpoint)
    network = make_network(Size(**about["size"]), seeded(0, "edm"))
    network.load_state_dict({name: tensors[f"average.{name}"] for name in network.state_dict()})
    return network.eval().requires_grad_(False)


class _State:
    """Weights, their average, Adam's moments, and how many images were seen."""

    def __init__(self, size: Size, settings: Training) -> None:
        self.size, self.settings, self.seen = size, settings, 0
        self.network = make_network(size, seeded(settings.seed, "edm", "weights"))
        self.average = {name: weight.detach().clone() for name, weight in self.network.named_parameters()}
        self.adam = torch.optim.Adam(self.network.parameters(), settings.rate, betas=(0.9, 0.99), fused=True)

    def learn(self, loss: Tensor) -> None:
        for group in self.adam.param_groups:
            group["lr"] = self.settings.rate_at(self.seen)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.adam.step()
        self.adam.zero_grad()
        self.seen += self.settings.batch
        left = 1 - self.settings.decay_at(self.seen)
        weights = [weight.detach() for weight in self.network.parameters()]
        torch._foreach_lerp_(list(self.average.values()), weights, left)

    def save(self, path: Path) -> None:
        tensors = {f"average.{name}": weight for name, weight in self.average.items()}
        for name, weight in self.network.named_parameters():
            moments = self.adam.state[weight]
            tensors |= {f"{kind}.{name}": moments[kind] for kind in ("step", "exp_avg", "exp_avg_sq") if moments}
            tensors[f"weight.{name}"] = weight.detach()
        about = {"size": asdict(self.size), "settings": asdict(self.settings), "seen": self.seen}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, save(tensors, {"sfumato.edm": json.dumps(about)}))

    def resume(self, path: Path) -> None:
        if not path.exists():
            return
        tensors, about = _read(path)
        wanted = asdict(self.settings) | {"images": about["settings"]["images"]}
        if about["size"] != asdict(self.size) or about["settings"] != wanted:
            raise RequestError(
                f"{path} was trained with other settings", "name another file, or remove this one to train anew"
            )
        self.seen = int(about["seen"])
        for name, weight in self.network.named_parameters():
            weight.data.copy_(tensors[f"weight.{name}"])
            self.average[name].copy_(tensors[f"average.{name}"])
            self.adam.state[weight] = {k: tensors[f"{k}.{name}"] for k in ("step", "exp_avg", "exp_avg_sq")}


def _drawn(settings: Training, count: int, shape: torch.Size, seen: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which pictures, at which levels, with which noise: a function of the seed and of how many were seen."""
    generator = seeded(settings.seed, "edm", "step", seen)
    index = torch.randint(count, (settings.batch,), generator=generator)
    levels = torch.randn(settings.batch, generator=generator) * settings.deviation + settings.mean
    return index, levels.exp(), torch.randn(settings.batch, *shape, generator=generator)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, "pt") as stored:
            about = json.loads(stored.metadata()["sfumato.edm"])
            return {name: stored.get_tensor(name).clone() for name in stored.keys()}, about  # noqa: SIM118
    except Exception as error:
        raise RequestError(f"{path} is no checkpoint of this trainer: {error}", "train one, or name another") from error
