"""Gamma: the policies, and the sentences for those that cannot be inverted with."""

import math
from fractions import Fraction

import pytest

from sfumato.diffusion.bdia import make_plan
from sfumato.diffusion.gamma import choose_gammas, growth, lowest_gamma
from sfumato.diffusion.schedule import flow_grid, log_grid, scaled_linear
from sfumato.errors import RequestError

TABLE = scaled_linear()


@pytest.mark.parametrize(("steps", "least"), [(10, 0.774), (20, 0.886), (28, 0.918), (50, 0.954), (100, 0.977)])
def test_a_gamma_too_low_to_invert_with_is_refused_by_the_number_of_steps(steps: int, least: float) -> None:
    grid = log_grid(TABLE, steps)
    assert lowest_gamma(steps) == pytest.approx(least, abs=6e-4)
    with pytest.raises(RequestError, match="too low to invert") as refused:
        make_plan(grid, least - 0.01)
    assert f"take {math.ceil(lowest_gamma(steps) * 1000) / 1000:g} or more" in refused.value.hint
    assert growth(make_plan(grid, least + 0.01).gammas) < 10
    assert make_plan(grid, least - 0.01, anyway=True).gammas
    assert make_plan(grid, 0.5, inverting=False).gammas[0] == Fraction(1, 2)
    with pytest.raises(RequestError, match="too low to invert"):
        make_plan(grid, 1e-9)


@pytest.mark.parametrize("gamma", [0, -0.5, 1.01, float("nan"), "best"])
def test_what_is_no_gamma_is_refused(gamma: float | str) -> None:
    with pytest.raises(RequestError, match="gamma is"):
        choose_gammas(gamma, log_grid(TABLE, 10))


def test_auto_is_exact_on_a_lattice_and_safe_in_floats() -> None:
    grid = log_grid(TABLE, 50)
    assert set(choose_gammas("auto", grid)) == {Fraction(1)}
    assert lowest_gamma(50) <= min(choose_gammas("auto", grid, lattice=False)) < 0.96
    assert choose_gammas("auto", grid, inverting=False) == choose_gammas("optimal", grid)
    clamped = choose_gammas("optimal", flow_grid(28, 3.0))
    assert Fraction(3, 10) <= min(clamped) <= max(clamped) == 1
    assert max(choose_gammas("o-belm", flow_grid(28, 3.0))) > 1
