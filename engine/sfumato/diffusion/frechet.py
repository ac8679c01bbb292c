"""The Frechet distance between two sets of pictures, each taken for a Gaussian in the space of some features."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Mean (D,) and covariance (D, D) of features, float64."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """Of features (N, D), any float dtype; N above D, or the distance says little."""
        found = features.to(torch.float64)
        return cls(found.mean(0), torch.cov(found.T))


def frechet(a: Moments, b: Moments) -> float:
    """|mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), in squared units of the features.

    Dowson and Landau, 1982; used on pictures by Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017,
    on the features of another network: numbers compare only where features, pictures and counts are the same.
    Few pictures raise it, by about tr(C) / N times a constant, for every method alike.
    """
    root = _root(a.covariance)
    crossed = _root(root @ b.covariance @ root)  # similar to (C_a C_b)^(1/2), and symmetric
    apart = (a.mean - b.mean).square().sum()
    return float(apart + a.covariance.trace() + b.covariance.trace() - 2 * crossed.trace())


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root
