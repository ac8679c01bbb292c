"""HSIC: how much one set of samples tells of another, from kernels alone.

Gretton et al., "Measuring Statistical Dependence with Hilbert-Schmidt Norms", 2005, eq. (9); its normalised form, and
what is trained by it, Ma, Lewis and Kleijn, "The HSIC Bottleneck", 2020, arXiv 1908.01580, eq. (5) and (6).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sfumato.errors import RequestError

EPSILON = 1e-5
LEAST = 4  # samples of which a dependence can be told at all


def gaussian(samples: Tensor, sigma: float | Sequence[float] = 5.0) -> Tensor:
    """K(a, b) = exp(-|a - b|^2 / (2 sigma^2 d)) of samples (m, ...), d numbers each: (m, m), 0..1.

    Args:
        samples: Of any shape behind the first axis.
        sigma: In units of the root mean square over a sample's numbers; of several, the mean of their kernels.

    Raises:
        RequestError: fewer than four samples; a sigma that is not above 0.

    # Differs from the paper's eq. (8): divided by the dimension too, as its authors' code does, so that one sigma
    # serves layers of every width.
    """
    sigmas = [sigma] if isinstance(sigma, (int, float)) else list(sigma)
    if not sigmas or min(sigmas) <= 0:
        raise RequestError(f"a kernel of width {sigma}", "give a number above 0; 5 is usual")
    flat = _flat(samples)
    flat = flat - flat.mean(0)  # apart as they are, and small differences of large numbers are not lost
    squares = flat.square().sum(-1)
    apart = (squares[:, None] + squares[None] - 2 * flat @ flat.T).clamp(min=0) / flat.shape[1]
    return torch.stack([torch.exp(-apart / (2 * s * s)) for s in sigmas]).mean(0)


def linear(samples: Tensor) -> Tensor:
    """K(a, b) = a . b / d of samples (m, ...), d numbers each: (m, m)."""
    flat = _flat(samples)
    return flat @ flat.T / flat.shape[1]


def centred(kernel: Tensor) -> Tensor:
    """H K H with H = I - 1 1^T / m, of (..., m, m)."""
    rows = kernel.mean(-1, keepdim=True)
    return kernel - rows - rows.mT + rows.mean(-2, keepdim=True)


def hsic(x: Tensor, y: Tensor) -> Tensor:
    """tr(K_x H K_y H) / (m - 1)^2 of two kernels (m, m): a scalar, 0 where nothing is told. Biased."""
    return (centred(x) * centred(y)).sum() / (len(x) - 1) ** 2


def resolvent(kernel: Tensor, epsilon: float = EPSILON) -> Tensor:
    """R = K_c (K_c + epsilon m I)^-1 of a kernel (..., m, m), K_c = H K H, with gradients.

    By R = I - epsilon m (K_c + epsilon m I)^-1 and Cholesky: no quotient of two ill-conditioned matrices.
    """
    m = kernel.shape[-1]
    return torch.eye(m, dtype=kernel.dtype, device=kernel.device) - epsilon * m * _inverse(kernel, epsilon)


def nhsic(x: Tensor, y: Tensor, epsilon: float = EPSILON) -> Tensor:
    """tr(R_x R_y) of two kernels (m, m): a scalar with gradients, in float64 inside; see `resolvent`.

    0 where nothing is told; at most the lesser of both ranks, which for C classes is C - 1.
    """
    return (resolvent(x.double(), epsilon) * resolvent(y.double(), epsilon)).sum().to(x.dtype)


def dependence(
    x: Tensor, y: Tensor, sigma: float | Sequence[float] = 5.0, epsilon: float = EPSILON, most: int = 1000
) -> float:
    """How much samples (m, ...) tell of others (m, ...), by Gaussian kernels: 0 nothing, 1 all that the lesser of the
    two has to tell; nHSIC over the least of both with themselves.

    For looking at results: of solved controls and the day they were shot on, it should be near 0.

    Args:
        x, y: Numbers are standardised; those that never change are left out.
        sigma, epsilon: As in `gaussian` and `nhsic`.
        most: Samples that are looked at, evenly spread, because it costs their third power.

    Raises:
        RequestError: not as many of one as of the other; too few; a number that is none; nothing that changes.
    """
    if len(x) != len(y):
        raise RequestError(f"{len(x)} samples of one and {len(y)} of the other", "give them in pairs")
    chosen = torch.linspace(0, len(x) - 1, min(most, len(x))).round().long()
    one, other = (gaussian(_standardised(side[chosen]), sigma) for side in (x, y))
    own = min(float(nhsic(kernel, kernel, epsilon)) for kernel in (one, other))
    return float(nhsic(one, other, epsilon)) / max(own, 1e-12)


class _Traced(torch.autograd.Function):
    """tr(R(K) M) for kernels (n, m, m) and one M (m, m) that has no gradient: (n,); quicker than by `resolvent`."""

    @staticmethod
    def forward(ctx: Any, kernel: Tensor, aim: Tensor, epsilon: float) -> Tensor:
        inverse = _inverse(kernel, epsilon)
        ctx.save_for_backward(inverse, aim)
        ctx.ridge = epsilon * kernel.shape[-1]
        found: Tensor = aim.diagonal().sum() - ctx.ridge * (inverse * aim).sum((-2, -1))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        inverse, aim = ctx.saved_tensors
        whole = centred(ctx.ridge * inverse @ aim @ inverse)
        return whole * slope[:, None, None], None, None


def traced(kernels: Tensor, aim: Tensor, epsilon: float = EPSILON) -> Tensor:
    """tr(R(K) M) of each kernel (n, m, m), with gradients to the kernels; M (m, m) symmetric, without. In float64."""
    found: Tensor = _Traced.apply(kernels.double(), aim.double(), epsilon)  # type: ignore[no-untyped-call]
    return found.to(kernels.dtype)


def _inverse(kernel: Tensor, epsilon: float) -> Tensor:
    m = kernel.shape[-1]
    ridge = epsilon * m * torch.eye(m, dtype=kernel.dtype, device=kernel.device)
    factor, wrong = torch.linalg.cholesky_ex(centred(kernel) + ridge)
    if bool(wrong.any()):
        raise RequestError(
            "a kernel of samples is not a kernel: it holds numbers that are none, or is too large for its precision",
            "look for NaN or infinite values; scale inputs to 0..1; or give a larger epsilon",
        )
    return torch.cholesky_inverse(factor)


def _flat(samples: Tensor) -> Tensor:
    if len(samples) < LEAST:
        raise RequestError(f"a dependence of {len(samples)} samples", f"give at least {LEAST}; a batch of 256 is usual")
    return samples.reshape(len(samples), -1)


def _standardised(samples: Tensor) -> Tensor:
    flat = _flat(samples).double()
    if not bool(flat.isfinite().all()):
        raise RequestError("a dependence of numbers that are none", "look for NaN or infinite values")
    spread = flat.std(0)
    if not bool((spread > 0).any()):
        raise RequestError("a dependence on something that never changes", "give samples that differ")
    return ((flat - flat.mean(0)) / spread)[:, spread > 0]
