"""A BDIA walk taken one answer at a time: what a walk is made of, and the one place where its steps are taken."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from sfumato.diffusion.bdia import Plan, drifting
from sfumato.diffusion.ddim import Ask, starting
from sfumato.diffusion.lattice import SideBits, digest
from sfumato.diffusion.protocols import Prediction
from sfumato.diffusion.states import Floats, Lattice
from sfumato.errors import RequestError

Direction = Literal["invert", "sample"]


class DriftedError(RequestError):
    """A walk back left the way it came: something about the network, its inputs or the machine is another."""

    def __init__(self, node: int, steps: int) -> None:
        super().__init__(
            f"the walk back left the recorded one at noise level {node} of {steps}",
            "the model, the prompt or the machine is another: invert again here, or use the record's stored states",
        )
        self.node = node


@dataclass(frozen=True)
class LatentPair:
    """Two neighbouring states, at nodes[node] and nodes[node - 1]. Exactness is a property of the pair, not of one."""

    noisier: Tensor
    cleaner: Tensor
    node: int

    def __post_init__(self) -> None:
        if self.noisier.shape != self.cleaner.shape or self.noisier.dtype != self.cleaner.dtype:
            raise RequestError("the two latents of a pair differ in shape or kind", "take both from one walk")


@dataclass(frozen=True)
class Walk:
    """Where a walk ended, and what going back needs.

    pair: The last two states: noisiest (N, N - 1) after an inversion, cleanest (1, 0) after sampling.
    bits: What contracting steps would have forgotten.
    digests: Of every state passed, by node; empty for float states.
    states: The states themselves by node, if they were asked for.
    """

    pair: LatentPair
    bits: SideBits = field(default_factory=SideBits)
    digests: dict[int, str] = field(default_factory=dict)
    states: dict[int, Tensor] = field(default_factory=dict)


def arithmetic(plan: Plan) -> Lattice | Floats:
    """The kind of states a plan walks on."""
    return Floats() if plan.level is None else Lattice(plan.level)


class Stepper:
    """A walk for a caller who asks the network himself, as a pipeline does.

        stepper = Stepper(plan, prediction, "invert", clean)
        while stepper.ask is not None:
            stepper.answer(network(*stepper.ask))
        walk = stepper.walk

    `walk.invert` and its like are this loop. At which levels the network is asked depends on the plan alone, never on
    the latents.

    ask: What to show the network next: a latent, float32 on a lattice, and its node. None at the end.
    pair: The two newest states; None during the first step.
    drifted: The first node at which the state was another than the walk this one comes back on had there, or None.
    """

    def __init__(
        self,
        plan: Plan,
        prediction: Prediction,
        direction: Direction,
        start: Tensor | Walk,
        *,
        keep: bool = True,
        verify: bool = False,
        store: bool = False,
    ) -> None:
        """Begin a walk; the first question stands in `ask`.

        Args:
            plan: The walk.
            prediction: What the network answers.
            direction: "invert" from data to noise, or "sample".
            start: The latent at the walk's first node, or the walk to come back from.
            keep: Keep what contracting steps forget, so that the way back is exact.
            verify: Compare every state with those of the walk in `start`.
            store: Keep every state.

        Raises:
            RequestError: there is one latent where a walk is needed; the walk in `start` ended elsewhere.
        """
        self.plan, self.prediction, self.direction = plan, prediction, direction
        self.drifted: int | None = None
        self.pair: LatentPair | None = None
        self._known, self._kept = SideBits(), SideBits() if keep else None
        self._verify, self._store = verify, store
        self._digests: dict[int, str] = {}
        self._expected: dict[int, str] | None = None
        self._stored: dict[int, Tensor] = {}
        if isinstance(start, Walk):
            self._known = start.bits
            self._expected = start.digests if start.digests or verify else None
            self._going = self._on(going_back(plan, start, plan.grid.steps if direction == "sample" else 1))
        else:
            self._going = self._begin(start)
        self.ask: Ask | None = next(self._going, None)

    @property
    def walk(self) -> Walk:
        """What was walked so far."""
        if self.pair is None:
            raise RequestError("the walk has not made its first step, so there are no two latents yet")
        return Walk(self.pair, self._kept or SideBits(), self._digests, self._stored)

    @property
    def newest(self) -> Tensor:
        """The state reached last, as the network sees it."""
        pair = self.walk.pair
        return arithmetic(self.plan).show(pair.cleaner if self.direction == "sample" else pair.noisier)

    def answer(self, out: Tensor) -> None:
        """The network's answer to `ask`: shape of the latent, any float dtype.

        Raises:
            RequestError: the walk is at its end; a state leaves its range or is not a number.
            DriftedError: a state came out other than expected, and `verify` was asked for.
        """
        if self.ask is None:
            raise RequestError("this walk is at its end", "begin another to go on")
        try:
            self.ask = self._going.send(out)
        except StopIteration:
            self.ask = None

    def shift(self, by: Tensor) -> None:
        """Move both states by as much, because somebody altered the latents. The way back is then no longer the way.

        by: As the states are. Between two steps only, with a plan of Euler increments.
        """
        pair = self.walk.pair
        self._expected = None
        self._going = self._on(LatentPair(pair.noisier + by, pair.cleaner + by, pair.node))
        self.ask = next(self._going, None)

    def _begin(self, latent: Tensor) -> Generator[Ask, Tensor, None]:
        states, grid, down = arithmetic(self.plan), self.plan.grid, self.direction == "sample"
        here, there, middle = (-1, -2, grid.high) if down else (0, 1, grid.low)
        first = states.enter(latent)
        second = states.enter(
            (
                yield from starting(
                    self.prediction,
                    states.show(first),
                    grid.nodes[here],
                    grid.nodes[there],
                    middle if self.plan.start == "heun" else None,
                )
            )
        )
        yield from self._on(LatentPair(first, second, grid.steps) if down else LatentPair(second, first, 1))

    def _on(self, pair: LatentPair) -> Generator[Ask, Tensor, None]:
        """Step after step from a pair, eq. (A1) or (A2)."""
        states, steps = arithmetic(self.plan), self.plan.grid.steps
        down = self.direction == "sample"
        self._passed(pair.node, pair.noisier)
        self._passed(pair.node - 1, pair.cleaner)
        self.pair = pair
        for i in range(pair.node - 1, 0, -1) if down else range(pair.node, steps):
            noisier, cleaner = self.pair.noisier, self.pair.cleaner
            f = yield from drifting(self.plan, self.prediction, states.show(cleaner if down else noisier), i)
            gamma = self.plan.gamma(i)
            if down:
                z = self._passed(i - 1, states.down(noisier, f, gamma, i, self._known, self._kept))
                self.pair = LatentPair(cleaner, z, i)
            else:
                z = self._passed(i + 1, states.up(cleaner, f, gamma, i, self._known, self._kept))
                self.pair = LatentPair(z, noisier, i + 1)

    def _passed(self, node: int, state: Tensor) -> Tensor:
        if self.plan.level is not None:
            self._digests[node] = digest(state)
            known = self._expected
            if known is not None and self.drifted is None and self._digests[node] != known.get(node):
                self.drifted = node
                if self._verify:
                    raise DriftedError(node, self.plan.grid.steps)
        if self._store:
            self._stored[node] = state
        return state


def going_back(plan: Plan, walk: Walk, node: int) -> LatentPair:
    """The pair to go back from, if that is what it is and it stands where this plan's walk ends."""
    if not isinstance(walk, Walk):
        raise RequestError(
            "a walk can only go on from two neighbouring latents, and there is one",
            "keep the walk an inversion ends with; to start from noise alone, sample anew",
        )
    if walk.pair.node != node:
        raise RequestError(
            f"this walk ended at noise level {walk.pair.node}, and going back by this plan begins at {node}",
            "use the plan and direction it was made with",
        )
    return walk.pair
