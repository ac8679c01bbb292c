"""A trained solver frame by frame, with nothing but the frame itself: for a viewport or a stage."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfumato.face.networks import Net
from sfumato.face.solver_file import Part, SolverFile

Array = NDArray[np.float32]


class Live:
    """The networks with their principal directions folded into their first layers.

    Gives what `SolverFile.jaw` and `.regions` give with `ahead` at 0, to rounding.
    """

    def __init__(self, solver: SolverFile) -> None:
        self.controls = solver.controls
        first, second = solver.graph.edges.numpy().T
        self._first, self._second = first, second
        rest = solver.graph.rest.numpy()[second] - solver.graph.rest.numpy()[first]
        self._rest = rest.astype(np.float32)
        self._length = np.linalg.norm(rest, axis=1).astype(np.float32)
        self._lower, self._upper = solver.lower.numpy(), solver.upper.numpy()
        self._jaw = _Part(solver.first, solver) if solver.first else None
        self._parts = [_Part(part, solver) for part in solver.parts]

    def __call__(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Markers (M, 3) cm, the head still, NaN where unseen, to controls (K,) float64."""
        features = self._features(positions.astype(np.float32))
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

    def _features(self, positions: Array) -> Array:
        """(E, 4), as `graph_features`."""
        vector = positions[self._second] - positions[self._first]
        length = np.sqrt(np.einsum("ei,ei->e", vector, vector))
        features = np.empty((len(vector), 4), dtype=np.float32)
        features[:, 0] = length / self._length - 1.0
        features[:, 1:] = (vector - self._rest) / self._length[:, None]
        features[~np.isfinite(length)] = 0.0
        return features


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
