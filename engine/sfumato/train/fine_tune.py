"""Fine-tuning a diffusion network on encoded pictures: a loop that can be killed at any moment and stops by itself.

Every step draws from a generator of its own, so a run that was killed and went on gives the bits of one that was not.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.device import seeded
from sfumato.diffusion.protocols import Context, Denoiser
from sfumato.errors import InputError, RequestError
from sfumato.models.model import Levels
from sfumato.report import Report, Step, silent
from sfumato.train.checkpoints import Pace, load_state, read_tensors, same_settings, save_state, write_tensors
from sfumato.train.encoded import Encoded
from sfumato.train.noise import drawn_rows, loss_of
from sfumato.train.stacks import BITS, draw_from, make_plain, make_reversible

LEAST = 4  # pictures from which on some are held out
MOST = 64  # pictures held out at most
ASKED = 4  # noise levels at which each held-out picture is looked at
CHECKPOINT, BEST = "checkpoint.safetensors", "best-{}.safetensors"  # the step of a look


@dataclass(frozen=True)
class FineTune:
    """How. The same on the same machine gives the same weights.

    steps: Of the optimiser, AdamW. batch: Pictures a step. rate: Learning rate, reached over `warm` steps and kept.
    dropped: Share of captions left out, for guidance (Ho and Salimans, 2022). held: Share of the pictures that are
    only looked at. look: Steps between two looks. patience: Looks without a better one after which it stops; 0: never.
    reversible, bits: Blocks as `sfumato.train.reversible` runs them, and gamma's bits.

    Raises:
        RequestError: one that cannot be.
    """

    steps: int = 1000
    batch: int = 4
    rate: float = 2e-5
    warm: int = 20
    dropped: float = 0.1
    held: float = 0.1
    look: int = 50
    patience: int = 6
    reversible: bool = False
    bits: int = BITS
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch": 1, "look": 1, "patience": 0}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise RequestError(f"{name} {getattr(self, name)} cannot be", f"{lowest} or more")
        if not 0 < self.rate < math.inf:
            raise RequestError(f"a learning rate of {self.rate:g} learns nothing", "0.00002 is usual")
        for name in ("held", "dropped"):
            if not 0 <= getattr(self, name) < 1:
                raise RequestError(f"{name} {getattr(self, name):g} is no share", "0 to below 1")


@dataclass(frozen=True)
class Look:
    """Where a training stands: mean loss of the steps since the last look, and of the held-out pictures, if any."""

    step: int
    loss: float | None
    held: float | None


@dataclass
class Outcome:
    """What came of it: every look; the step whose weights are the result; why it ended before its last step."""

    looks: list[Look] = field(default_factory=list)
    best: int = 0
    stopped: str = ""


class Trainer:
    """A network between two steps, and the folder that knows how to get there again.

    Args:
        network: At rest; trained in place. denoiser: Asks it. levels: Its noise.
        data: What is learned. about: More that must be the same for a training to go on: which model, which pictures.
        folder: For checkpoints.

    Raises:
        RequestError: see `make_reversible`.
    """

    def __init__(
        self, network: nn.Module, denoiser: Denoiser, levels: Levels, data: Encoded, settings: FineTune, folder: Path,
        about: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.network, self.denoiser, self.levels = network, denoiser, levels
        self.data, self.settings, self.folder = data, settings, folder
        self.train_rows, self.held_rows = split(len(data), settings)
        self.device = next(network.parameters()).device
        network.float().requires_grad_(True)
        if settings.reversible:
            make_reversible(network, settings.bits)
        self.adam = torch.optim.AdamW(network.parameters(), settings.rate, weight_decay=0.01, foreach=False)
        self.done, self.outcome, self.since = 0, Outcome(), (0.0, 0)
        self.about = {**asdict(settings), **(about or {}), "device": self.device.type}
        self.about.pop("steps")  # a training may go on for longer

    def resume(self) -> int:
        """Go on from the folder's checkpoint; the step it stands at.

        Raises:
            InputError: there is none, or it is damaged. RequestError: it was begun with other settings.
        """
        path = self.folder / CHECKPOINT
        if not path.is_file():
            raise InputError(f"there is no training in {self.folder} to go on with", "leave out --resume")
        _, kept = read_tensors(path)
        same_settings(self.folder, self.about, kept["settings"])
        load_state(path, self.network, self.adam)
        self.done, self.since = kept["done"], (kept["since"][0], kept["since"][1])
        self.outcome = Outcome([Look(**look) for look in kept["looks"]], kept["best"], kept["stopped"])
        if self.done > self.settings.steps:
            raise RequestError(
                f"the training in {self.folder} has made {self.done} steps already, more than {self.settings.steps}",
                "ask for as many or more",
            )
        return self.done

    def save(self) -> float:
        """Write the checkpoint; the seconds it took."""
        kept = {
            "settings": self.about, "done": self.done, "since": self.since, "best": self.outcome.best,
            "stopped": self.outcome.stopped, "looks": [asdict(look) for look in self.outcome.looks],
        }  # fmt: skip
        seconds = save_state(self.folder / CHECKPOINT, self.network, self.adam, kept)
        for path in self.folder.glob(BEST.format("*")):
            if path != self._best:  # kept until here: an older checkpoint may still have gone by it
                path.unlink(missing_ok=True)
        return seconds

    def run(self, report: Report = silent, looked: Callable[[Look], None] = lambda look: None) -> Outcome:
        """Train to the end, which is the last step or the one at which nothing gets better any more.

        Afterwards the network has the weights of the best look and is at rest, its blocks as they were.

        Raises:
            RequestError: the loss is no number any more.
        """
        s, pace = self.settings, Pace()
        if not self.outcome.looks:
            self._look(looked)
        while self.done < s.steps and not self.outcome.stopped:
            loss = self.step()
            report(Step("train", self.done, s.steps, loss=loss))
            at_look = self.done % s.look == 0 or self.done == s.steps
            if at_look:
                self._look(looked)
            if pace.due(at_look):
                pace.wrote(self.save())
        self.save()
        self._take_best()
        make_plain(self.network)
        self.network.eval().requires_grad_(False)
        return self.outcome

    def step(self) -> float:
        """One step of the optimiser; its loss."""
        s, number = self.settings, self.done
        clean, noise, uniform, prompts, generator = self._drawn(number)
        for group in self.adam.param_groups:
            group["lr"] = s.rate * min(1.0, (number + 1) / max(s.warm, 1))
        self.network.train()
        draw_from(self.network, generator)
        with _seeds(self.device, generator), self._precision():
            said = moved(self.data.context(prompts), self.device)
            rows = drawn_rows(self.levels, uniform)
            loss = loss_of(self.denoiser, self.network, clean, noise, rows, said).mean()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._not_finite(f"at step {number + 1}")
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.adam.step()
        self.adam.zero_grad()
        self.done, self.since = number + 1, (self.since[0] + value, self.since[1] + 1)
        return value

    def _not_finite(self, where: str) -> RequestError:
        if not self.done:
            return RequestError(f"the loss is not a number {where}", "the model's own weights have one that is none")
        hint = f"lower --rate, now {self.settings.rate:g}, and begin in another folder"
        return RequestError(f"the loss is not a number {where}", hint)

    @torch.no_grad()
    def held_loss(self) -> float | None:
        """Mean loss of the held-out pictures, each at the same noises and levels every time; None without any."""
        if not self.held_rows:
            return None
        self.network.eval()
        found = []
        for number, row in enumerate(self.held_rows):
            clean = self.data.latents([row] * ASKED).to(self.device)
            noise = torch.randn(clean.shape, generator=seeded(self.settings.seed, "held", number)).to(self.device)
            rows = drawn_rows(self.levels, (torch.arange(ASKED) + 0.5) / ASKED)
            said = moved(self.data.context([self.data.says[row]] * ASKED), self.device)
            with self._precision():
                found.append(float(loss_of(self.denoiser, self.network, clean, noise, rows, said).mean()))
        mean = sum(found) / len(found)
        if not math.isfinite(mean):
            raise self._not_finite(f"of the held-out pictures after step {self.done}")
        return mean

    @property
    def _best(self) -> Path:
        return self.folder / BEST.format(self.outcome.best)

    def _look(self, looked: Callable[[Look], None]) -> None:
        total, count = self.since
        look = Look(self.done, total / count if count else None, self.held_loss())
        self.since = (0.0, 0)
        outcome = self.outcome
        outcome.looks.append(look)
        least = min((one.held for one in outcome.looks if one.held is not None), default=None)
        if look.held is None or look.held == least:
            outcome.best = self.done
            if look.held is not None:
                weights = {name: weight.detach() for name, weight in self.network.named_parameters()}
                write_tensors(self._best, weights, {"step": self.done})
        worse = sum(one.step > outcome.best for one in outcome.looks)
        if self.settings.patience and worse >= self.settings.patience:
            outcome.stopped = f"{worse} looks without a better one than at step {outcome.best}"
        looked(look)

    def _take_best(self) -> None:
        if self.outcome.best == self.done:
            return
        tensors, _ = read_tensors(self._best)
        with torch.no_grad():
            for name, weight in self.network.named_parameters():
                weight.copy_(tensors[name])

    def _drawn(self, number: int) -> tuple[Tensor, Tensor, Tensor, list[int], torch.Generator]:
        """Pictures, noises, shares of levels and prompts of a step, and the generator for all else."""
        s, count = self.settings, len(self.train_rows)
        places = range(number * s.batch, (number + 1) * s.batch)
        rows = [self.train_rows[_order(s.seed, place // count, count)[place % count]] for place in places]
        generator = seeded(s.seed, "fine-tune", number)
        clean = self.data.latents(rows)
        noise = torch.randn(clean.shape, generator=generator)
        uniform = torch.rand(s.batch, generator=generator)
        silent_rows = torch.rand(s.batch, generator=generator) < s.dropped
        prompts = [0 if mute else self.data.says[row] for row, mute in zip(rows, silent_rows.tolist(), strict=True)]
        return clean.to(self.device), noise.to(self.device), uniform, prompts, generator

    def _precision(self) -> Any:
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()


def split(count: int, settings: FineTune) -> tuple[list[int], list[int]]:
    """Which pictures are learned, and which are held out to be looked at; the same for the same seed."""
    order = torch.randperm(count, generator=seeded(settings.seed, "held out")).tolist()
    apart = min(MOST, count - 1, max(1, round(settings.held * count))) if count >= LEAST and settings.held else 0
    return sorted(order[apart:]), sorted(order[:apart])


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> list[int]:
    found: list[int] = torch.randperm(count, generator=seeded(seed, "epoch", epoch)).tolist()
    return found


def moved(context: Context, device: torch.device) -> Context:
    """A context on a device."""
    tokens, *others = context
    return Context(tokens.to(device), *(None if part is None else part.to(device) for part in others))


@contextmanager
def _seeds(device: torch.device, generator: torch.Generator) -> Iterator[None]:
    """Within, torch's own generators, which dropout draws from, go on from this one; afterwards they are as before."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        seed = int(torch.randint(2**62, (), generator=generator))
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield
