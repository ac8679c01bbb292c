"""A distribution whose every denoiser is known in closed form: the yardstick for solvers."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.diffusion.protocols import Context, Prediction, Predictor
from sfumato.diffusion.schedule import Node


@dataclass(frozen=True)
class Mixture:
    """Gaussians with diagonal covariance, all of equal weight, and the exact answer of a network trained on them.

    means, stds: (K, D), any float dtype: the dtype the answer is computed in.
    prediction: What it answers, as a Predictor.
    rounded: The dtype the answer is given in, as a network in half precision gives it; None leaves it.
    """

    means: Tensor
    stds: Tensor
    prediction: Prediction = "eps"
    rounded: torch.dtype | None = None

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        """E[target | z] for a latent (B, D), in the dtype of the latent or `rounded`."""
        return self.answer(latent, node)

    def answer(self, latent: Tensor, node: Node, logs: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """The same of other mixtures: weights that are not all equal, components that lie elsewhere.

        logs: (B, K), of the components' weights, which need not sum to 1.
        shift: (B, D), by which all means are moved.
        """
        z = latent.to(self.rounded or latent.dtype).to(self.means.dtype)
        means = self.means if shift is None else self.means + shift.to(self.means.dtype)[:, None]
        share, rest, variance = self._components(z, node, means, logs)
        kept = node.alpha * self.stds**2 / variance
        clean = torch.einsum("bk,bkd->bd", share, means + kept * rest)  # E[x0 | z]
        noise = torch.einsum("bk,bkd->bd", share, node.sigma / variance * rest)  # E[eps | z], no division by sigma
        out = {
            "x0": lambda: clean,
            "eps": lambda: noise,
            "v": lambda: node.alpha * noise - node.sigma * clean,
            "flow": lambda: noise - clean,
        }[self.prediction]()
        return out.to(self.rounded or latent.dtype)

    def sample(self, count: int, node: Node, generator: torch.Generator) -> Tensor:
        """Latents (count, D) drawn from the marginal at a level."""
        which = torch.randint(len(self.means), (count,), generator=generator)
        shape = (count, self.means.shape[1])
        x0, eps = (torch.randn(shape, generator=generator, dtype=self.means.dtype) for _ in range(2))
        return node.alpha * (self.means[which] + self.stds[which] * x0) + node.sigma * eps

    def shares(self, latent: Tensor, node: Node) -> Tensor:
        """How likely each component is to be where a latent (B, D) came from, (B, K)."""
        return self._components(latent.to(self.means.dtype), node, self.means, None)[0]

    def _components(self, z: Tensor, node: Node, means: Tensor, logs: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Responsibilities (B, K), z - alpha mean (B, K, D), variances (K, D)."""
        variance = (node.alpha * self.stds) ** 2 + node.sigma**2
        rest = z[:, None] - node.alpha * means
        log = -0.5 * (rest**2 / variance).sum(2) - 0.5 * variance.log().sum(1)
        return torch.softmax(log if logs is None else log + logs.to(log.dtype), 1), rest, variance


@dataclass(frozen=True)
class Prompted:
    """A mixture as a Denoiser: a context is one word, which says how likely each component is, and where they lie.

    Its tokens (B, 1, K + D) are logs of the components' weights and a shift of their means; zeros, the empty prompt,
    are the whole mixture. As many numbers as a latent has and more, as a network's contexts have.
    """

    mixture: Mixture

    @property
    def prediction(self) -> Prediction:
        return self.mixture.prediction

    def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        """E[target | z, prompt] for a latent (B, D). Gradients reach the context."""
        word, count = context.tokens[:, 0], len(self.mixture.means)
        return self.mixture.answer(latent, node, word[:, :count], word[:, count:])


def stiff_mixture(
    size: int, generator: torch.Generator, components: int = 8, dtype: torch.dtype = torch.float64, **more: Any
) -> Mixture:
    """Components with standard deviations log-uniform in .03 .. .5 for each dimension: hard, as pictures are."""
    means = 0.7 * torch.randn(components, size, generator=generator, dtype=torch.float64)
    drawn = torch.rand(components, size, generator=generator, dtype=torch.float64)
    stds = 0.03 * (0.5 / 0.03) ** drawn
    return Mixture(means.to(dtype), stds.to(dtype), **more)


def reference(mixture: Mixture, z: Tensor, start: Node, end: Node, steps: int = 400) -> Tensor:
    """Where the exact probability flow takes z from one level to another; see `exact_flow`."""
    return exact_flow(Mixture(mixture.means.double(), mixture.stds.double(), "eps"), z, start, end, steps)


def exact_flow(predictor: Predictor, z: Tensor, start: Node, end: Node, steps: int = 400) -> Tensor:
    """Where the flow of a network that answers eps takes z: RK4 in log(sigma / alpha), float64, four calls a step.

    d zbar = eps d ratio, with zbar = z / alpha. Both levels need signal and noise.
    """
    log, span = math.log(start.ratio), math.log(end.ratio) - math.log(start.ratio)
    h, zbar = span / steps, z.double() / start.alpha

    def slope(x: Tensor, at: float) -> Tensor:
        ratio = math.exp(at)
        alpha = 1 / math.sqrt(1 + ratio * ratio)
        return ratio * predictor(x * alpha, Node(0.0, alpha, ratio * alpha))

    for i in range(steps):
        t = log + i * h
        k1 = slope(zbar, t)
        k2 = slope(zbar + h / 2 * k1, t + h / 2)
        k3 = slope(zbar + h / 2 * k2, t + h / 2)
        k4 = slope(zbar + h * k3, t + h)
        zbar = zbar + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return zbar * end.alpha
