"""A take laid onto a neutral face that nobody said it belongs to."""

import math

import numpy as np
import pytest
import torch

from sfumato.errors import InputError, RequestError
from sfumato.face.markers import Markers
from sfumato.face.seat import resting, rigid, seat


@pytest.fixture(scope="module")
def head(data):
    """A real head: (V, 3) cm and its triangles (T, 3)."""
    rig = np.load(data / "face" / "ict_facekit" / "ict_rig.npz")
    quads = torch.from_numpy(rig["quads"]).long()
    whole = quads[:, 3] >= 0
    return torch.from_numpy(rig["neutral"]).double(), torch.cat([quads[:, :3], quads[whole][:, [0, 2, 3]]])


def turned(points, angle, shift):
    c, s = math.cos(angle), math.sin(angle)
    return (
        points @ torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float64).T + torch.tensor(shift).double()
    )


def take_of(neutral, seeded, angle=0.3, shift=(1.0, -2.0, 0.5), frames=60, count=40):
    """Markers on the front of the face, the head swaying, one marker hidden at times."""
    front = torch.nonzero(neutral[:9409, 2] > 2)[:, 0]
    chosen = front[torch.randperm(len(front), generator=seeded(3))[:count]]
    truth = neutral[chosen]
    moving = torch.stack([turned(truth, angle + 0.1 * math.sin(0.2 * f), shift) for f in range(frames)])
    moving += 0.02 * torch.randn(moving.shape, generator=seeded(4), dtype=torch.float64)
    moving[10:30, 2] = math.nan
    return Markers(tuple(f"m{i}" for i in range(count)), moving, 60.0), truth


@pytest.mark.parametrize(("angle", "shift"), [(0.05, (0.2, 0.1, 0.0)), (1.7, (50.0, 140.0, 9.0))])
def test_markers_come_to_lie_where_they_were_put(head, seeded, angle, shift):
    take, truth = take_of(head[0], seeded, angle, shift)
    found = seat(take, *head)
    assert (found.points - truth).norm(dim=1).median() < 0.03
    assert found.apart < 0.02


def test_what_is_no_such_face_is_refused_with_what_to_do(head, seeded):
    take, _ = take_of(head[0] * 3, seeded)
    with pytest.raises(RequestError, match="do not come to lie on the rig's face") as caught:
        seat(take, *head)
    assert "--binding" in caught.value.hint


def test_too_few_markers_are_refused(head, seeded):
    take, _ = take_of(head[0], seeded, count=5)
    with pytest.raises(InputError, match="too few to find the head"):
        seat(take, *head)


def test_the_resting_face_is_the_face_without_the_head(head, seeded):
    take, truth = take_of(head[0], seeded)
    rest = resting(take)
    turn, shift = rigid(rest, truth)
    assert (rest @ turn.T + shift - truth).norm(dim=1).max() < 0.03


def test_a_rigid_fit_never_mirrors(seeded):
    points = torch.randn(30, 3, generator=seeded(1), dtype=torch.float64)
    turn, _ = rigid(points, points * torch.tensor([-1.0, 1, 1]).double())
    assert torch.det(turn) == pytest.approx(1.0)
    turn, shift = rigid(points, turned(points, 0.7, (1.0, 2.0, 3.0)))
    assert torch.allclose(points @ turn.T + shift, turned(points, 0.7, (1.0, 2.0, 3.0)))
