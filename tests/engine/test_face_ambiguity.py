"""What the markers cannot tell is said, and what they can is not."""

import pytest
import torch

from sfumato.face.ambiguity import examine, region_of
from sfumato.face.binding import Binding
from sfumato.face.curves import Curves
from sfumato.face.rig import Hinge, NativeRig

NAMES = ("jawOpen", "eyeBlink", "eyeLookDown", "browUp")


def rig(jaw=None):
    """Twelve points; a blink and a look down move the same ones the same way, the brow its own, the jaw the rest."""
    draw = torch.Generator().manual_seed(2)
    neutral = torch.randn(12, 3, generator=draw, dtype=torch.float64) * 5
    deltas = torch.zeros(4, 12, 3, dtype=torch.float64)
    deltas[0, 6:] = torch.randn(6, 3, generator=draw, dtype=torch.float64)
    deltas[1, :3, 1], deltas[2, :3, 1], deltas[3, 3:6, 1] = -1.0, -0.6, 0.8
    return NativeRig(NAMES, neutral, torch.tensor([[0, 1, 2]]), deltas, jaw=jaw)


def binding():
    return Binding(
        tuple(f"m{i}" for i in range(12)),
        torch.arange(12)[:, None].repeat(1, 3),
        torch.tensor([[1.0, 0, 0]] * 12, dtype=torch.float64),
    )


def curves(frames=20):
    return Curves(NAMES, tuple(map(float, range(frames))), torch.full((frames, 4), 0.3, dtype=torch.float64), 24.0)


def test_two_controls_that_move_the_same_points_alike_are_named_together():
    found = examine(rig(), binding(), curves(), torch.ones(20, 12, dtype=torch.float64))
    assert found.groups == (("eyeBlink", "eyeLookDown"),)
    assert found.sentences == ("the markers cannot tell eyeBlink from eyeLookDown: look at the video, or lock a key",)
    assert found.unsure[0].tolist() == [False, True, True, False]
    assert found.by_frame(curves()) == {}


def test_a_control_whose_markers_are_unseen_for_some_frames_is_named_there_and_only_there():
    weight = torch.ones(20, 12, dtype=torch.float64)
    weight[4:7, 3:6] = 0
    found = examine(rig(), binding(), curves(), weight)
    assert found.by_frame(curves()) == {4.0: ("browUp",), 5.0: ("browUp",), 6.0: ("browUp",)}
    assert found.deviation[5, 3] == pytest.approx(0.5)
    assert "browUp is told by the markers not on 15% of the frames: it may be off by 0.50" in found.sentences


def test_deviations_are_those_of_many_noisy_solves():
    weight, noise = torch.ones(1, 12, dtype=torch.float64), 0.05
    found = examine(rig(), binding(), curves(1), weight, noise)
    draw = torch.Generator().manual_seed(4)
    slopes = rig().deltas[[0, 3]].reshape(2, -1).T
    wrong = torch.randn(36, 4000, generator=draw, dtype=torch.float64) * noise
    scatter = torch.linalg.lstsq(slopes, wrong).solution.std(1)
    assert (found.deviation[0, [0, 3]] / scatter - 1).min() > -0.1  # never surer than without unknown drift
    assert (found.deviation[0, [0, 3]] / scatter).max() < 3.0


def test_a_jaw_that_turns_is_looked_at_where_it_is():
    turning = Hinge(
        torch.zeros(3, dtype=torch.float64),
        torch.cat([torch.zeros(6), torch.ones(6)]).double(),
        (("jawOpen", torch.tensor([0.4, 0, 0]).double()),),
    )
    found = examine(rig(turning), binding(), curves(), torch.ones(20, 12, dtype=torch.float64))
    assert found.groups == (("eyeBlink", "eyeLookDown"),)
    assert not found.unsure[:, 0].any()


def test_a_marker_belongs_to_the_region_of_what_moves_it_most():
    assert region_of(rig(), binding()) == ("eye",) * 3 + ("brow",) * 3 + ("jaw",) * 6


def test_two_controls_that_undo_each_other_are_not_taken_for_each_other():
    known = rig()
    opposite = torch.cat([known.deltas[:2], -known.deltas[1:2], known.deltas[3:]])
    apart = NativeRig(NAMES, known.neutral, known.faces, opposite)
    found = examine(apart, binding(), curves(), torch.ones(20, 12, dtype=torch.float64))
    assert found.groups == ()
    assert not found.unsure.any()


def test_on_the_real_rig_the_eyes_are_least_sure_and_the_jaw_is_told(data):
    from sfumato.face.rig_files import load_rig
    from sfumato_plugins.benches.face_setup import load_setup

    setup = load_setup(str(data / "face"))
    real = load_rig(data / "face" / "ict_facekit" / "ict_rig.npz")
    corners = setup.spots[:, None].repeat(1, 3)
    bound = Binding(setup.names, corners, torch.tensor([[1.0, 0, 0]] * 140, dtype=torch.float64))
    still = Curves(real.controls, (1.0,), torch.zeros(1, 53, dtype=torch.float64), 60.0)
    found = examine(real, bound, still, torch.ones(1, 140, dtype=torch.float64))
    least = [real.controls[i] for i in found.deviation[0].argsort(descending=True)[:8].tolist()]
    assert all(name.startswith("eye") for name in least)
    assert found.deviation[0, real.controls.index("jawOpen")] < 0.01
    vague = examine(real, bound, still, torch.ones(1, 140, dtype=torch.float64), noise=0.1)
    assert ("eyeLookIn_L", "eyeLookOut_L") in vague.groups
