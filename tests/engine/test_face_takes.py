"""Long takes: whatever chunk is asked for, on whatever machine, its frames come out the same to the bit."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from sfumato.errors import Cancelled
from sfumato.face import takes
from sfumato.face.clip import solve_clip
from sfumato.face.clip_settings import ClipSettings, Solved
from sfumato.face.curves import Curves
from sfumato.face.demo_performance import demo_performance
from sfumato.face.demo_rig import demo_rig
from sfumato.face.takes import Take, solve_take, told
from sfumato.report import Step

RIG = demo_rig()
FRAMES = 130


@pytest.fixture(autouse=True)
def _short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of some forty frames, so that a short take has several."""
    for name, frames in (("WINDOW", 45), ("ALONE", 60), ("MARGIN", 12), ("FADE", 6)):
        monkeypatch.setattr(takes, name, frames)


@cache
def performance() -> tuple[Curves, Take]:
    truth, _, binding = demo_performance(RIG, 3, FRAMES)
    noise = torch.randn(FRAMES, len(binding.names), 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    markers = replace(
        demo_performance(RIG, 3, FRAMES)[1], names=binding.names, positions=binding.at(RIG, truth.values) + 0.03 * noise
    )
    start = Curves(RIG.controls, markers.frames, torch.zeros_like(truth.values), markers.timeline_fps)
    key = (markers.frames[44], "jawOpen")  # where two windows fade
    start.values[44, RIG.controls.index("jawOpen")] = 0.4
    settings = ClipSettings(rounds=5)
    return truth, Take(markers, RIG, binding, settings, replace(start, locked=frozenset({key})))


@cache
def whole() -> Solved:
    return solve_take(performance()[1])


@pytest.mark.parametrize(("first", "last"), [(0, 20), (40, 50), (60, 130), (129, 130)])
def test_a_chunk_is_the_same_to_the_bit_as_in_the_whole_take(first: int, last: int) -> None:
    take = performance()[1]
    part = solve_take(take, span=(first, last), known=told(take))
    assert part.curves.frames == take.markers.frames[first:last]
    assert torch.equal(part.curves.values, whole().curves.values[first:last])
    assert torch.equal(part.rigid, whole().rigid[first:last])
    assert torch.equal(part.residual.nan_to_num(9.0), whole().residual[first:last].nan_to_num(9.0))
    assert torch.equal(part.offsets, whole().offsets)


def test_windows_are_as_near_to_the_truth_as_one_solve_of_everything() -> None:
    truth, take = performance()
    free = replace(take, start=None)
    at_once = solve_clip(take.markers, RIG, take.binding, take.settings)
    apart = [float((one.curves.values - truth.values).square().mean().sqrt()) for one in (solve_take(free), at_once)]
    assert apart[0] < 1.1 * apart[1]


def test_a_locked_key_in_a_seam_is_kept_to_the_bit_and_limits_hold() -> None:
    values = whole().curves.values
    assert float(values[44, RIG.controls.index("jawOpen")]) == 0.4
    assert bool((values >= RIG.lower).all())
    assert bool((values <= RIG.upper).all())
    assert whole().curves.locked == performance()[1].start.locked  # type: ignore[union-attr]


def test_what_may_not_change_stays_to_the_bit_in_every_window() -> None:
    take = performance()[1]
    free = torch.ones(FRAMES, len(RIG.controls), dtype=torch.bool)
    free[:, :5] = False
    assert take.start is not None
    start = replace(take.start, values=torch.full_like(take.start.values, 0.1), locked=frozenset())
    found = solve_take(replace(take, free=free, start=start), span=(30, 60))
    assert bool((found.curves.values[:, :5] == 0.1).all())


def test_progress_grows_over_all_windows_and_a_cancel_stops_between_two_steps() -> None:
    shares: list[float] = []

    def cancel_half_way(step: Step) -> None:
        shares.append(step.step / step.of)
        if len(shares) > 8:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        solve_take(performance()[1], cancel_half_way)
    assert shares == sorted(shares)
    assert len(shares) == 9
