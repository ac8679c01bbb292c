"""One request of a pipeline to the scheduler: a walk from its first step to its last, and whose it is."""

import threading
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sfumato.diffusion.bdia import Plan
from sfumato.diffusion.fingerprint import Fingerprint, take_fingerprint
from sfumato.diffusion.lattice import from_lattice, to_lattice
from sfumato.diffusion.protocols import Prediction
from sfumato.diffusion.record import InversionRecord
from sfumato.diffusion.stepper import Direction, LatentPair, Stepper, Walk
from sfumato.errors import RequestError
from sfumato.models.scheduler_refusals import altered_error, busy_error, refuse_start


@dataclass(frozen=True)
class Loaded:
    """A record to go back from, and how it is to be compared with what is here; see `BDIAScheduler.load_record`."""

    record: InversionRecord
    verify: bool = False
    anyway: bool = False
    model: str = ""
    conditions: str = ""

    def latents(self, direction: Direction) -> Tensor:
        """The newer state, float32: what the network is shown first."""
        pair = self.record.walk.pair
        return from_lattice(pair.cleaner if direction == "sample" else pair.noisier, self.record.plan.level or 0)

    def check(self, here: Fingerprint, prediction: Prediction) -> None:
        """Raises RecordMismatchError if what is here is not what the record was made with, as far as that is told."""
        was = self.record.fingerprint
        model = self.model if self.model and was.model else was.model
        conditions = self.conditions if self.conditions and was.conditions else was.conditions
        if not self.anyway:
            self.record.check(replace(here, model=model, conditions=conditions), prediction)


class Request:
    """A walk under way.

    times: What the network is told at each call, in order, float32 values.
    taken: How many of them are done.
    exact: Whether nobody altered the latents so far.
    here: What the walk is made with, once it has begun.
    stepper: The walk, once it has begun.
    """

    def __init__(
        self,
        plan: Plan,
        prediction: Prediction,
        direction: Direction,
        loaded: Loaded | None,
        *,
        unit: float,
        inexact: bool = False,
        store: bool = False,
    ) -> None:
        """Begin one, for the thread that calls this.

        unit: What pipelines tell a flow matching network at t = 1.
        inexact: Go on from altered latents instead of refusing them.
        store: Keep every state.
        """
        self.plan, self.prediction, self.direction, self.loaded = plan, prediction, direction, loaded
        self.taken, self.exact = 0, True
        self.here: Fingerprint | None = None
        self.stepper: Stepper | None = None
        self._inexact, self._store = inexact, store
        self._thread = threading.current_thread()
        times = [unit * node.sigma if prediction == "flow" else node.time for node in self._course()]
        self.times: list[float] = torch.tensor(times, dtype=torch.float32).tolist()

    def claim(self) -> None:
        """Raises RequestError if another thread's request is under way here."""
        mine = self._thread is threading.current_thread()
        if not mine and self._thread.is_alive() and self.taken < len(self.times):
            raise busy_error()

    def step(self, out: Tensor, timestep: Any, sample: Tensor) -> Tensor:
        """See `BDIAScheduler.step`."""
        stepper = self._in_turn(timestep, sample)
        if out.shape != sample.shape:
            raise RequestError(
                f"the network answers {tuple(out.shape)} for latents {tuple(sample.shape)}",
                "networks that also learn their variance are not supported",
            )
        if not bool(out.isfinite().all()):
            raise RequestError(
                f"the network's answer at time {self.times[self.taken]:g} is not finite",
                "lower the guidance; a model in half precision may overflow: try float32",
            )
        stepper.answer(out)
        self.taken += 1
        shown = stepper.ask[0] if stepper.ask else stepper.newest
        return shown.to(sample.dtype, copy=True)  # theirs: what they do to it must not reach our state

    def _course(self) -> list[Any]:
        """The nodes at which the network will be asked: those of a walk of nothing, which are those of any."""
        nothing = torch.zeros(1, dtype=torch.int64)
        pair = self.loaded.record.walk.pair if self.loaded else None
        start: Any = Walk(LatentPair(nothing, nothing, pair.node)) if pair else nothing.float()
        stepper, nodes = Stepper(self.plan, self.prediction, self.direction, start), []
        while stepper.ask is not None:
            nodes.append(stepper.ask[1])
            stepper.answer(nothing.float())
        return nodes

    def _in_turn(self, timestep: Any, sample: Tensor) -> Stepper:
        """The walk, if this step is its next one and the latents are its own."""
        if self._thread is not threading.current_thread():
            raise busy_error()
        if self.taken == len(self.times):
            raise RequestError("this walk is at its end", "call set_timesteps to begin another")
        due = self.times[self.taken]
        if float(timestep) != due:
            raise RequestError(
                f"step was called for time {float(timestep):g}, and the walk is at {due:g}",
                "call it once for each of timesteps, in their order",
            )
        if self.stepper is None:
            self.stepper = self._begun(sample)
            if self.loaded is None:
                return self.stepper
        self._unaltered(self.stepper, sample)
        return self.stepper

    def _begun(self, sample: Tensor) -> Stepper:
        """The walk from its first latents, or from the record if they are its."""
        self.here = take_fingerprint("", "", sample.contiguous(), sample.dtype)
        if self.loaded is None:
            first = sample.float().contiguous()
            return Stepper(self.plan, self.prediction, self.direction, first, store=self._store)
        walk = self.loaded.record.walk
        noisier, cleaner = (m.to(sample.device) for m in (walk.pair.noisier, walk.pair.cleaner))
        walk = replace(walk, pair=LatentPair(noisier, cleaner, walk.pair.node))
        refuse_start(walk.pair, self.direction, self.plan.level or 0, sample)
        self.loaded.check(self.here, self.prediction)
        return Stepper(self.plan, self.prediction, self.direction, walk, verify=self.loaded.verify, store=self._store)

    def _unaltered(self, stepper: Stepper, sample: Tensor) -> None:
        """See that the latents are what was handed out; or go on from what they are, if that is allowed."""
        assert stepper.ask is not None
        shown = stepper.ask[0].to(sample.dtype)
        if torch.equal(shown, sample):
            return
        if not self._inexact or shown.shape != sample.shape:
            raise altered_error(shown, sample)
        stepper.shift(to_lattice(sample.float() - shown.float(), self.plan.level or 0))
        self.exact = False
