"""Edits in words, by networks small enough to need no weights: the trip is made, and exact, and no bit else changes."""

import zlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sfumato.diffusion.edit import Edit, EditSettings, edit_plate, invert_plate, load_inversion
from sfumato.diffusion.fingerprint import weights_digest
from sfumato.diffusion.protocols import Context, Prediction
from sfumato.diffusion.record import RecordMismatchError
from sfumato.diffusion.schedule import Node, scaled_linear
from sfumato.diffusion.walk import DriftedError
from sfumato.errors import InputError, RequestError
from sfumato.models.codecs import Pixels
from sfumato.models.model import Levels, Model
from sfumato.plate import Plate, Window
from sfumato.report import Step

RED, BLUE = "a red ball on grass", "a blue ball on grass"
QUICK = EditSettings(steps=10)
K = 8  # of 10 steps at strength .8


class Words:
    """Prompts as noise of their own: another word, another context."""

    def __call__(self, prompts: list[str]) -> Context:
        seeds = [torch.Generator().manual_seed(zlib.crc32(prompt.encode())) for prompt in prompts]
        return Context(torch.stack([torch.randn(1, 8, generator=seed) for seed in seeds]))

    def tokens(self, prompt: str) -> list[tuple[str, int, int]]:
        return [(prompt, 0, len(prompt))]

    def cut(self, prompt: str) -> str:
        return ""


