"""Null-text inversion: guidance made harmless by fitting the empty prompt, as near as gradients get, and counted."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.ddim import ddim_invert, ddim_sample
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.mixture import Mixture, Prompted, stiff_mixture
from sfumato.diffusion.null_text import Fitting, null_text_invert, null_text_sample
from sfumato.diffusion.protocols import Context, Prediction
from sfumato.diffusion.schedule import Grid, Node, log_grid, scaled_linear
from sfumato.errors import RequestError
from sfumato.report import Step

TABLE = scaled_linear()
ROWS, SIZE = 4, 32


class Counted:
    """A denoiser that counts its calls."""

    def __init__(self) -> None:
        self.inner, self.calls = Prompted(stiff_mixture(SIZE, torch.Generator().manual_seed(0))), 0
        self.prediction: Prediction = "eps"

    def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        self.calls += 1
        return self.inner(latent, node, context)


def word(*likely: int, rows: int = ROWS) -> Context:
    """A prompt under which some of the eight components are a thousand times as likely; none, the empty prompt."""
    tokens = torch.zeros(rows, 1, 8 + SIZE, dtype=torch.float64)
    tokens[..., list(likely)] = 7.0
    return Context(tokens)


def guided(weight: float = 3.0, rows: int = ROWS) -> Guided:
    return Guided(Counted(), word(0, 1, 2, rows=rows), word(rows=rows), weight)


GRID: Grid = log_grid(TABLE, 12)
MIXTURE: Mixture = Counted().inner.mixture
CLEAN = Mixture(MIXTURE.means[:3], MIXTURE.stds[:3]).sample(ROWS, TABLE.at(0), torch.Generator().manual_seed(1))
QUICK = Fitting(rounds=25, rate=0.1)


def rms(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean().sqrt())


@pytest.mark.parametrize("weight", [3.0, 7.5])
def test_the_fitted_empty_prompt_brings_a_guided_walk_back(weight: float) -> None:
    asked = guided(weight)
    found = null_text_invert(asked, GRID, CLEAN, QUICK)
    plain = rms(ddim_sample(asked, GRID, ddim_invert(asked, GRID, CLEAN)), CLEAN)
    fitted = rms(null_text_sample(asked, GRID, found), CLEAN)
    assert 0 < fitted < 0.3 * plain  # near, and never exact


def test_its_noise_is_the_unguided_inversions() -> None:
    asked = guided()
    found = null_text_invert(asked, GRID, CLEAN, QUICK)
    assert torch.equal(found.noise, ddim_invert(replace(asked, weight=1.0), GRID, CLEAN))
    assert len(found.empties) == GRID.steps


def test_calls_and_gradients_are_as_many_as_said() -> None:
    asked, told = guided(), list[Step]()
    found = null_text_invert(asked, GRID, CLEAN, QUICK, told.append)
    assert GRID.steps <= found.gradients < 25 * GRID.steps  # some steps were near enough before the last round
    assert asked.denoiser.calls == 3 * GRID.steps + found.gradients  # type: ignore[attr-defined]
    assert [step.step for step in told] == list(range(1, GRID.steps + 1))


def test_nothing_is_fitted_where_the_empty_prompt_is_the_prompt() -> None:
    """Then guidance is without effect, and what is left is DDIM's own error (Miyake et al., "Negative-prompt
    Inversion", 2023)."""
    asked = replace(guided(), empty=word(0, 1, 2))
    found = null_text_invert(asked, GRID, CLEAN, replace(QUICK, rounds=0))
    assert found.gradients == 0
    unguided = replace(asked, weight=1.0)
    home = ddim_sample(unguided, GRID, ddim_invert(unguided, GRID, CLEAN))
    torch.testing.assert_close(
        null_text_sample(asked, GRID, found), home, rtol=0, atol=1e-6
    )  # guidance mixes in float32


def test_rows_are_fitted_each_for_itself() -> None:
    always = Fitting(rounds=4, rate=0.1, enough=0, later=0)
    together = null_text_invert(guided(), GRID, CLEAN, always)
    alone = null_text_invert(guided(rows=1), GRID, CLEAN[2:3], always)
    for many, one in zip(together.empties, alone.empties, strict=True):
        torch.testing.assert_close(many.tokens[2:3], one.tokens, rtol=0, atol=1e-9)


def test_another_prompt_edits_from_the_same_noise() -> None:
    asked = guided(7.5)
    found = null_text_invert(asked, GRID, CLEAN, QUICK)
    edited = null_text_sample(replace(asked, prompt=word(5, 6)), GRID, found)
    before, after = (MIXTURE.shares(x, TABLE.at(0))[:, [5, 6]].sum(1) for x in (CLEAN, edited))
    assert float(before.max()) < 0.01
    assert float(after.mean()) > 0.5


def test_a_network_without_gradients_is_refused() -> None:
    class Shut(Counted):
        @torch.no_grad()
        def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
            return super().__call__(latent, node, context)

    with pytest.raises(RequestError, match="no gradient"):
        null_text_invert(replace(guided(), denoiser=Shut()), GRID, CLEAN)


def test_gradients_reach_the_words_of_a_diffusers_network(tiny_folder: Callable[[str], str]) -> None:
    from sfumato.models.load import load_model

    model = load_model(tiny_folder("sd1"))
    words = (model.embedder([prompt]) for prompt in ("a red ball", ""))
    asked = Guided(model.denoiser, *words, weight=3.0)
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    grid = log_grid(TABLE, 3)
    plain, fitted = (
        null_text_sample(asked, grid, null_text_invert(asked, grid, clean, Fitting(rounds, 0.1))) for rounds in (0, 20)
    )
    assert rms(fitted, clean) < 0.95 * rms(plain, clean)


def test_a_network_guided_without_an_empty_prompt_is_refused(tiny_folder: Callable[[str], str]) -> None:
    from sfumato.models.load import load_model

    model = load_model(tiny_folder("flux"))
    asked = Guided(model.denoiser, word(), word(), 3.0)
    with pytest.raises(RequestError, match="guided without one"):
        null_text_invert(asked, GRID, CLEAN)
