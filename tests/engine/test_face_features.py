"""Graph features, which tell how far apart markers are against the neutral; and the faces that stand before them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import RequestError
from sfumato.face.denoise import arms, fields, known_faces, steadied
from sfumato.face.features import believed, build_graph, graph_features, semantic_pairs
from sfumato.face.markers import Markers
from sfumato.face.rig import rotation

NOISE = 0.04


def neutral(count=40, seed=0):
    """Points spread over a bowl the size of a face, cm."""
    draw = torch.Generator().manual_seed(seed)
    place = torch.cartesian_prod(torch.linspace(-6, 6, 5), torch.linspace(-8, 8, count // 5)).double()
    place = place + 0.4 * torch.randn(len(place), 2, generator=draw, dtype=torch.float64)
    return torch.cat([place, 8 - place.square().sum(1, keepdim=True) / 25], 1)


def moves(rest):
    """(4, M, 3): what four controls do."""
    centre = torch.tensor([[0, -6], [3, -2], [-3, -2], [0, 6]]).double()
    near = (-(rest[None, :, :2] - centre[:, None]).square().sum(-1) / 8).exp()
    way = torch.tensor([[0, -2, 0.5], [0.8, 1, 0], [-0.8, 1, 0], [0, 1, 0.2]]).double()
    return near[..., None] * way[:, None]


def faces(count, seed=1):
    draw = torch.Generator().manual_seed(seed)
    values = torch.rand(count, 4, generator=draw, dtype=torch.float64)
    return torch.einsum("fk,kmc->fmc", values, moves(neutral()))


def normal(*shape, seed=2):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def off(found, truth):
    return float((found - truth).square().mean().sqrt())


@pytest.fixture(scope="module")
def denoiser():
    return known_faces(neutral(), faces(400), torch.ones(400), NOISE)


@given(st.tuples(*[st.floats(-1.5, 1.5)] * 3), st.tuples(*[st.floats(-20, 20)] * 3))
@settings(max_examples=25, deadline=None)
def test_lengths_know_nothing_of_the_head_and_vectors_nothing_of_where_it_is(turn, shift):
    graph = build_graph(neutral())
    points = neutral() + faces(3)
    turned = points @ rotation(torch.tensor(turn, dtype=torch.float64)[None])[0].T
    there, _ = graph_features(graph, points)
    moved, _ = graph_features(graph, points + torch.tensor(shift, dtype=torch.float64))
    assert torch.allclose(moved, there, atol=1e-9)
    rotated, _ = graph_features(graph, turned)
    assert torch.allclose(rotated[..., 0], there[..., 0], atol=1e-9)


def test_the_neutral_has_no_features_and_twice_the_distance_is_one():
    graph = build_graph(neutral())
    values, valid = graph_features(graph, neutral()[None])
    assert values.abs().max() < 1e-12
    assert bool(valid.all())
    larger, _ = graph_features(graph, 2 * neutral()[None])
    assert torch.allclose(larger[..., 0], torch.ones_like(larger[..., 0]))


@given(st.sets(st.integers(0, 39), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None)
def test_edges_of_a_marker_that_is_not_there_are_masked_and_no_others_change(lost):
    graph = build_graph(neutral())
    points = neutral() + faces(2)
    gone = points.clone()
    gone[:, list(lost)] = torch.nan
    values, valid = graph_features(graph, gone)
    touched = torch.tensor([bool({a, b} & lost) for a, b in graph.edges.tolist()])
    assert torch.equal(valid, (~touched).expand(2, -1))
    assert torch.equal(values[:, touched], torch.zeros_like(values[:, touched]))
    assert torch.equal(values[:, ~touched], graph_features(graph, points)[0][:, ~touched])
    seen = torch.ones(2, 40, dtype=torch.bool)
    seen[:, list(lost)] = False
    assert torch.equal(graph_features(graph, points, seen)[0], values)


def test_every_marker_is_joined_to_its_nearest_and_a_pair_once():
    graph = build_graph(neutral(), nearest=3, pairs=((39, 0), (0, 39), (5, 5)))
    rows = [tuple(row) for row in graph.edges.tolist()]
    assert rows == sorted(set(rows))
    assert (0, 39) in rows
    assert (5, 5) not in rows
    apart = torch.cdist(neutral(), neutral()).fill_diagonal_(torch.inf)
    for marker, nearest in enumerate(apart.argmin(1).tolist()):
        assert (min(marker, nearest), max(marker, nearest)) in rows


def test_what_makes_no_graph_is_named():
    with pytest.raises(RequestError, match="two markers or more"):
        build_graph(neutral()[:1])
    with pytest.raises(RequestError, match="markers 3 and 7 lie on the same point"):
        build_graph(torch.cat([neutral()[:7], neutral()[3:4]]))
    with pytest.raises(RequestError, match="no place on the neutral"):
        build_graph(torch.full((3, 3), math.nan, dtype=torch.float64))


def test_pairs_that_mean_something_are_found_from_what_the_controls_move():
    rest = neutral()
    names = ("jawOpen", "mouthSmile_L", "mouthSmile_R", "browInnerUp")
    pairs = semantic_pairs(rest, dict(zip(names, moves(rest), strict=True)))
    sizes = dict(zip(names, moves(rest).norm(dim=-1), strict=True))
    corners = sorted(int(sizes[name].argmax()) for name in names[1:3])
    assert tuple(corners) in pairs
    assert all(a < b for a, b in pairs)
    assert semantic_pairs(rest, {"earWiggle": moves(rest)[0]}) == ()


def test_markers_come_in_the_order_that_is_asked_for_and_too_few_are_named():
    take = Markers(("a", "b", "c", "d"), normal(3, 4, 3), 30.0)
    sure = torch.tensor([[1.0, 0.01, 0.5, 1.0]]).expand(3, 4)
    positions, weight = believed(take, sure, ("d", "x", "b", "c"))
    assert torch.equal(positions[:, 0], take.positions[:, 3])
    assert positions[:, 1].isnan().all()
    assert weight[0].tolist() == [1.0, 0.0, 0.0, 0.5]
    with pytest.raises(RequestError, match="trained on 5 markers, and 3 of them are not in the take: v, w, x"):
        believed(take, sure, ("v", "w", "x", "a", "b"))


def test_noise_and_losses_are_taken_off_a_face_that_is_known(denoiser):
    truth = faces(60, seed=5)
    seen = truth + NOISE * normal(60, 40, 3)
    seen[:, ::4] = torch.nan
    seen[3, 1] += 2.0  # wild
    found = denoiser(seen, torch.ones(60, 40))
    assert found.isfinite().all()
    assert off(found, truth) < 0.5 * NOISE


def test_the_heads_small_motion_is_no_expression(denoiser):
    truth = faces(60, seed=5)
    head = torch.einsum("fn,mcn->fmc", normal(60, 6), arms(neutral()))
    found = denoiser(truth + head, torch.ones(60, 40))
    assert off(found, truth) < 0.2 * off(truth + head, truth)


def test_another_day_is_noticed_in_each_frame_and_its_smooth_field_taken_off(denoiser):
    truth = faces(20, seed=5)
    day = torch.einsum("mcn,n->mc", fields(neutral()), normal(fields(neutral()).shape[-1])) + 0.06 * normal(40, 3)
    both = torch.cat([truth, truth + day])
    found = denoiser(both, torch.ones(40, 40))
    assert off(found[:20], truth) < 0.01
    assert off(found[20:], truth) < 0.6 * off(truth + day, truth)
    assert torch.allclose(found[:20], denoiser(truth, torch.ones(20, 40)), atol=1e-12)


def test_nothing_seen_is_the_mean_face(denoiser):
    nothing = torch.full((2, 40, 3), torch.nan, dtype=torch.float64)
    found = denoiser(nothing, torch.ones(2, 40))
    assert torch.allclose(found, denoiser.mean.expand(2, 40, 3))


def test_a_mean_over_time_keeps_parabolas_and_calms_noise():
    time = torch.arange(80, dtype=torch.float64)
    curve = (0.02 * (time - 40) ** 2)[:, None, None].expand(80, 2, 3)
    assert (steadied(curve, 1.5) - curve)[12:-12].abs().max() < 1e-3
    noise = normal(80, 2, 3)
    assert steadied(noise, 1.5).std() < 0.7 * noise.std()
    assert torch.equal(steadied(noise, 0.0), noise)
