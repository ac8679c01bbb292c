"""Walks: sample, invert, and come back the way one came."""

from dataclasses import dataclass, field

from torch import Tensor

from sfumato.diffusion.bdia import Plan, drift
from sfumato.diffusion.ddim import increment, started
from sfumato.diffusion.lattice import SideBits, digest
from sfumato.diffusion.protocols import Predictor
from sfumato.diffusion.states import Floats, Lattice
from sfumato.errors import RequestError
from sfumato.report import Report, Step, silent


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


def latent(plan: Plan, walk: Walk) -> Tensor:
    """The latent at the walk's end as float32: the clean one after sampling, the noise after an inversion."""
    pair = walk.pair
    return arithmetic(plan).show(pair.cleaner if pair.node == 1 else pair.noisier)


def invert(plan: Plan, predictor: Predictor, data: Tensor, report: Report = silent, store: bool = False) -> Walk:
    """From the clean latent to noise, eq. (A2).

    N calls; 3 more with the "heun" start.

    Args:
        plan: The walk.
        predictor: The network under the source prompt.
        data: Latent at nodes[0], float32, any shape. A lattice snaps it first, and the snapped one is what comes back.
        report: Told after every step.
        store: Keep every state, for replays where the network does not answer the same twice.
    """
    states, nodes = arithmetic(plan), plan.grid.nodes
    first = states.enter(data)
    seen = states.show(first)
    middle = plan.grid.low if plan.start == "heun" else None
    second = states.enter(started(predictor, seen, nodes[0], nodes[1], middle))
    pair = LatentPair(second, first, 1)
    return _up(plan, predictor, pair, SideBits(), SideBits(), _Track(plan, store=store), report)


def sample(plan: Plan, predictor: Predictor, noise: Tensor, report: Report = silent, store: bool = False) -> Walk:
    """From noise to the clean latent, eq. (A1), keeping what inverting it again needs.

    N calls; 3 more with the "heun" start. `noise`: latent at nodes[N], float32.
    """
    states, nodes = arithmetic(plan), plan.grid.nodes
    first = states.enter(noise)
    middle = plan.grid.high if plan.start == "heun" else None
    second = states.enter(started(predictor, states.show(first), nodes[-1], nodes[-2], middle))
    pair = LatentPair(first, second, plan.grid.steps)
    return _down(plan, predictor, pair, SideBits(), SideBits(), _Track(plan, store=store), report)


def resample(plan: Plan, predictor: Predictor, walk: Walk, report: Report = silent, verify: bool = False) -> Walk:
    """From where an inversion ended back to the clean latent, N - 1 calls.

    The same predictor gives the inverted latent back: bit for bit on a lattice. Another prompt edits it.

    verify: Compare every state with the inversion's.

    Raises:
        DriftedError: a state is another than it was, and `verify` was asked for.
        RequestError: there is one latent where a walk is needed, or the walk is of another plan.
    """
    pair = going_back(plan, walk, plan.grid.steps)
    return _down(plan, predictor, pair, walk.bits, None, _Track(plan, walk.digests if verify else None), report)


def reinvert(plan: Plan, predictor: Predictor, walk: Walk, report: Report = silent, verify: bool = False) -> Walk:
    """From where a sampling ended back to its noise, N - 1 calls: `resample` the other way round."""
    pair = going_back(plan, walk, 1)
    return _up(plan, predictor, pair, walk.bits, None, _Track(plan, walk.digests if verify else None), report)


