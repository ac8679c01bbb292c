"""Walks: sample, invert, and come back the way one came."""

from torch import Tensor

from sfumato.diffusion.bdia import Plan, drift
from sfumato.diffusion.ddim import increment
from sfumato.diffusion.lattice import SideBits
from sfumato.diffusion.protocols import Predictor
from sfumato.diffusion.stepper import DriftedError, LatentPair, Stepper, Walk, arithmetic, going_back
from sfumato.errors import RequestError
from sfumato.report import Report, Step, silent

__all__ = [
    "DriftedError",
    "LatentPair",
    "Walk",
    "arithmetic",
    "going_back",
    "invert",
    "latent",
    "reinvert",
    "resample",
    "resample_stored",
    "sample",
    "smoothed",
]


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
    return _walked(Stepper(plan, predictor.prediction, "invert", data, store=store), predictor, report)


def sample(plan: Plan, predictor: Predictor, noise: Tensor, report: Report = silent, store: bool = False) -> Walk:
    """From noise to the clean latent, eq. (A1), keeping what inverting it again needs.

    N calls; 3 more with the "heun" start. `noise`: latent at nodes[N], float32.
    """
    return _walked(Stepper(plan, predictor.prediction, "sample", noise, store=store), predictor, report)


def resample(plan: Plan, predictor: Predictor, walk: Walk, report: Report = silent, verify: bool = False) -> Walk:
    """From where an inversion ended back to the clean latent, N - 1 calls.

    The same predictor gives the inverted latent back: bit for bit on a lattice. Another prompt edits it.

    verify: Compare every state with the inversion's.

    Raises:
        DriftedError: a state is another than it was, and `verify` was asked for.
        RequestError: there is one latent where a walk is needed, or the walk is of another plan.
    """
    going_back(plan, walk, plan.grid.steps)
    stepper = Stepper(plan, predictor.prediction, "sample", walk, keep=False, verify=verify)
    return _walked(stepper, predictor, report)


def reinvert(plan: Plan, predictor: Predictor, walk: Walk, report: Report = silent, verify: bool = False) -> Walk:
    """From where a sampling ended back to its noise, N - 1 calls: `resample` the other way round."""
    going_back(plan, walk, 1)
    stepper = Stepper(plan, predictor.prediction, "invert", walk, keep=False, verify=verify)
    return _walked(stepper, predictor, report)


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


def _walked(stepper: Stepper, predictor: Predictor, report: Report) -> Walk:
    """To the end of a walk, with a predictor to ask."""
    last, before = stepper.plan.grid.steps, stepper.pair
    while stepper.ask is not None:
        stepper.answer(predictor(*stepper.ask))
        pair = stepper.pair
        if pair is not None and before is not None and pair is not before:
            down = stepper.direction == "sample"
            report(Step(stepper.direction, last - pair.node if down else pair.node - 1, last - 1))
        before = pair
    return stepper.walk
