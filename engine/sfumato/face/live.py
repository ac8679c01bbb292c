"""A trained solver frame by frame, with nothing but the frame itself: for a viewport or a stage."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv
from torch import Tensor

from sfumato.face.denoise import EDGE, NORMAL, OTHER, ROUNDS, Denoiser, Fit
from sfumato.face.networks import Net
from sfumato.face.solver_file import Part, SolverFile

Array = NDArray[np.float32]
Points = NDArray[np.float64]


class Live:
    """The networks with their principal directions folded into their first layers.

    Gives what `SolverFile.jaw` and `.regions` give with `ahead` at 0, to rounding.
    """

    def __init__(self, solver: SolverFile) -> None:
        self.controls = solver.controls
        first, second = solver.graph.edges.numpy().T
        self._first, self._second = first, second
        trained = solver.denoiser.rest.numpy()
        rest = trained[second] - trained[first]
        self._rest = rest.astype(np.float32)
        self._length = np.linalg.norm(rest, axis=1).astype(np.float32)
        self._lower, self._upper = solver.lower.numpy(), solver.upper.numpy()
        self._faces, self._trained, self._neutral = _Faces(solver.denoiser), trained, solver.graph.rest.numpy()
        self._jaw = _Part(solver.first, solver) if solver.first else None
        self._parts = [_Part(part, solver) for part in solver.parts]

    def __call__(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Markers (M, 3) cm, the head still, NaN where unseen, to controls (K,) float64."""
        features = self._features(positions)
        values = np.zeros(len(self.controls))
        given = np.zeros(0, dtype=np.float32)
        if self._jaw is not None:
            answer = self._jaw(features, given)
            rows = self._jaw.rows
            values[rows] = np.clip(answer, self._lower[rows], self._upper[rows])
            given = values[rows].astype(np.float32)
        for part in self._parts:
            rows = part.rows
            values[rows] = np.clip(part(features, given), self._lower[rows], self._upper[rows])
        return values

    def _features(self, positions: NDArray[np.float64]) -> Array:
        """(E, 4), as `graph_features` of the face that the markers show."""
        points = (self._trained + self._faces(positions - self._neutral)).astype(np.float32)
        vector = points[self._second] - points[self._first]
        length = np.sqrt(np.einsum("ei,ei->e", vector, vector))
        features = np.empty((len(vector), 4), dtype=np.float32)
        features[:, 0] = length / self._length - 1.0
        features[:, 1:] = (vector - self._rest) / self._length[:, None]
        return features


class _Faces:
    """A `Denoiser` for one frame at a time, every marker believed that is there."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.mean, self.noise = denoiser.mean.numpy(), denoiser.noise
        count = denoiser.faces.shape[-1]
        self.faces = np.ascontiguousarray(denoiser.faces.numpy().reshape(-1, count))
        self.usual, self.other_day = _Fit(denoiser.usual), _Fit(denoiser.other_day)

    def __call__(self, moved: Points) -> Points:
        """Displacements (M, 3), NaN where unseen, to those of the face."""
        there: NDArray[np.bool_] = np.asarray(np.isfinite(moved).all(axis=1))
        data = np.where(there[:, None], moved - self.mean, 0.0)
        z, left = self.usual(data, there)
        if there.any() and np.median(left[there]) ** 2 / NORMAL > (OTHER * self.noise) ** 2:
            z, _ = self.other_day(data, there)
        face: Points = self.mean + (self.faces @ z[: self.faces.shape[1]]).reshape(self.mean.shape)
        return face


class _Fit:
    def __init__(self, fit: Fit) -> None:
        self.noise, width = fit.noise, fit.sides.shape[-1]
        self.sides = np.ascontiguousarray(fit.sides.numpy() / fit.noise)
        self.flat = self.sides.reshape(-1, width)
        self.whole = self.flat.T @ self.flat + np.eye(width)

    def __call__(self, data: Points, there: NDArray[np.bool_]) -> tuple[Points, Points]:
        """As `Fit.fitted`: the normal matrix of all markers less what those lack that count less."""
        scaled, weight = data / self.noise, there.astype(np.float64)
        for _ in range(ROUNDS):
            less = np.flatnonzero(weight < 1)
            lacks = self.sides[less] * np.sqrt(1 - weight[less])[:, None, None]
            lacks = lacks.reshape(-1, self.whole.shape[0])
            pull = (weight[:, None] * scaled).reshape(-1) @ self.flat
            _, z, _ = dposv(self.whole - lacks.T @ lacks, pull)
            left = np.linalg.norm(scaled - (self.flat @ z).reshape(scaled.shape), axis=1)
            weight = there * np.minimum(EDGE / np.maximum(left, 1e-12), 1.0)
        return z, left * self.noise


class _Part:
    def __init__(self, part: Part, solver: SolverFile) -> None:
        self.rows = [solver.controls.index(name) for name in part.controls]
        self.edges = part.edges.numpy()
        self.first, self.given, self.bias = _folded(part.net, *part.net.layers[0])
        still = torch.zeros(len(self.rows))
        self.line, self.line_given, self.line_bias = _folded(part.net, part.net.straight, still)
        self.rest = [(weight.numpy(), bias.numpy()) for weight, bias in part.net.layers[1:]]

    def __call__(self, features: Array, given: Array) -> Array:
        entry = features[self.edges].reshape(-1)
        hidden: Array = self.first @ entry + self.bias
        line = self.line @ entry + self.line_bias
        if self.given.shape[1]:
            hidden = hidden + self.given @ given
            line = line + self.line_given @ given
        for weight, bias in self.rest:
            hidden = weight @ np.maximum(hidden, 0.1 * hidden) + bias
        answer: Array = hidden + line
        return answer


def _folded(net: Net, weight: Tensor, bias: Tensor) -> tuple[Array, Array, Array]:
    """A layer on the entry as it acts on features, on what is given, and its bias."""
    kept = net.basis.shape[1]
    folded = weight[:, :kept] @ (net.basis / net.scale).T
    return folded.contiguous().numpy(), weight[:, kept:].contiguous().numpy(), (bias - folded @ net.mean).numpy()
