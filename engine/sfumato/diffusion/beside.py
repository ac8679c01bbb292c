"""A replay and an edit, walked together: at every noise level the source is asked, and then the target."""

from sfumato.diffusion.bdia import Plan
from sfumato.diffusion.protocols import Predictor
from sfumato.diffusion.stepper import Stepper, Walk, going_back
from sfumato.report import Report, Step, silent


def resample_beside(
    plan: Plan, source: Predictor, target: Predictor, walk: Walk, report: Report = silent
) -> tuple[Walk, Walk]:
    """What two `resample`s do, the first of them verified, level by level: 2 (N - 1) calls.

    For targets that use what the source's pass leaves behind at the same level, such as attention maps: of that, one
    level's worth is kept.

    Returns:
        The replay, which is the inverted latent bit for bit, and the edit.

    Raises:
        DriftedError: the replay left the way the inversion came.
        RequestError: there is one latent where a walk is needed, or the walk is of another plan.
    """
    pair = going_back(plan, walk, plan.grid.steps)
    replay = Stepper(plan, source.prediction, "sample", walk, keep=False, verify=True)
    edit = Stepper(plan, target.prediction, "sample", Walk(pair), keep=False)  # side bits say nothing of its states
    while replay.ask is not None and edit.ask is not None:
        replay.answer(source(*replay.ask))
        edit.answer(target(*edit.ask))
        report(Step("sample", pair.node - edit.walk.pair.node, pair.node - 1))
    return replay.walk, edit.walk
