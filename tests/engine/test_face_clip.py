"""The whole-clip solve: its banded system is the one written down, and what it learns from a clip is there."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from sfumato.face.banded import pulled, solved_along
from sfumato.face.clip import solve_clip
from sfumato.face.clip_settings import ClipSettings, Solved
from sfumato.face.curves import Curves
from sfumato.face.demo_performance import demo_performance
from sfumato.face.demo_rig import demo_rig
from sfumato.face.markers import Markers
from sfumato.face.motion import Motion

RIG = demo_rig()


@cache
def take() -> tuple[Curves, Markers]:
    """A performance and what an ideal camera sees of it, with noise of .3 mm an axis."""
    truth, _, binding = demo_performance(RIG, 3, 150)
    noise = 0.03 * torch.randn(
        150, len(binding.names), 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return truth, Markers(binding.names, binding.at(RIG, truth.values) + noise, 60.0)


def solved(markers: Markers, **settings: object) -> Solved:
    binding = demo_performance(RIG, 3, 150)[2]
    return solve_clip(markers, RIG, binding, ClipSettings(**settings))  # type: ignore[arg-type]


def off(values: Tensor, truth: Tensor) -> float:
    return float((values - truth).square().mean().sqrt())


def dense(along: Tensor, frames: int) -> Tensor:
    """D'A D written out."""
    width = along.shape[-1]
    bend = torch.zeros((frames - 2) * width, frames * width, dtype=torch.float64)
    one = torch.eye(width, dtype=torch.float64)
    for i in range(frames - 2):
        for j, factor in enumerate((1.0, -2.0, 1.0)):
            bend[i * width : (i + 1) * width, (i + j) * width : (i + j + 1) * width] = factor * one
    return bend.T @ torch.block_diag(*along) @ bend


def drawn(frames: int, width: int, seed: int) -> tuple[Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(frames - 2, width, width, generator=generator, dtype=torch.float64)
    return root @ root.transpose(1, 2), generator


@pytest.mark.parametrize(("frames", "width"), [(3, 1), (4, 3), (9, 4)])
def test_the_bands_are_those_of_the_system_written_out(frames: int, width: int) -> None:
    along, generator = drawn(frames, width, frames)
    one = torch.eye(width, dtype=torch.float64).expand(frames, width, width)
    whole = dense(along, frames) + torch.eye(frames * width, dtype=torch.float64)
    right = torch.randn(frames, width, generator=generator, dtype=torch.float64)
    fixed = torch.rand(frames, width, generator=generator) < 0.3
    loose = torch.nonzero(~fixed.reshape(-1))[:, 0]
    wanted = torch.zeros(frames * width, dtype=torch.float64)
    wanted[loose] = torch.linalg.solve(whole[loose][:, loose], right.reshape(-1)[loose])
    assert torch.allclose(solved_along(one, along, right, fixed).reshape(-1), wanted)
    values = torch.randn(frames, width, generator=generator, dtype=torch.float64)
    assert torch.allclose(pulled(along, values).reshape(-1), dense(along, frames) @ values.reshape(-1))


def test_what_moves_together_in_a_clip_is_held_less_together_than_apart() -> None:
    time = torch.arange(400, dtype=torch.float64) / 60
    generator = torch.Generator().manual_seed(1)
    wave = (3 * time).sin() + 0.3 * (11 * time).sin()
    values = torch.stack([wave, wave], 1) + 1e-3 * torch.randn(400, 2, generator=generator, dtype=torch.float64)
    weight = Motion(11_000, 0.006, 60.0, True).weight(values, 10).mean(0)
    together, apart = torch.tensor([1.0, 1.0]).double(), torch.tensor([1.0, -1.0]).double()
    assert float(together @ weight @ together) < 0.2 * float(apart @ weight @ apart)


def test_a_short_clip_teaches_nothing() -> None:
    values = torch.rand(20, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    weight = Motion(11_000, 0.006, 60.0, True).weight(values, 10)
    assert torch.equal(weight, torch.diag_embed(weight.diagonal(dim1=1, dim2=2)))


def test_a_clip_is_solved_to_the_noise() -> None:
    truth, markers = take()
    assert off(solved(markers).curves.values, truth.values) < 0.06


def test_markers_that_sit_elsewhere_are_noticed_and_those_that_do_not_are_left() -> None:
    truth, markers = take()
    assert not solved(markers).offsets.any()
    generator = torch.Generator().manual_seed(2)
    moved = 0.1 * torch.randn(len(markers.names), 3, generator=generator, dtype=torch.float64)
    elsewhere = replace(markers, positions=markers.positions + moved)
    found, ignored = solved(elsewhere), solved(elsewhere, offsets=False)
    assert found.offsets.any()
    assert off(found.curves.values, truth.values) < 0.7 * off(ignored.curves.values, truth.values)


def test_a_wild_sample_hardly_counts() -> None:
    truth, markers = take()
    positions = markers.positions.clone()
    positions[::7, 5] += 2.0
    wrong = solved(replace(markers, positions=positions))
    assert float(wrong.weight[::7, 5].max()) < 0.02
    assert off(wrong.curves.values, truth.values) < 0.06
