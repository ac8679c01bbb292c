"""The software rasteriser: what is near hides what is far, sizes are true, and dots and heat say what they should."""

import math

import pytest
import torch

from sfumato.face.overlay import SEEN, dots, heat, lines, spread
from sfumato.face.render import PAPER, Camera, camera_on, render


def ball(radius=5.0, rings=24):
    """A sphere of quads cut into triangles, counter-clockwise from outside: (V, 3), (T, 3)."""
    up = torch.linspace(0, math.pi, rings + 1, dtype=torch.float64)
    round_ = torch.arange(2 * rings, dtype=torch.float64) * math.pi / rings
    y, r = radius * up.cos()[:, None], radius * up.sin()[:, None]
    points = torch.stack([r * round_.sin(), y.expand(-1, 2 * rings), r * round_.cos()], dim=-1).reshape(-1, 3)
    cell = torch.tensor([(i * 2 * rings + j, i * 2 * rings + (j + 1) % (2 * rings))
                         for i in range(rings) for j in range(2 * rings)])  # fmt: skip
    a, b, c, d = cell[:, 0], cell[:, 0] + 2 * rings, cell[:, 1] + 2 * rings, cell[:, 1]
    return points, torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])


@pytest.mark.parametrize("yaw", [0.0, 35.0, -90.0, 180.0])
def test_a_ball_is_a_disc_of_its_own_size_from_every_side(yaw):
    points, faces = ball(5.0)
    camera = Camera(torch.zeros(3), 8.0, 120, 120, yaw)
    picture, depth = render(points, faces, camera)
    covered = depth.isfinite().double().sum()
    assert covered == pytest.approx(math.pi * (5 * 8) ** 2, rel=0.02)
    assert depth.max() == pytest.approx(5.0, abs=0.05)
    assert torch.allclose(picture[:, 0, 0], torch.full((3,), PAPER))


def test_what_is_near_hides_what_is_far():
    points, faces = ball(5.0)
    small, far = points * 0.3 + torch.tensor([0.0, 0, 8.0]), points
    both, tris = torch.cat([small, far]), torch.cat([faces, faces + len(points)])
    colours = torch.cat([torch.tensor([1.0, 0, 0]).expand(len(points), 3), torch.tensor([0, 0, 1.0]).expand_as(points)])
    front, _ = render(both, tris, Camera(torch.zeros(3), 8.0, 120, 120), colours)
    back, _ = render(both, tris, Camera(torch.zeros(3), 8.0, 120, 120, yaw=180.0), colours)
    assert front[0, 60, 60] > front[2, 60, 60]
    assert back[2, 60, 60] > back[0, 60, 60]


def test_a_triangle_that_faces_away_is_not_drawn():
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]], dtype=torch.float64)
    camera = Camera(torch.zeros(3), 10.0, 40, 40)
    assert render(corners, torch.tensor([[0, 1, 2]]), camera)[1].isfinite().any()
    assert not render(corners, torch.tensor([[0, 2, 1]]), camera)[1].isfinite().any()


def test_a_mesh_outside_the_picture_leaves_paper():
    points, faces = ball(1.0)
    picture, depth = render(points + 500, faces, Camera(torch.zeros(3), 10.0, 40, 40))
    assert not depth.isfinite().any()
    assert torch.allclose(picture, torch.full_like(picture, PAPER))


def test_turning_the_head_left_shows_its_left_side():
    left_ear = torch.tensor([[5.0, 0, 0]], dtype=torch.float64)  # +X is the actor's left, on the right of the picture
    assert Camera(torch.zeros(3), 10.0, 100, 100).project(left_ear)[0, 0] > 50
    turned = Camera(torch.zeros(3), 10.0, 100, 100, yaw=-90.0).project(left_ear)
    assert turned[0, 2] == pytest.approx(5.0)


def test_the_whole_face_is_in_the_picture_whichever_way_it_is_turned():
    points, _ = ball(7.0)
    for yaw in (-60, 0, 45):
        at = camera_on(points, 90, 120, yaw).project(points)
        assert at[:, 0].min() >= 0
        assert at[:, 0].max() <= 90
        assert at[:, 1].min() >= 0


def test_a_dot_lies_where_its_marker_is_and_a_hidden_one_is_not_drawn():
    points, faces = ball(5.0)
    camera = Camera(torch.zeros(3), 8.0, 120, 120)
    picture, depth = render(points, faces, camera)
    markers = torch.tensor([[0.0, 0, 5], [2.5, 0, -4.3], [math.nan] * 3], dtype=torch.float64)
    drawn = dots(picture, depth, camera, markers, torch.tensor([SEEN] * 3))
    changed = torch.nonzero((drawn != picture).any(0)).double()
    assert torch.allclose(changed.mean(0), torch.tensor([59.5, 59.5], dtype=torch.float64), atol=0.6)
    assert torch.allclose(drawn[:, 60, 60], torch.tensor(SEEN))


def test_a_line_with_an_end_nobody_saw_is_not_drawn():
    camera, blank = Camera(torch.zeros(3), 8.0, 60, 60), torch.zeros(3, 60, 60)
    here, gone = torch.zeros(1, 3), torch.full((1, 3), math.nan)
    assert not lines(blank, camera, here, gone, torch.ones(1, 3)).any()
    assert lines(blank, camera, here, here + 2, torch.ones(1, 3)).any()


def test_heat_is_grey_at_nothing_and_red_from_the_full_value_on():
    none, full, more, unseen = heat(torch.tensor([0.0, 1.0, 9.0, math.nan]), 1.0)
    assert none.max() - none.min() < 0.05
    assert torch.equal(unseen, none)
    assert torch.equal(full, more)
    assert full[0] > 3 * full[1]


def test_errors_are_carried_to_the_skin_beside_their_marker_and_no_further():
    skin = torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [40.0, 0, 0]], dtype=torch.float64)
    found = spread(torch.tensor([2.0, math.nan]), skin[[0, 2]], skin, reach=1.5)
    assert found[:2].tolist() == pytest.approx([2.0, 2.0])
    assert found[2] == 0
    assert not spread(torch.full((2,), math.nan), skin[[0, 2]], skin, 1.5).any()
