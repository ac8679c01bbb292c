"""DDIM increments: the same for every way a network answers, exact where the path is straight, Heun of second order."""

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.ddim import ddim_invert, ddim_sample, heun_increment, increment, started, weights
from sfumato.diffusion.mixture import Mixture, reference, stiff_mixture
from sfumato.diffusion.protocols import Prediction
from sfumato.diffusion.schedule import Node, edm_grid, flow_grid, log_grid, scaled_linear, spaced_grid
from sfumato.errors import RequestError

TABLE = scaled_linear()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def answers(z: Tensor, x0: Tensor, node: Node) -> dict[Prediction, Tensor]:
    """What networks of each kind say when the clean latent is x0."""
    eps = (z - node.alpha * x0) / node.sigma
    return {"eps": eps, "x0": x0, "v": node.alpha * eps - node.sigma * x0, "flow": eps - x0}


@pytest.mark.parametrize("seed", range(5))
def test_every_prediction_takes_the_same_step(seed: int) -> None:
    z, x0 = torch.randn(2, 4, 6, generator=seeded(seed), dtype=torch.float64)
    for kind, here, there in (
        ("vp", TABLE.at(400), TABLE.at(380)),
        ("vp", TABLE.at(0), TABLE.at(999)),
        ("flow", Node(0.6, 0.4, 0.6), Node(0.5, 0.5, 0.5)),
        ("ve", Node(3, 1, 3), Node(2, 1, 2)),
    ):
        out = answers(z, x0, here)
        wanted = there.alpha * x0 + there.sigma * out["eps"] - z
        for prediction in {"vp": ("eps", "x0", "v"), "flow": ("eps", "x0", "flow"), "ve": ("eps", "x0")}[kind]:
            got = increment(z, out[prediction], prediction, here, there)  # type: ignore[index, arg-type]
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


def test_on_a_flow_the_step_is_eulers_even_where_there_is_no_signal() -> None:
    here, there = Node(1.0, 0.0, 1.0), Node(0.9, 0.1, 0.9)
    p, q = weights("flow", here, there)
    assert (p, q) == pytest.approx((0, -0.1), abs=1e-15)


@pytest.mark.parametrize(("prediction", "node"), [("eps", Node(1, 0, 1)), ("x0", Node(0, 1, 0))])
def test_an_answer_without_meaning_is_refused(prediction: Prediction, node: Node) -> None:
    with pytest.raises(RequestError, match="has no meaning"):
        weights(prediction, node, Node(0.5, 0.5, 0.5))


@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
def test_one_point_is_sampled_and_inverted_exactly(prediction: Prediction) -> None:
    """All data at one point: eps is constant along the flow, so first order is already exact."""
    point = Mixture(torch.tensor([[0.3, -0.7, 1.1]]).double(), torch.full((1, 3), 1e-9).double(), prediction)
    grid = spaced_grid(TABLE, 10)
    eps = torch.randn(4, 3, generator=seeded(), dtype=torch.float64)
    clean, noise = (n.alpha * point.means + n.sigma * eps for n in (grid.nodes[0], grid.nodes[-1]))
    torch.testing.assert_close(ddim_sample(point, grid, noise), clean, rtol=0, atol=1e-9)
    torch.testing.assert_close(ddim_invert(point, grid, clean), noise, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["vp", "ve", "flow"])
def test_heuns_step_is_of_second_order_on_every_schedule(kind: str) -> None:
    """Halving the step leaves an eighth of one step's error; DDIM's leaves a quarter."""
    mixture = stiff_mixture(6, seeded(), prediction="flow" if kind == "flow" else "eps")
    start = {"vp": TABLE.where(0.6), "ve": Node(0.6, 1, 0.6), "flow": Node(0.375, 0.625, 0.375)}[kind]
    z = mixture.sample(4, start, seeded(1))

    def error(share: float, heun: bool) -> float:
        ratio = 0.6 * (1 - share)
        end = {"vp": TABLE.where(ratio), "ve": Node(ratio, 1, ratio)}.get(kind)
        end = end or Node(ratio / (1 + ratio), 1 / (1 + ratio), ratio / (1 + ratio))
        truth = reference(mixture, z, start, end, 40)
        out = mixture(z, start)
        step = (
            heun_increment(z, out, mixture, start, end) if heun else increment(z, out, mixture.prediction, start, end)
        )
        return float((z + step - truth).norm())

    assert error(0.02, heun=True) / error(0.01, heun=True) == pytest.approx(8, rel=0.15)
    assert error(0.02, heun=False) / error(0.01, heun=False) == pytest.approx(4, rel=0.15)


def test_a_fixed_point_inverts_better_and_costs_a_call_a_round() -> None:
    mixture, grid = stiff_mixture(8, seeded()), log_grid(TABLE, 50)
    z = mixture.sample(4, grid.nodes[0], seeded(1))
    trips = [float((ddim_sample(mixture, grid, ddim_invert(mixture, grid, z, n)) - z).abs().max()) for n in (0, 5)]
    assert trips[1] < 0.05 * trips[0]


def test_the_improved_start_is_nearer_to_the_exact_flow() -> None:
    mixture, grid = stiff_mixture(8, seeded()), spaced_grid(TABLE, 50)
    here, there = grid.nodes[:2]
    z = mixture.sample(8, here, seeded(1))
    truth = reference(mixture, z, here, there, 100)
    plain, better = (float((started(mixture, z, here, there, m) - truth).norm()) for m in (None, grid.low))
    assert better < 0.3 * plain


def test_the_mixture_answers_for_each_prediction_what_the_others_imply() -> None:
    eps = stiff_mixture(6, seeded())
    for node in (TABLE.at(10), TABLE.at(900)):
        z = eps.sample(5, node, seeded(1))
        clean = Mixture(eps.means, eps.stds, "x0")(z, node)
        torch.testing.assert_close(node.alpha * clean + node.sigma * eps(z, node), z, rtol=0, atol=1e-10)


def test_the_mixtures_answer_is_its_score() -> None:
    """eps = -sigma grad log p, by automatic differentiation of the density."""
    mixture, node = stiff_mixture(5, seeded()), TABLE.at(300)
    z = mixture.sample(6, node, seeded(1)).requires_grad_()
    variance = (node.alpha * mixture.stds) ** 2 + node.sigma**2
    log = (-0.5 * (z[:, None] - node.alpha * mixture.means) ** 2 / variance - 0.5 * variance.log()).sum(2).logsumexp(1)
    (score,) = torch.autograd.grad(log.sum(), z)
    torch.testing.assert_close(mixture(z.detach(), node), -node.sigma * score, rtol=0, atol=1e-9)


def test_the_reference_flow_returns_to_where_it_began() -> None:
    mixture, grid = stiff_mixture(6, seeded()), edm_grid(4, 0.03, 20.0)
    z = mixture.sample(4, grid.nodes[0], seeded(1))
    there = reference(mixture, z, grid.nodes[0], grid.nodes[-1])
    torch.testing.assert_close(reference(mixture, there, grid.nodes[-1], grid.nodes[0]), z, rtol=0, atol=1e-8)


def test_a_flow_sampler_reaches_both_ends() -> None:
    mixture, grid = stiff_mixture(6, seeded(), prediction="flow"), flow_grid(100)
    found = ddim_sample(mixture, grid, torch.randn(8, 6, generator=seeded(1), dtype=torch.float64))
    assert torch.isfinite(found).all()
    nearest = (found[:, None] - mixture.means).abs().div(mixture.stds).amax(2).amin(1)
    assert (nearest < 6).all()
