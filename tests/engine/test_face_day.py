"""Another day is measured from one neutral, and what is no neutral is refused."""

import dataclasses

import pytest
import torch

from sfumato.errors import InputError, RequestError
from sfumato.face.curves import Curves
from sfumato.face.day import new_day
from sfumato.face.demo_rig import demo_rig
from sfumato.face.markers import Markers
from sfumato.face.rig import rotation
from sfumato.face.stabilise import stabilise

RIG = demo_rig()
BINDING = RIG.markers


def shown(values, offsets, seed=1, turn=None):
    """Markers of these controls on a day with these offsets, 0.3 mm of noise, in the rig's place or turned."""
    draw = torch.Generator().manual_seed(seed)
    points = BINDING.at(RIG, values) + offsets
    points = points + torch.randn(points.shape, generator=draw, dtype=torch.float64) * 0.03
    if turn is not None:
        points = points @ rotation(turn).T + torch.tensor([3.0, -2.0, 40.0]).double()
    return Markers(BINDING.names, points, 60.0, 1001.0)


@pytest.fixture
def offsets():
    draw = torch.Generator().manual_seed(4)
    return torch.randn(len(BINDING.names), 3, generator=draw, dtype=torch.float64) * 0.1


def still(frames=30):
    return torch.zeros(frames, len(RIG.controls), dtype=torch.float64)


def test_the_offsets_of_a_day_are_found_from_its_neutral(offsets):
    day = new_day(shown(still(), offsets), RIG, BINDING, still=True)
    assert (day.offsets - offsets).norm(dim=1).mean() < 0.02
    assert day.notes == ()
    rest = day.rest(RIG, BINDING)
    assert (rest - BINDING.at(RIG, still(1))[0] - offsets).norm(dim=1).mean() < 0.02


def test_a_head_that_is_elsewhere_is_brought_home_first(offsets):
    elsewhere = shown(still(), offsets, turn=torch.tensor([0.1, 0.4, -0.2]).double())
    day = new_day(elsewhere, RIG, BINDING)
    values = torch.zeros(20, len(RIG.controls), dtype=torch.float64)
    values[:, RIG.controls.index("browInnerUp")] = torch.linspace(0, 1, 20)
    later = stabilise(shown(values, offsets, 8, torch.tensor([-0.1, 0.2, 0.1]).double()), RIG, BINDING).markers
    apart = (later.positions - BINDING.at(RIG, values)).norm(dim=-1).mean()
    assert (day.taken_off(later).positions - BINDING.at(RIG, values)).norm(dim=-1).mean() < 0.6 * apart


def test_poses_make_a_neutral_of_one_frame_better(offsets):
    values = torch.zeros(5, len(RIG.controls), dtype=torch.float64)
    values[
        torch.arange(5),
        [RIG.controls.index(n) for n in ("jawOpen", "mouthSmileLeft", "browInnerUp", "cheekPuff", "mouthPucker")],
    ] = 0.7
    poses = [(shown(values, offsets, 7), Curves(RIG.controls, tuple(1001.0 + i for i in range(5)), values, 60.0))]
    one = new_day(shown(still(1), offsets), RIG, BINDING, still=True)
    more = new_day(shown(still(1), offsets), RIG, BINDING, poses, still=True)
    assert (more.offsets - offsets).norm(dim=1).mean() < 0.8 * (one.offsets - offsets).norm(dim=1).mean()


def test_a_take_of_the_day_is_solved_as_the_rigs_own(offsets):
    day = new_day(shown(still(), offsets), RIG, BINDING, still=True)
    values = torch.full((3, len(RIG.controls)), 0.2, dtype=torch.float64)
    home = day.taken_off(shown(values, offsets, 9))
    assert (home.positions - BINDING.at(RIG, values)).norm(dim=-1).mean() < 0.06


def test_a_marker_that_was_not_seen_is_placed_like_those_around_and_noted(offsets):
    same = torch.full_like(offsets, 0.1)
    take = shown(still(), same)
    take.positions[:, 5] = torch.nan
    day = new_day(take, RIG, BINDING, still=True)
    assert not day.seen[5]
    assert (day.offsets[5] - 0.1).abs().max() < 0.02
    assert BINDING.names[5] in day.notes[0]


def test_a_face_that_moves_is_no_neutral(offsets):
    values = still(40)
    values[:, RIG.controls.index("jawOpen")] = torch.linspace(0, 1, 40)
    values[:, RIG.controls.index("browInnerUp")] = torch.linspace(1, 0, 40)
    values[:, RIG.controls.index("mouthPucker")] = torch.linspace(0, 1, 40)
    with pytest.raises(InputError, match="the neutral is not at rest"):
        new_day(shown(values, offsets), RIG, BINDING, still=True)


def test_another_face_and_a_pose_without_curves_are_refused(offsets):
    with pytest.raises(InputError, match="another face"):
        new_day(shown(still(), offsets + 2.0), RIG, BINDING, still=True)
    pose = shown(still(2), offsets)
    elsewhere = Curves(RIG.controls, (1.0, 2.0), still(2), 60.0)
    with pytest.raises(RequestError, match="no frame with both"):
        new_day(shown(still(), offsets), RIG, BINDING, [(pose, elsewhere)], still=True)


def test_one_marker_far_away_is_noted_as_a_label(offsets):
    wrong = offsets.clone()
    wrong[8] += 1.5
    day = new_day(shown(still(), wrong), RIG, BINDING, still=True)
    assert BINDING.names[8] in day.notes[0]
    assert dataclasses.is_dataclass(day)
