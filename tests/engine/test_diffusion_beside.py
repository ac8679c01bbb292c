"""A replay and an edit side by side: each as if it walked alone, and neither before the other at any level."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.bdia import make_plan
from sfumato.diffusion.beside import resample_beside
from sfumato.diffusion.mixture import Mixture, stiff_mixture
from sfumato.diffusion.schedule import Node, log_grid, scaled_linear
from sfumato.diffusion.walk import DriftedError, LatentPair, Walk, arithmetic, invert, resample
from sfumato.errors import RequestError
from sfumato.report import Step

TABLE = scaled_linear()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


SOURCE = stiff_mixture(24, seeded(), dtype=torch.float32)
TARGET = Mixture(SOURCE.means[:4], SOURCE.stds[:4])
CLEAN = SOURCE.sample(4, TABLE.at(0), seeded(1))


class Noted:
    """A predictor that notes when it was asked, in a list it shares."""

    def __init__(self, name: str, mixture: Mixture, notes: list[tuple[str, Node]]) -> None:
        self.name, self.mixture, self.notes, self.prediction = name, mixture, notes, mixture.prediction

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        self.notes.append((self.name, node))
        return self.mixture(latent, node)


@pytest.mark.parametrize("gamma", [1.0, 0.9, "o-belm"])
def test_each_walk_ends_where_it_would_alone(gamma: float | str) -> None:
    plan = make_plan(log_grid(TABLE, 12), gamma, anyway=True)
    walk = invert(plan, SOURCE, CLEAN)
    replay, edit = resample_beside(plan, SOURCE, TARGET, walk)
    assert torch.equal(replay.pair.cleaner, arithmetic(plan).enter(CLEAN))
    alone = resample(plan, TARGET, replace(walk, bits=type(walk.bits)()))
    assert torch.equal(edit.pair.cleaner, alone.pair.cleaner)
    assert not torch.equal(edit.pair.cleaner, replay.pair.cleaner)


def test_the_source_is_asked_right_before_the_target_at_every_level() -> None:
    plan = make_plan(log_grid(TABLE, 8))
    notes: list[tuple[str, Node]] = []
    told: list[Step] = []
    walk = invert(plan, SOURCE, CLEAN)
    resample_beside(plan, Noted("source", SOURCE, notes), Noted("target", TARGET, notes), walk, told.append)
    assert notes == [(name, node) for node in plan.grid.nodes[-2:0:-1] for name in ("source", "target")]
    assert [(step.step, step.of) for step in told] == [(i, 7) for i in range(1, 8)]


@pytest.mark.parametrize("which", ["noisier", "cleaner"])
def test_a_replay_that_drifts_stops_the_edit(which: str) -> None:
    plan = make_plan(log_grid(TABLE, 8))
    walk = invert(plan, SOURCE, CLEAN)
    state = getattr(walk.pair, which).clone()
    state[0, 0] ^= 1
    with pytest.raises(DriftedError):
        resample_beside(plan, SOURCE, TARGET, replace(walk, pair=replace(walk.pair, **{which: state})))


def test_one_latent_and_another_plans_walk_are_refused() -> None:
    plan = make_plan(log_grid(TABLE, 8))
    with pytest.raises(RequestError, match="two neighbouring latents"):
        resample_beside(plan, SOURCE, TARGET, CLEAN)  # type: ignore[arg-type]
    short = Walk(LatentPair(CLEAN, CLEAN, 4))
    with pytest.raises(RequestError, match="ended at noise level 4"):
        resample_beside(plan, SOURCE, TARGET, short)
