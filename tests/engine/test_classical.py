"""The classical solve: what its matrices are, what it must leave alone, and that it agrees with PyMatting."""

import pytest
import torch
from torch import Tensor

from sfumato.matte.classical import ClassicalSettings, Guess, Problem, solve_classical
from sfumato.matte.color_line import matting_laplacian
from sfumato.matte.linear import conjugate_gradients, csr
from sfumato.matte.neighbours import blend_weights, nearest
from sfumato.report import silent

LOCAL_ONLY = ClassicalSettings(alike=0.0, known=0.0, rounds=1, tolerance=1e-6, limit=4000)


def scene(seed: int, height: int = 40, width: int = 48, frames: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """A soft disc of a textured colour over another: image (T, 3, H, W), trimap and true alpha (T, 1, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    alphas = []
    for t in range(frames):
        distance = ((x - width / 2 - t) ** 2 + (y - height / 2) ** 2).sqrt()
        alphas.append(torch.sigmoid((height / 4 - distance) / 1.5)[None])
    alpha = torch.stack(alphas)
    colours = torch.rand(2, 3, 1, 1, generator=generator)
    grain = 0.02 * torch.randn(frames, 3, height, width, generator=generator)
    image = alpha * colours[0] + (1 - alpha) * colours[1] + grain
    trimap = torch.where(alpha > 0.99, 1.0, torch.where(alpha < 0.01, 0.0, 0.5))
    return image, trimap, alpha


@pytest.mark.parametrize("seed", range(5))
def test_the_matting_laplacian_is_symmetric_and_blind_to_constants(seed: int) -> None:
    image, trimap, _ = scene(seed)
    everywhere = torch.ones_like(trimap[:, 0], dtype=torch.bool)
    rows, columns, values = matting_laplacian(image, everywhere, 1e-5)
    dense = csr(rows, columns, values, (trimap.numel(), trimap.numel())).to_dense()
    assert torch.allclose(dense, dense.T, atol=1e-5)
    assert dense.sum(1).abs().max() < 1e-4
    assert torch.linalg.eigvalsh(dense.double()).min() > -1e-4


@pytest.mark.parametrize("seed", range(3))
def test_the_matting_laplacian_is_pymattings(seed: int) -> None:
    pymatting = pytest.importorskip("pymatting", reason="PyMatting comes with the extra `bench`")
    image, trimap, _ = scene(seed)
    everywhere = torch.ones_like(trimap[:, 0], dtype=torch.bool)
    rows, columns, values = matting_laplacian(image, everywhere, 1e-4)
    ours = csr(rows, columns, values, (trimap.numel(), trimap.numel())).to_dense()
    theirs = pymatting.cf_laplacian(image[0].permute(1, 2, 0).double().numpy(), epsilon=1e-4).toarray()
    assert (ours - torch.from_numpy(theirs)).abs().max() < 1e-3


def test_local_terms_alone_are_closed_form_matting() -> None:
    pymatting = pytest.importorskip("pymatting", reason="PyMatting comes with the extra `bench`")
    image, trimap, _ = scene(1)
    ours = solve_classical(Problem(image, image, trimap, LOCAL_ONLY)).alpha[0, 0]
    theirs = pymatting.estimate_alpha_cf(
        image[0].permute(1, 2, 0).clamp(0, 1).double().numpy(), trimap[0, 0].double().numpy()
    )
    assert (ours - torch.from_numpy(theirs)).abs().mean() < 0.01


@pytest.mark.parametrize("seed", range(5))
def test_a_clear_edge_is_found(seed: int) -> None:
    image, trimap, alpha = scene(seed)
    solved = solve_classical(Problem(image, image, trimap, ClassicalSettings()))
    assert (solved.alpha - alpha)[trimap == 0.5].square().mean() < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_known_pixels_are_exactly_what_the_trimap_says(seed: int) -> None:
    image, trimap, _ = scene(seed)
    alpha = solve_classical(Problem(image, image, trimap, ClassicalSettings())).alpha
    assert torch.equal(alpha[trimap == 1], torch.ones_like(alpha[trimap == 1]))
    assert torch.equal(alpha[trimap == 0], torch.zeros_like(alpha[trimap == 0]))
    assert alpha.min() >= 0
    assert alpha.max() <= 1


def test_nothing_unknown_is_nothing_to_solve() -> None:
    image, _, _ = scene(0)
    trimap = torch.ones_like(image[:, :1])
    trimap[..., :10] = 0
    solved = solve_classical(Problem(image, image, trimap, ClassicalSettings()))
    assert torch.equal(solved.alpha, trimap)
    assert solved.iterations == 0


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_side_unknown_of_still_gives_a_finite_matte(value: float) -> None:
    image, trimap, _ = scene(2)
    trimap = torch.where(trimap == value, trimap, 0.5)
    assert torch.isfinite(solve_classical(Problem(image, image, trimap, ClassicalSettings())).alpha).all()


def test_flat_and_hdr_regions_do_not_break_the_solve() -> None:
    image, trimap, _ = scene(3)
    image[:, :, :, 30:] = 0.5
    image[:, :, 5:9, 5:40] = 40.0
    settings = ClassicalSettings()
    solved = solve_classical(Problem(image, image, trimap, settings))
    assert torch.isfinite(solved.alpha).all()
    assert solved.iterations <= settings.rounds * settings.limit


def test_a_firm_guess_is_followed_and_a_weightless_one_is_not() -> None:
    image, trimap, _ = scene(4)
    problem = Problem(image, image, trimap, ClassicalSettings())
    plain = solve_classical(problem).alpha
    unknown = trimap == 0.5
    firm = solve_classical(problem, guess=Guess(torch.full_like(trimap, 0.3), torch.full_like(trimap, 1e4))).alpha
    assert (firm[unknown] - 0.3).abs().max() < 0.05
    problem = Problem(image, image, trimap, ClassicalSettings())
    none = solve_classical(problem, guess=Guess(torch.full_like(trimap, 0.3), torch.zeros_like(trimap))).alpha
    assert torch.allclose(none, plain, atol=1e-5)


def test_a_frame_far_in_time_does_not_change_an_answer_without_motion() -> None:
    image, trimap, _ = scene(5, frames=3)
    settings = ClassicalSettings(rounds=1, tolerance=1e-6, limit=4000)
    alone = solve_classical(Problem(image[1:2], image[1:2], trimap[1:2], settings)).alpha[0]
    among = solve_classical(Problem(image, image, trimap, settings)).alpha[1]
    assert (alone - among).abs().max() < 5e-3


def test_links_along_the_motion_make_frames_agree() -> None:
    image, trimap, _ = scene(6, frames=2)
    still = image[:1].expand(2, -1, -1, -1)
    noisy = still + 0.03 * torch.randn(still.shape, generator=torch.Generator().manual_seed(1))
    same = trimap[:1].expand(2, -1, -1, -1).contiguous()
    none = [(torch.zeros(2, 40, 48), torch.zeros(2, 40, 48))]

    def difference(weight: float) -> float:
        settings = ClassicalSettings(motion=weight, motion_tolerance=0.5, tolerance=1e-5, limit=2000)
        alpha = solve_classical(Problem(noisy, noisy, same, settings, none)).alpha
        return float((alpha[0] - alpha[1]).abs().mean())

    assert difference(10.0) < 0.2 * difference(0.0)


def test_a_known_background_beats_guessing_it() -> None:
    image, trimap, alpha = scene(7)
    generator = torch.Generator().manual_seed(3)
    clean = torch.rand(1, 3, 40, 48, generator=generator)
    image = alpha * torch.tensor([0.9, 0.2, 0.1]).view(1, 3, 1, 1) + (1 - alpha) * clean
    blind = solve_classical(Problem(image, image, trimap, ClassicalSettings())).alpha
    known = solve_classical(Problem(image, image, trimap, ClassicalSettings(), clean=clean)).alpha
    band = trimap == 0.5
    assert (known - alpha)[band].square().mean() < 0.7 * (blind - alpha)[band].square().mean()


def test_a_pixel_that_is_just_the_clean_plate_is_transparent() -> None:
    generator = torch.Generator().manual_seed(8)
    clean = torch.rand(1, 3, 40, 48, generator=generator)
    alpha = torch.zeros(1, 1, 40, 48)
    alpha[..., :12] = 1.0
    alpha[..., 20:32:4] = 0.6  # thin leaves with the background between them
    image = alpha * torch.tensor([0.9, 0.2, 0.1]).view(1, 3, 1, 1) + (1 - alpha) * clean
    trimap = torch.full_like(alpha, 0.5)
    trimap[..., :12], trimap[..., 40:] = 1.0, 0.0
    bare = (alpha == 0) & (trimap == 0.5)
    with_it, without = (
        solve_classical(Problem(image, image, trimap, ClassicalSettings(bare=weight), clean=clean)).alpha
        for weight in (5.0, 0.0)
    )
    assert with_it[bare].mean() < 0.5 * without[bare].mean()
    assert (with_it - alpha).abs().mean() < (without - alpha).abs().mean()


@pytest.mark.parametrize("dimension", [3, 5])
def test_blend_weights_sum_to_one_and_rebuild_what_lies_between(dimension: int) -> None:
    generator = torch.Generator().manual_seed(0)
    neighbours = torch.rand(50, 9, dimension, generator=generator)
    inside = torch.rand(50, 9, 1, generator=generator)
    target = (neighbours * inside / inside.sum(1, keepdim=True)).sum(1)
    weights = blend_weights(target, neighbours, 1e-5)
    assert torch.allclose(weights.sum(1), torch.ones(50), atol=1e-4)
    assert ((weights[..., None] * neighbours).sum(1) - target).abs().max() < 1e-2


def test_the_nearest_points_are_those_of_an_exhaustive_search() -> None:
    generator = torch.Generator().manual_seed(0)
    points, queries = torch.rand(300, 5, generator=generator), torch.rand(40, 5, generator=generator)
    expected = torch.cdist(queries, points).topk(6, largest=False).indices
    assert torch.equal(nearest(points, queries, 6), expected)
    assert nearest(points[:3], queries, 6).shape == (40, 3)


def test_conjugate_gradients_solve_the_equations() -> None:
    image, trimap, _ = scene(8)
    problem = Problem(image, image, trimap, ClassicalSettings())
    system = problem.system()
    x, _ = conjugate_gradients(system, torch.zeros(problem.count), 1e-6, 3000)
    assert (system(x) - system.rhs).norm() < 1e-3 * system.rhs.norm()
    again, iterations = problem.solve(silent)
    assert torch.isfinite(again).all()
    assert iterations > 0
