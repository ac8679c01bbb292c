"""Where markers sit on another day, told apart from an expression that stays."""

import pytest
import torch

from sfumato.face.binding import jacobian
from sfumato.face.demo_performance import demo_performance
from sfumato.face.demo_rig import demo_rig
from sfumato.face.placing import FACE, PUT, Placing

RIG = demo_rig()
TRUTH, _, BINDING = demo_performance(RIG, 3, 200)
REST = BINDING.at(RIG, torch.zeros(len(RIG.controls), dtype=torch.float64))
SLOPES = jacobian(RIG, BINDING, torch.zeros(len(RIG.controls), dtype=torch.float64)).reshape(*REST.shape, -1)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_markers_seen_often_sit_where_they_are_seen_and_unseen_ones_go_with_their_neighbours() -> None:
    mean = torch.full_like(REST, 0.15)
    seen = torch.full((len(REST),), 1e8, dtype=torch.float64)
    assert torch.allclose(Placing(REST).offsets(seen, mean), mean, atol=1e-5)
    seen[4] = 0.0
    mean[4] = 9.0
    assert torch.allclose(Placing(REST).offsets(seen, mean)[4], torch.full((3,), 0.15, dtype=torch.float64), atol=0.02)


def test_nothing_seen_means_no_offset() -> None:
    nothing = torch.zeros(len(REST), dtype=torch.float64)
    assert bool((Placing(REST).offsets(nothing, drawn(0, *REST.shape)) == 0).all())


@pytest.mark.parametrize("seed", range(4))
def test_an_expression_taken_for_offsets_is_given_back(seed: int) -> None:
    worn = 0.1 + 0.2 * drawn(seed, len(RIG.controls)).abs()
    worn = torch.minimum(worn, 1 - TRUTH.values.amax(0)).clamp(min=0)
    day = torch.linalg.cholesky(torch.linalg.inv(Placing(REST).precision)) @ drawn(seed + 9, *REST.shape)
    changed = Placing(REST).exchange(day - SLOPES @ worn, SLOPES, TRUTH.values + worn, RIG.lower, RIG.upper)
    assert float((SLOPES @ (worn + changed)).norm()) < 0.5 * float((SLOPES @ worn).norm())
    assert bool((TRUTH.values + worn + changed).quantile(0.01, dim=0).ge(RIG.lower - 1e-6).all())


def test_the_prior_is_the_covariance_that_is_written_down() -> None:
    covariance = torch.linalg.inv(Placing(REST).precision)
    assert torch.allclose(covariance.diagonal(), torch.tensor(FACE**2 + PUT**2, dtype=torch.float64))
    near = torch.cdist(REST, REST)
    assert bool((covariance[near > 12] < covariance[(near > 0) & (near < 3)].min()).all())


def test_what_else_is_believed_of_the_values_decides_the_exchange() -> None:
    worn = torch.full((len(RIG.controls),), 0.2, dtype=torch.float64)
    values = TRUTH.values.clamp(max=0.8) + worn
    sure = torch.full_like(values, 1e9)
    changed = Placing(REST).exchange(
        torch.zeros_like(REST), SLOPES, values, RIG.lower, RIG.upper, (values - worn, sure)
    )
    assert torch.allclose(changed, -worn, atol=1e-4)
