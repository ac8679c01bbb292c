"""The rig in torch: each kind of shape does what its formula says, and derivatives are those of finite differences."""

import math

import pytest
import torch

from sfumato.errors import RequestError, ShapeError
from sfumato.face.binding import bind, jacobian
from sfumato.face.rig import Hinge, NativeRig, rotation


@pytest.fixture
def rig(seeded):
    """Four controls on a bumpy sheet: an in-between, a combination, a jaw."""
    g = seeded(1)
    y, x = torch.meshgrid(torch.linspace(-5, 5, 9), torch.linspace(-4, 4, 9), indexing="ij")
    neutral = torch.stack([x, y, 0.1 * torch.randn(9, 9, generator=g)], -1).reshape(-1, 3).double()
    cell = torch.tensor([r * 9 + c for r in range(8) for c in range(8)])
    faces = torch.cat([torch.stack([cell, cell + 1, cell + 10], 1), torch.stack([cell, cell + 10, cell + 9], 1)])
    deltas = 0.5 * torch.randn(4, 81, 3, generator=g, dtype=torch.float64)
    half, both = (0.3 * torch.randn(81, 3, generator=g, dtype=torch.float64) for _ in range(2))
    open_, slide = torch.tensor([0.4, 0, 0]).double(), torch.tensor([0, 0, 0.2]).double()
    pivot, below = torch.tensor([0.0, 2.0, -6.0]).double(), (neutral[:, 1] < 0).double()
    jaw = Hinge(pivot, below, (("jawOpen", open_),), (("jawOpen", slide),))
    controls = ("jawOpen", "smile", "frown", "puff")
    return NativeRig(
        controls, neutral, faces, deltas, between=((1, 0.5, half),), combinations=(((1, 3), both),), jaw=jaw
    )


def values(**given):
    return torch.tensor([given.get(n, 0.0) for n in ("jawOpen", "smile", "frown", "puff")], dtype=torch.float64)


def test_at_rest_it_is_the_neutral_face(rig):
    assert torch.equal(rig.mesh(values()), rig.neutral)


def test_a_shape_is_added_in_proportion(rig):
    assert torch.allclose(rig.mesh(values(frown=0.3)), rig.neutral + 0.3 * rig.deltas[2])


def test_an_in_between_is_met_on_the_way_and_the_shape_at_the_end(rig):
    half = rig.between[0][2]
    assert torch.allclose(rig.mesh(values(smile=0.5)) - rig.neutral, half)
    assert torch.allclose(rig.mesh(values(smile=0.25)) - rig.neutral, half / 2)
    assert torch.allclose(rig.mesh(values(smile=0.75)) - rig.neutral, half / 2 + rig.deltas[1] / 2)
    assert torch.allclose(rig.mesh(values(smile=1.0)) - rig.neutral, rig.deltas[1])


def test_a_combination_is_added_by_the_product(rig):
    alone = rig.mesh(values(smile=0.5)) + rig.mesh(values(puff=0.4)) - rig.neutral
    assert torch.allclose(rig.mesh(values(smile=0.5, puff=0.4)), alone + 0.2 * rig.combinations[0][1])


def test_the_jaw_turns_what_hangs_on_it_about_its_pivot_and_nothing_else(rig):
    moved = rig.mesh(values(jawOpen=0.5))
    above = rig.jaw.weights == 0
    shaped = rig.neutral + 0.5 * rig.deltas[0]
    assert torch.allclose(moved[above], shaped[above])
    turn = rotation(torch.tensor([0.2, 0, 0]).double())
    expected = (shaped - rig.jaw.pivot) @ turn.T + rig.jaw.pivot + torch.tensor([0, 0, 0.1]).double()
    assert torch.allclose(moved[~above], expected[~above])


def test_a_few_vertices_are_those_of_the_whole_mesh_in_any_batch(rig, seeded):
    some = torch.tensor([3, 40, 77])
    w = torch.rand(2, 5, 4, generator=seeded(2), dtype=torch.float64)
    assert torch.allclose(rig.mesh(w, some), rig.mesh(w)[..., some, :])
    assert torch.allclose(rig.mesh(w)[1, 3], rig.mesh(w[1, 3]))


def test_the_jacobian_is_that_of_finite_differences(rig, seeded):
    points = rig.neutral[[10, 31, 52, 70]] + 0.05
    binding = bind(rig, points, ("a", "b", "c", "d"))
    w = 0.1 + 0.3 * torch.rand(4, generator=seeded(3), dtype=torch.float64)
    found = jacobian(rig, binding, w)
    step = 1e-6 * torch.eye(4, dtype=torch.float64)
    differences = (binding.at(rig, w + step) - binding.at(rig, w - step)).reshape(4, -1).T / 2e-6
    assert (found - differences).abs().max() <= 1e-4 * differences.abs().max()


def test_a_linear_rig_has_one_jacobian_everywhere(seeded):
    neutral = torch.randn(6, 3, generator=seeded(4), dtype=torch.float64)
    plain = NativeRig(
        ("a", "b"), neutral, torch.tensor([[0, 1, 2], [3, 4, 5]]), torch.randn(2, 6, 3, generator=seeded(5)).double()
    )
    binding = bind(plain, neutral[[0, 4]], ("p", "q"))
    w = torch.rand(3, 2, generator=seeded(6), dtype=torch.float64)
    every = jacobian(plain, binding, w)
    assert every.shape == (3, 6, 2)
    moved = (binding.at(plain, w) - binding.at(plain, torch.zeros(2).double())).reshape(3, 6)
    assert torch.allclose((every @ w[..., None])[..., 0], moved)


def test_a_point_is_bound_to_the_nearest_place_on_the_surface(rig):
    inside = rig.neutral[rig.faces[20]].mean(0)
    normal = torch.linalg.cross(*(rig.neutral[rig.faces[20]][1:] - rig.neutral[rig.faces[20]][0]))
    lifted = inside + 0.3 * normal / normal.norm()
    outside = torch.tensor([9.0, 0.0, 0.0]).double()
    binding = bind(rig, torch.stack([lifted, outside]), ("chin", "ear"))
    at = binding.at(rig, values())
    assert (at[0] - inside).norm() < 0.05
    assert at[1, 0] == pytest.approx(4.0)
    assert torch.allclose(binding.weights.sum(1), torch.ones(2).double())
    assert (binding.weights >= -1e-12).all()


def test_markers_without_a_place_are_named(rig):
    with pytest.raises(RequestError, match="the marker chin has no place"):
        bind(rig, torch.full((1, 3), math.nan), ("chin",))
    binding = bind(rig, rig.neutral[:2], ("a", "b"))
    with pytest.raises(RequestError, match="no place on the rig is known for the marker c"):
        binding.only(("a", "c"))
    assert binding.only(("b",)).names == ("b",)


def test_deltas_of_another_mesh_are_refused(rig):
    with pytest.raises(ShapeError):
        NativeRig(rig.controls, rig.neutral, rig.faces, rig.deltas[:, :5])


def test_a_turn_by_nothing_has_a_derivative():
    vector = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    rotation(vector)[2, 1].backward()
    assert torch.allclose(vector.grad, torch.tensor([1.0, 0, 0]).double())