def resample_stored(plan: Plan, predictor: Predictor, source: Predictor, walk: Walk, report: Report = silent) -> Walk:
    """`resample` where the network does not answer as it did: what it misses of the stored states is put back.

    Ju et al., "PnP Inversion", 2023: at each step the source prompt's own step is compared with the stored state, and
    the difference added to the edit's. With `predictor` the same as `source` the stored latent comes back bit for bit,
    whatever the hardware. Two calls a step, one where they are the same.

    Raises:
        RequestError: the walk holds no stored states.
    """
    if len(walk.states) != plan.grid.steps + 1:
        raise RequestError(
            "this inversion stored no states to fall back on", "invert again here, or with stored states"
        )
    states, none = arithmetic(plan), SideBits()
    pair = going_back(plan, walk, plan.grid.steps)
    noisier, cleaner = pair.noisier, pair.cleaner
    for i in range(pair.node - 1, 0, -1):
        before, here = walk.states[i + 1], walk.states[i]
        f_source = drift(plan, source, states.show(here), i)
        same = predictor is source and bool((here == cleaner).all())
        f = f_source if same else drift(plan, predictor, states.show(cleaner), i)
        gamma = plan.gamma(i)
        missed = walk.states[i - 1] - states.down(before, f_source, gamma, i, none, None)
        noisier, cleaner = cleaner, states.down(noisier, f, gamma, i, none, None) + missed
        report(Step("sample", pair.node - i, pair.node - 1))
    return Walk(LatentPair(noisier, cleaner, 1))


def smoothed(plan: Plan, predictor: Predictor, walk: Walk) -> Tensor:
    """The clean latent without the ringing of gamma 1, float32; the pair stays as it is, so nothing is less exact.

    Gragg, 1965: (z_0 + z_1 + the step from z_1 to z_0 as z_0 sees it) / 2. The two interleaved halves of a leapfrog
    walk drift apart, and this is their mean. One call more. For flow on grids with a short last step.
    """
    states, nodes = arithmetic(plan), plan.grid.nodes
    z0, z1 = states.show(walk.pair.cleaner), states.show(walk.pair.noisier)
    return (z0 + z1 - increment(z0, predictor(z0, nodes[0]), predictor.prediction, nodes[0], nodes[1])) / 2


@dataclass
class _Track:
    """What is noted of each state as a walk passes it."""

    plan: Plan
    expected: dict[int, str] | None = None
    store: bool = False
    digests: dict[int, str] = field(default_factory=dict)
    states: dict[int, Tensor] = field(default_factory=dict)

    def passed(self, node: int, state: Tensor) -> Tensor:
        if self.plan.level is not None:
            self.digests[node] = digest(state)
            if self.expected is not None and self.digests[node] != self.expected.get(node):
                raise DriftedError(node, self.plan.grid.steps)
        if self.store:
            self.states[node] = state
        return state


def _down(
    plan: Plan,
    predictor: Predictor,
    pair: LatentPair,
    known: SideBits,
    kept: SideBits | None,
    track: _Track,
    report: Report,
) -> Walk:
    states = arithmetic(plan)
    noisier, cleaner = track.passed(pair.node, pair.noisier), track.passed(pair.node - 1, pair.cleaner)
    for i in range(pair.node - 1, 0, -1):
        f = drift(plan, predictor, states.show(cleaner), i)
        noisier, cleaner = cleaner, track.passed(i - 1, states.down(noisier, f, plan.gamma(i), i, known, kept))
        report(Step("sample", pair.node - i, pair.node - 1))
    return Walk(LatentPair(noisier, cleaner, 1), kept or SideBits(), track.digests, track.states)


def _up(
    plan: Plan,
    predictor: Predictor,
    pair: LatentPair,
    known: SideBits,
    kept: SideBits | None,
    track: _Track,
    report: Report,
) -> Walk:
    states, last = arithmetic(plan), plan.grid.steps
    noisier, cleaner = track.passed(pair.node, pair.noisier), track.passed(pair.node - 1, pair.cleaner)
    for i in range(1, last):
        f = drift(plan, predictor, states.show(noisier), i)
        noisier, cleaner = track.passed(i + 1, states.up(cleaner, f, plan.gamma(i), i, known, kept)), noisier
        report(Step("invert", i, last - 1))
    return Walk(LatentPair(noisier, cleaner, last), kept or SideBits(), track.digests, track.states)


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
