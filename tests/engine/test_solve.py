"""Mattes of stills and shots: exact on known pixels, the same bits however they are asked for."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfumato.errors import RequestError, ShapeError
from sfumato.matte.settings import PRESETS, MatteSettings, preset
from sfumato.matte.shot import FrameInput, solve_shot
from sfumato.matte.solve import exposure, solve_matte

SMALL = replace(preset("standard"), steps=6, warm_steps=3, size=32)


def frame(number: int = 0, height: int = 36, width: int = 44, scale: float = 1.0) -> FrameInput:
    """A soft disc moving to the right over a gradient, with grain; linear light times `scale`."""
    generator = torch.Generator().manual_seed(number)
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    distance = ((x - width / 2 + 3 - number) ** 2 + (y - height / 2) ** 2).sqrt()
    alpha = torch.sigmoid((height / 4 - distance) / 1.5)[None]
    fore, back = torch.tensor([0.7, 0.3, 0.1]).view(3, 1, 1), torch.stack([x / width, y / height, 0 * x + 0.5])
    image = alpha * fore + (1 - alpha) * back + 0.01 * torch.randn(3, height, width, generator=generator)
    trimap = torch.where(alpha > 0.98, 1.0, torch.where(alpha < 0.02, 0.0, 0.5))
    return FrameInput(image * scale, trimap)


def shot(wanted: list[int], settings: MatteSettings = SMALL, store: "Shelf | None" = None) -> dict[int, Tensor]:
    frames, keys = list(range(7)), [0, 6]
    found = solve_shot(wanted, frames, keys, frame, settings, seed=3, radius=settings.neighbours, store=store)
    return {number: matte.alpha for number, matte in found}


class Shelf:
    """A store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Tensor]] = {}

    def get(self, name: str) -> dict[str, Tensor] | None:
        return self.kept.get(name)

    def put(self, name: str, tensors: dict[str, Tensor]) -> None:
        self.kept[name] = tensors


@pytest.mark.parametrize("quality", ["preview", "standard"])
def test_a_matte_is_exact_where_the_trimap_is_and_explains_the_plate(quality: str) -> None:
    given = frame()
    matte = solve_matte(given.image, given.trimap, replace(preset(quality), steps=6, size=32))
    known = given.trimap != 0.5
    assert torch.equal(matte.alpha[known], given.trimap[known])
    assert torch.equal(matte.confidence[known], torch.ones_like(matte.confidence[known]))
    for value, layer in ((1.0, matte.foreground), (0.0, matte.background)):
        where = (given.trimap == value).expand(3, -1, -1)
        assert torch.equal(layer[where], given.image[where])
    rest = matte.alpha * matte.foreground + (1 - matte.alpha) * matte.background - given.image
    assert rest.square().mean().sqrt() < 0.005


def test_preview_is_classical_and_says_so() -> None:
    given = frame()
    matte = solve_matte(given.image, given.trimap, preset("preview"))
    assert "prior_steps" not in matte.stats
    assert matte.state == {}


def test_the_same_seed_gives_the_same_bits() -> None:
    given = frame()
    one, same = (
        solve_matte(given.image, given.trimap, SMALL, torch.Generator().manual_seed(5)).alpha for _ in range(2)
    )
    assert torch.equal(one, same)


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_exposure_does_not_change_a_linear_matte(scale: float) -> None:
    bright, plain = frame(scale=scale), frame()
    assert exposure(bright.image) == pytest.approx(float(exposure(plain.image)) * scale, rel=1e-4)
    a, b = (solve_matte(f.image, f.trimap, preset("preview")).alpha for f in (bright, plain))
    assert (a - b).abs().mean() < 2e-3


def test_a_shot_has_the_same_bits_however_it_is_cut() -> None:
    whole = shot(list(range(7)))
    for piece in ([2, 3], [6], [5, 0]):
        for number, alpha in shot(piece).items():
            assert torch.equal(alpha, whole[number]), number


def test_a_kept_keyframe_saves_work_and_changes_nothing() -> None:
    shelf = Shelf()
    whole = shot([0, 3], store=shelf)
    assert "key-0" in shelf.kept
    assert torch.equal(shot([3], store=shelf)[3], whole[3])


def test_a_warm_frame_takes_a_quarter_of_the_steps() -> None:
    for settings in PRESETS.values():
        assert settings.warm_steps <= settings.steps / 4
    stats = {
        number: matte.stats["prior_steps"]
        for number, matte in solve_shot([0, 3], list(range(7)), [0, 6], frame, SMALL, radius=1)
    }
    assert stats == {0: SMALL.steps, 3: SMALL.warm_steps}


def test_keyframes_come_first() -> None:
    assert list(shot([3, 1, 6, 0], preset("preview"))) == [0, 6, 1, 3]


def test_a_trimap_of_another_size_is_refused_by_name() -> None:
    with pytest.raises(ShapeError, match="trimap"):
        solve_matte(frame().image, frame(height=20).trimap, preset("preview"))


def test_an_unknown_quality_names_the_ones_there_are() -> None:
    with pytest.raises(RequestError, match="ultra") as refused:
        preset("ultra")
    assert "preview, standard, final" in refused.value.hint


@pytest.mark.parametrize("size", [(17, 23), (64, 19), (33, 80)])
def test_odd_sizes_are_fine(size: tuple[int, int]) -> None:
    height, width = size
    given = frame(height=height, width=width)
    matte = solve_matte(given.image, given.trimap, SMALL)
    assert matte.alpha.shape == (1, height, width)
    assert torch.isfinite(matte.foreground).all()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("quality", ["preview", "standard"])
def test_a_gpu_answers_like_the_cpu(quality: str) -> None:
    settings = replace(preset(quality), steps=6, warm_steps=1, size=32)
    numbers = [0, 1, 2]
    answers = []
    for device in ("cpu", "cuda"):
        solved = solve_shot(numbers, numbers, numbers, frame, settings, radius=1, device=torch.device(device))
        answers.append({number: matte.alpha for number, matte in solved})
    for number in numbers:
        assert (answers[0][number] - answers[1][number]).abs().mean() < 2e-3
