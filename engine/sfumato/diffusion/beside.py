"""A replay and an edit, walked together: at every noise level the source is asked, and then the target."""

from torch import Tensor

from sfumato.diffusion.bdia import Plan, drift
from sfumato.diffusion.lattice import SideBits, digest
from sfumato.diffusion.protocols import Predictor
from sfumato.diffusion.walk import DriftedError, LatentPair, Walk, arithmetic, going_back
from sfumato.report import Report, Step, silent


def resample_beside(
    plan: Plan, source: Predictor, target: Predictor, walk: Walk, report: Report = silent
) -> tuple[Walk, Walk]:
    """What two `resample`s do, the first of them verified, level by level: 2 (N - 1) calls.

    For targets that use what the source's pass leaves behind at the same level, such as attention maps, so that one
    level's worth of it is kept.

    Returns:
        The replay, which is the inverted latent bit for bit, and the edit.

    Raises:
        DriftedError: the replay left the way the inversion came.
        RequestError: there is one latent where a walk is needed, or the walk is of another plan.
    """
    pair = going_back(plan, walk, plan.grid.steps)
    replay = edit = Walk(pair, digests=_digests(plan, {pair.node: pair.noisier, pair.node - 1: pair.cleaner}))
    _same(plan, replay, walk, pair.node, pair.node - 1)
    for i in range(pair.node - 1, 0, -1):
        replay = _stepped(plan, source, replay, i, walk.bits)
        _same(plan, replay, walk, i - 1)
        edit = _stepped(plan, target, edit, i, SideBits())
        report(Step("sample", pair.node - i, pair.node - 1))
    return replay, edit


def _stepped(plan: Plan, predictor: Predictor, walk: Walk, i: int, known: SideBits) -> Walk:
    states, pair = arithmetic(plan), walk.pair
    f = drift(plan, predictor, states.show(pair.cleaner), i)
    cleaner = states.down(pair.noisier, f, plan.gamma(i), i, known, None)
    return Walk(LatentPair(pair.cleaner, cleaner, i), digests=walk.digests | _digests(plan, {i - 1: cleaner}))


def _digests(plan: Plan, states: dict[int, Tensor]) -> dict[int, str]:
    return {} if plan.level is None else {node: digest(state) for node, state in states.items()}


def _same(plan: Plan, replay: Walk, walk: Walk, *nodes: int) -> None:
    for node in nodes:
        if replay.digests.get(node) != walk.digests.get(node):
            raise DriftedError(node, plan.grid.steps)