class Painter(nn.Module):
    """A random network: convolutions of the latent, and of what the prompt says. v-prediction."""

    prediction: Prediction = "v"

    def __init__(self, fault: float = 0.0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.first, self.word, self.last = nn.Conv2d(3, 12, 3, padding=1), nn.Linear(9, 12), nn.Conv2d(12, 3, 3)
        self.asked, self.fault = 0, fault

    def forward(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        self.asked += 1
        told = torch.cat([context.tokens[:, 0], torch.full((len(latent), 1), node.time / 1000)], 1)
        hidden = torch.tanh(self.first(latent) + self.word(told)[:, :, None, None])
        return self.last(nn.functional.pad(hidden, (1,) * 4)) + self.fault * self.asked


def model_of(network: nn.Module, words: Words, size: int = 32) -> Model:
    digest = weights_digest(network.state_dict())
    levels = Levels(network.prediction, scaled_linear())
    return Model("tiny", "MIT", digest, network, Pixels(), words, levels, (size, size), 4, network)


@pytest.fixture
def model() -> Model:
    return model_of(Painter(), Words())


def wild(height: int = 90, width: int = 120, **more: object) -> Plate:
    """HDR above 50, negative values, grain, -0.0 and holes; with an alpha channel and depth."""
    pixels = 0.4 + 0.1 * torch.randn(5, height, width, generator=torch.Generator().manual_seed(0))
    pixels[:, 10:20, 10:20], pixels[1, 7], pixels[:, 30, 40] = 60.0, -0.2, -0.0
    pixels[0, 5, 5], pixels[2, 50, 60], pixels[4, 3, 3] = float("nan"), float("inf"), float("nan")
    window = Window(0, 0, width, height)
    return Plate(pixels, ("R", "G", "B", "A", "Z"), None, window, window, **more)  # type: ignore[arg-type]


def middle(plate: Plate) -> Tensor:
    mask = torch.zeros(1, plate.height, plate.width)
    mask[:, plate.height // 3 : 2 * plate.height // 3, plate.width // 3 : 2 * plate.width // 3] = 1
    return mask


def same_bits(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.contiguous().view(torch.int32), b.contiguous().view(torch.int32))


def exact(found: Edit) -> bool:
    return found.recon_digest == found.replay_digest


@pytest.mark.parametrize(("up", "down"), [(1.0, 1.0), (1.0, 3.0), (3.0, 3.0)])
@pytest.mark.parametrize("masked", [False, True])
def test_the_same_prompt_gives_the_plate_back_after_a_trip_that_was_made(
    model: Model, up: float, down: float, masked: bool
) -> None:
    plate = wild()
    mask = middle(plate) if masked else None
    found = edit_plate(plate, RED, RED, model, EditSettings(steps=10, guidance=down, invert_guidance=up), mask)
    assert same_bits(found.pixels, plate.rgb())
    assert same_bits(found.applied(plate).pixels, plate.pixels)
    assert exact(found)
    assert model.network.asked == sum(found.calls.values()) == (K + 3) + 2 * (K - 1)
    assert torch.equal(found.recon, found.edit)


def test_strength_0_gives_the_plate_back_after_the_shortest_trip(model: Model) -> None:
    found = edit_plate(wild(), RED, BLUE, model, EditSettings(steps=10, strength=0.0))
    assert same_bits(found.pixels, wild().rgb())
    assert exact(found)
    assert model.network.asked == sum(found.calls.values()) == (2 + 3) + 2 * (2 - 1)


def test_a_mask_of_zeros_gives_the_plate_back_though_the_edit_is_another_picture(model: Model) -> None:
    found = edit_plate(wild(), RED, BLUE, model, QUICK, torch.zeros(1, 90, 120))
    assert same_bits(found.pixels, wild().rgb())
    assert exact(found)
    assert float((found.recon - found.edit).abs().max()) > 0.01
    assert model.network.asked == sum(found.calls.values()) == (K + 3) + 2 * (K - 1)


def test_outside_the_mask_and_in_every_other_channel_the_plate_keeps_its_bits(model: Model) -> None:
    plate = wild()
    mask = middle(plate)
    found = edit_plate(plate, RED, BLUE, model, EditSettings(steps=10, strength=1.0), mask)
    after = found.applied(plate)
    assert after.channels == plate.channels
    assert same_bits(after.pixels[3:], plate.pixels[3:])
    outside = ((mask == 0) | plate.holes()).expand(3, -1, -1)
    assert same_bits(after.pixels[:3][outside], plate.rgb()[outside])
    assert bool((found.delta != 0)[~outside].all())
    finite = plate.rgb().isfinite()
    assert torch.equal((plate.rgb() + found.delta)[finite], found.pixels[finite])
    assert torch.equal(found.mask, mask)


def test_many_edits_share_one_inversion_from_a_file(model: Model, tmp_path: Path) -> None:
    plate, file = wild(), tmp_path / "plate.safetensors"
    invert_plate(plate, RED, model, QUICK).save(file)
    for target, guidance in ((BLUE, 3.0), ("a green cube", 3.0), (BLUE, 1.0)):
        how = replace(QUICK, guidance=guidance)
        direct = edit_plate(plate, RED, target, model, how, middle(plate).new_ones(1, 90, 120))
        model.network.asked = 0
        kept = edit_plate(plate, RED, target, model, how, torch.ones(1, 90, 120), inversion=load_inversion(file))
        assert same_bits(kept.pixels, direct.pixels)
        assert kept.recon_digest == kept.replay_digest == direct.replay_digest
        assert kept.calls == {"up": 0, "source": 0, "target": K - 1}
        assert model.network.asked == K - 1
    assert RED.encode() not in file.read_bytes()


def test_an_inversion_of_something_else_is_named(model: Model) -> None:
    plate = wild()
    inversion = invert_plate(plate, RED, model, QUICK, middle(plate))
    given: dict[str, object] = {"plate": plate, "source": RED, "model": model, "settings": QUICK, "mask": middle(plate)}
    for change, words in (
        ({"plate": plate.replace(pixels=plate.pixels + 1)}, "plate: the record is of another plate"),
        ({"source": "a green ball"}, "source: the record is of another source prompt"),
        ({"settings": EditSettings(steps=12)}, "steps: 10 in the record, 12 here"),
        ({"settings": EditSettings(steps=10, invert_guidance=3.0)}, "invert guidance: 1 in the record, 3 here"),
        ({"settings": EditSettings(steps=10, strength=0.5)}, "strength: 0.8 in the record, 0.5 here"),
        ({"settings": EditSettings(steps=10, exposure=1.0)}, "display: light, 0 stops"),
        ({"model": replace(model, digest="another")}, "model: "),
        ({"mask": torch.ones(1, 90, 120)}, "window: the record is of"),
    ):
        asked = {**given, **change, "target": BLUE, "inversion": inversion}
        with pytest.raises(RecordMismatchError, match=words) as refused:
            edit_plate(**asked)  # type: ignore[arg-type]
        assert refused.value.exit_code == 2
        assert "invert again" in refused.value.hint


def test_another_machine_is_named_or_its_stored_states_are_used(model: Model) -> None:
    plate = wild()
    plain, stored = (invert_plate(plate, RED, model, QUICK, store=store) for store in (False, True))
    here = edit_plate(plate, RED, BLUE, model, QUICK, inversion=plain)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        with pytest.raises(RecordMismatchError, match="threads"):
            edit_plate(plate, RED, BLUE, model, QUICK, inversion=plain)
        same = edit_plate(plate, RED, RED, model, QUICK, inversion=stored)
        there = edit_plate(plate, RED, BLUE, model, QUICK, inversion=stored)
    finally:
        torch.set_num_threads(threads)
    assert same_bits(same.pixels, plate.rgb())
    assert exact(same)
    assert exact(there)
    torch.testing.assert_close(there.edit, here.edit, rtol=0, atol=1e-3)


def test_a_machine_that_never_answers_the_same_needs_stored_states(tmp_path: Path) -> None:
    plate, model = wild(), model_of(Painter(fault=1e-4), Words())
    with pytest.raises(DriftedError):
        edit_plate(plate, RED, RED, model, QUICK)
    invert_plate(plate, RED, model, QUICK, store=True).save(tmp_path / "a.safetensors")
    kept = load_inversion(tmp_path / "a.safetensors")
    assert kept.drifts
    found = edit_plate(plate, RED, RED, model, QUICK, torch.ones(1, 90, 120), kept)
    assert same_bits(found.pixels, plate.rgb())
    assert exact(found)


def test_ddim_goes_the_same_way_and_does_not_come_back(model: Model) -> None:
    settings = EditSettings(steps=10, method="ddim")
    found = edit_plate(wild(), RED, BLUE, model, settings)
    assert not exact(found)
    assert found.calls == {"up": K, "source": K, "target": K}
    assert same_bits(edit_plate(wild(), RED, RED, model, settings).pixels, wild().rgb())  # both halves drift alike
    with pytest.raises(RequestError, match="not exact"):
        invert_plate(wild(), RED, model, settings)
    with pytest.raises(RequestError, match="no use to DDIM"):
        edit_plate(wild(), RED, BLUE, model, settings, inversion=invert_plate(wild(), RED, model, QUICK))


def test_a_coded_still_and_a_darker_exposure_come_back_too(model: Model) -> None:
    still = Plate(torch.rand(3, 40, 50), ("R", "G", "B"), None, Window(0, 0, 50, 40), Window(0, 0, 50, 40), coded=True)
    for settings in (QUICK, EditSettings(steps=10, exposure=-2.0)):
        found = edit_plate(still, RED, RED, model, settings)
        assert same_bits(found.pixels, still.pixels)
    torch.testing.assert_close(found.plate, found.recon, rtol=0, atol=1e-4)


def test_a_grey_plate_can_get_colour(model: Model) -> None:
    window = Window(0, 0, 30, 20)
    grey = Plate(torch.rand(2, 20, 30), ("Z", "Y"), None, window, window)
    found = edit_plate(grey, RED, BLUE, model, QUICK, torch.ones(1, 20, 30))
    after = found.applied(grey)
    assert after.channels == ("R", "G", "B", "Z")
    assert same_bits(after.pixels[3:], grey.pixels[:1])


@pytest.mark.parametrize(
    ("data", "display"),
    [
        (Window(0, 0, 1, 1), Window(0, 0, 1, 1)),
        (Window(5, -3, 7, 31), Window(0, 0, 20, 20)),
        (Window(-20, -20, 140, 90), Window(0, 0, 100, 50)),
        (Window(300, 300, 20, 10), Window(0, 0, 100, 50)),
        (Window(0, 0, 333, 5), Window(0, 0, 333, 5)),
    ],
)
def test_plates_of_any_windows_make_the_trip(model: Model, data: Window, display: Window) -> None:
    pixels = torch.rand(3, data.height, data.width, generator=torch.Generator().manual_seed(2))
    plate = Plate(pixels, ("R", "G", "B"), None, data, display)
    same = edit_plate(plate, RED, RED, model, EditSettings(steps=4))
    assert same_bits(same.pixels, pixels)
    assert exact(same)
    other = edit_plate(plate, RED, BLUE, model, EditSettings(steps=4), torch.ones(1, data.height, data.width))
    seen_part = data.common(display)
    changed = (other.delta != 0).any(0)
    assert int(changed.sum()) == seen_part.width * seen_part.height


@pytest.mark.parametrize("inverted", [False, True])
def test_attention_control_keeps_the_trip_exact(inverted: bool, tiny_folder) -> None:
    pytest.importorskip("diffusers", reason="diffusion models need the diffusion extra")
    from sfumato.models.load import load_model

    model, plate = load_model(tiny_folder("sd1")), wild(64, 64)
    settings = EditSettings(steps=6, attention="replace")
    given = invert_plate(plate, "a red ball", model, settings) if inverted else None
    found = edit_plate(plate, "a red ball", "a blue ball", model, settings, inversion=given)
    assert exact(found)
    assert found.calls == {"up": 0 if inverted else 5 + 3, "source": 4, "target": 4}
    threads = torch.get_num_threads()
    stored = invert_plate(plate, "a red ball", model, settings, store=True)
    try:
        torch.set_num_threads(threads + 1)
        there = edit_plate(plate, "a red ball", "a blue ball", model, settings, inversion=stored)
    finally:
        torch.set_num_threads(threads)
    assert exact(there)
    torch.testing.assert_close(there.edit, found.edit, rtol=0, atol=1e-2)
    with pytest.raises(RequestError, match="no word has a weight"):
        edit_plate(plate, "a red ball", "a ball", model, EditSettings(steps=6, attention="reweight"))


def test_words_may_be_reweighted_under_the_same_prompt(tiny_folder) -> None:
    pytest.importorskip("diffusers", reason="diffusion models need the diffusion extra")
    from sfumato.models.load import load_model

    model, plate = load_model(tiny_folder("sd1")), wild(64, 64)
    settings = EditSettings(steps=6, attention="reweight", weights={"red": 4.0})
    found = edit_plate(plate, "a red ball", "a red ball", model, settings)
    assert exact(found)
    assert not torch.equal(found.edit, found.recon)
    assert torch.equal(
        edit_plate(plate, "a red ball", "a red ball", model, EditSettings(steps=6)).delta, found.delta * 0
    )


def test_every_phase_is_told(model: Model) -> None:
    told: list[Step] = []
    edit_plate(wild(), RED, BLUE, model, QUICK, report=told.append)
    assert list(dict.fromkeys(step.phase for step in told)) == ["invert", "replay", "sample", "lay"]
    assert all(0 <= step.step <= step.of for step in told)


def test_wrong_requests_are_sentences(model: Model) -> None:
    plate = wild()
    for change, words in (
        ({"target": "  "}, "target prompt is empty"),
        ({"source": ""}, "source prompt is empty"),
        ({"mask": torch.ones(1, 90, 50)}, "mask is 50 x 90, and the plate 120 x 90"),
        ({"settings": EditSettings(steps=1)}, "cannot stop|1 steps"),
    ):
        asked = {"plate": plate, "source": RED, "target": BLUE, "model": model, "settings": QUICK, **change}
        with pytest.raises(RequestError, match=words):
            edit_plate(**asked)  # type: ignore[arg-type]
    for wrong in (
        {"strength": 1.5},
        {"keep_detail": -0.1},
        {"auto_mask": 2.0},
        {"exposure": 99.0},
        {"method": "edict"},
    ):
        with pytest.raises(RequestError):
            EditSettings(**wrong)  # type: ignore[arg-type]
    nothing = plate.replace(pixels=torch.full_like(plate.pixels, float("nan")))
    with pytest.raises(InputError, match="no finite pixel") as refused:
        edit_plate(nothing, RED, BLUE, model, QUICK)
    assert refused.value.exit_code == 3
    assert model.network.asked == 0
