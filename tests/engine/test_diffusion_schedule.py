"""Noise levels: known values, grids that grow, and the sentences for those that cannot be walked."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.diffusion.schedule import (
    Grid,
    Node,
    Table,
    edm_grid,
    flow_grid,
    karras_grid,
    log_grid,
    logit_grid,
    scaled_linear,
    spaced_grid,
)
from sfumato.errors import RequestError

TABLE = scaled_linear()
GRIDS = {
    "uniform": lambda n: spaced_grid(TABLE, n),
    "leading": lambda n: spaced_grid(TABLE, n, "leading"),
    "trailing": lambda n: spaced_grid(TABLE, n, "trailing"),
    "log": lambda n: log_grid(TABLE, n),
    "karras": lambda n: karras_grid(TABLE, n),
    "edm": edm_grid,
    "edm to zero": lambda n: edm_grid(n, zero=True),
    "flow": flow_grid,
    "flow, shift 3": lambda n: flow_grid(n, 3.0),
    "logit": logit_grid,
}


def test_the_scaled_linear_schedule_has_stable_diffusions_numbers() -> None:
    assert len(TABLE.power) == 1000
    assert TABLE.power[0] == pytest.approx(1 - 0.00085)
    assert TABLE.power[999] == pytest.approx(0.004660, abs=1e-6)
    assert TABLE.at(999).ratio == pytest.approx(14.6146, abs=1e-3)
    assert TABLE.at(0).ratio == pytest.approx(0.029167, abs=1e-5)


@pytest.mark.parametrize("steps", [3, 10, 28, 50, 100])
@pytest.mark.parametrize("name", GRIDS)
def test_every_grid_grows_from_data_to_noise_in_as_many_steps_as_asked(name: str, steps: int) -> None:
    grid = GRIDS[name](steps)
    assert grid.steps == steps
    assert all(a.ratio < b.ratio and a.time < b.time for a, b in itertools.pairwise(grid.nodes))
    assert grid.nodes[0].ratio < grid.low.ratio < grid.nodes[1].ratio
    assert grid.high is not None
    assert grid.nodes[-2].ratio < grid.high.ratio < grid.nodes[-1].ratio
    for node in (*grid.nodes, grid.low, grid.high):
        whole = {"vp": node.alpha**2 + node.sigma**2, "ve": node.alpha, "flow": node.alpha + node.sigma}[grid.kind]
        assert whole == pytest.approx(1, abs=1e-12)


@given(st.floats(min_value=0, max_value=999))
def test_a_time_is_found_again_by_its_level(time: float) -> None:
    assert TABLE.where(TABLE.at(time).ratio).time == pytest.approx(time, abs=1e-6)


def test_shift_moves_flow_times_towards_noise_as_published() -> None:
    times = [n.time for n in flow_grid(4, 3.0).nodes]
    assert times == pytest.approx([0, 0.5, 0.75, 0.9, 1])


def test_karras_levels_are_even_in_the_seventh_root() -> None:
    roots = [n.sigma ** (1 / 7) for n in edm_grid(18).nodes]
    gaps = [b - a for a, b in itertools.pairwise(roots)]
    assert max(gaps) == pytest.approx(min(gaps), rel=1e-9)
    assert (edm_grid(18).nodes[0].sigma, edm_grid(18).nodes[-1].sigma) == (0.002, 80.0)


def test_leading_times_start_one_above_the_data_level() -> None:
    assert [n.time for n in spaced_grid(TABLE, 50, "leading").nodes][:4] == [0, 1, 21, 41]


def test_a_cut_grid_keeps_its_first_levels_and_forgets_where_noise_began() -> None:
    grid = log_grid(TABLE, 50)
    cut = grid.until(40)
    assert cut.nodes == grid.nodes[:41]
    assert cut.low == grid.low
    assert cut.high is None
    assert grid.until(50) is grid
    for last in (0, 1, 51):
        with pytest.raises(RequestError, match="cannot stop at step"):
            grid.until(last)


def test_levels_out_of_order_are_refused() -> None:
    grid = flow_grid(5)
    with pytest.raises(RequestError, match="must grow"):
        replace(grid, nodes=grid.nodes[::-1])
    with pytest.raises(RequestError, match="two steps"):
        Grid("flow", grid.nodes[:2], grid.low, grid.high)


def test_a_schedule_without_signal_at_its_end_is_refused_with_a_way_out() -> None:
    with pytest.raises(RequestError, match="zero terminal SNR") as refused:
        Table((*TABLE.power[:999], 0.0))
    assert "before the last" in refused.value.hint


def test_a_level_without_signal_is_infinitely_noisy() -> None:
    assert Node(1, 0, 1).ratio == math.inf
