"""The prior's fit: it goes on from a checkpoint as if it had never stopped, and nothing but its seed decides it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfumato.errors import Cancelled
from sfumato.matte import fit as fitting
from sfumato.matte.fit import Evidence, fit
from sfumato.matte.settings import preset
from sfumato.report import Step, silent

SETTINGS = replace(preset("standard"), steps=12, warm_steps=4)


def evidence(seed: int = 0, coded: bool = True) -> Evidence:
    """A soft diagonal edge between two noisy colours, 24 x 32, with an unknown band around it."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    alpha = torch.sigmoid((x - y / 2 - 10) / 2)[None, None]
    fore, back = torch.tensor([0.8, 0.5, 0.2]).view(1, 3, 1, 1), torch.tensor([0.1, 0.2, 0.6]).view(1, 3, 1, 1)
    picture = alpha * fore + (1 - alpha) * back + 0.01 * torch.randn(1, 3, 24, 32, generator=generator)
    trimap = torch.where(alpha > 0.95, 1.0, torch.where(alpha < 0.05, 0.0, 0.5))
    whole = torch.ones_like(picture)
    return Evidence(picture, picture, trimap, alpha, torch.ones_like(alpha), fore * whole, back * whole, coded)


class Memory:
    """A checkpoint in memory that keeps every state it is given."""

    def __init__(self) -> None:
        self.state: dict[str, Tensor] | None = None

    def get(self) -> dict[str, Tensor] | None:
        return self.state

    def put(self, state: dict[str, Tensor]) -> None:
        self.state = {name: value.clone() for name, value in state.items()}


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize("stop", [1, 5, 9, 11])
def test_a_fit_that_was_killed_ends_like_one_that_was_not(stop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(evidence(), SETTINGS, seeded(), silent)
    monkeypatch.setattr(fitting, "SAVE_AFTER", -1.0)
    monkeypatch.setattr(fitting, "EVERY", 1)
    memory = Memory()

    def stopping(step: Step) -> None:
        if step.step == stop:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        fit(evidence(), SETTINGS, seeded(), stopping, checkpoint=memory)
    assert memory.state is not None
    assert int(memory.state["step"]) == stop + 1
    resumed = fit(evidence(), SETTINGS, seeded(), silent, checkpoint=memory)
    assert torch.equal(resumed.alpha, whole.alpha)
    assert torch.equal(resumed.spread, whole.spread)
    assert resumed.losses == whole.losses
    assert all(torch.equal(resumed.weights[name], value) for name, value in whole.weights.items())


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    one, same = (fit(evidence(), SETTINGS, seeded(), silent) for _ in range(2))
    other = fit(evidence(), SETTINGS, torch.Generator().manual_seed(8), silent)
    assert torch.equal(one.alpha, same.alpha)
    assert not torch.equal(one.weights["trunk.up.0.body.0.weight"], other.weights["trunk.up.0.body.0.weight"])


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_even_a_few_steps_give_finite_numbers(steps: int) -> None:
    fitted = fit(evidence(), replace(SETTINGS, steps=steps), seeded(), silent)
    assert torch.isfinite(fitted.alpha).all()
    assert torch.isfinite(fitted.spread).all()


@pytest.mark.parametrize("coded", [True, False])
def test_known_pixels_stay_what_they_are(coded: bool) -> None:
    given = evidence(coded=coded)
    fitted = fit(given, SETTINGS, seeded(), silent)
    known = given.trimap != 0.5
    assert torch.allclose(fitted.alpha[known], given.alpha[known])


def test_the_reconstruction_head_can_be_switched_off() -> None:
    off = fit(evidence(), replace(SETTINGS, reconstruction=0.0), seeded(), silent)
    assert "reconstruction" not in off.losses
    assert "reconstruction" in fit(evidence(), SETTINGS, seeded(), silent).losses


def test_the_loss_falls_and_the_layers_learn_their_colours() -> None:
    short = fit(evidence(), replace(SETTINGS, steps=5), seeded(), silent)
    long = fit(evidence(), replace(SETTINGS, steps=120), seeded(), silent)
    assert long.losses["foreground"] < 0.3 * short.losses["foreground"]
    assert long.losses["composite"] < short.losses["composite"]
