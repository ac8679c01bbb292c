"""A rig that only another program can evaluate: its mesh as it gives it, its slopes by finite differences in batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sfumato.errors import InputError
from sfumato.face.binding import Binding

STEP = 1e-3  # of a control's range; half a millionth of the mesh's size is lost to rounding at that step


@dataclass(frozen=True)
class OutsideRig:
    """A `Rig` behind a function.

    evaluate: (N, K) float64 controls to (N, V, 3) positions, centimetres, Y up; asked for up to `batch` poses at once,
        because a round trip to another program costs more than a pose. The other fields are those of `Rig`.
    """

    controls: tuple[str, ...]
    neutral: Tensor
    faces: Tensor
    lower: Tensor
    upper: Tensor
    evaluate: Callable[[Tensor], Tensor]
    regions: Mapping[str, Tensor] = field(default_factory=dict)
    markers: Binding | None = None
    batch: int = 64
    step: float = STEP

    def mesh(self, values: Tensor, vertices: Tensor | None = None) -> Tensor:
        """Controls (..., K) to positions (..., V or len(vertices), 3); not differentiable, see `jacobian`.

        Raises:
            InputError: the function gives something else than was asked for, or numbers that are not finite.
        """
        rows = values.detach().double().reshape(-1, len(self.controls))
        found = torch.cat([self._asked(part, vertices) for part in torch.split(rows, self.batch)])
        return found.reshape(*values.shape[:-1], *found.shape[1:])

    def _asked(self, rows: Tensor, vertices: Tensor | None) -> Tensor:
        mesh = self.evaluate(rows).double()
        wanted = (len(rows), *self.neutral.shape)
        if tuple(mesh.shape) != wanted:
            raise InputError(
                f"the rig gave positions of shape {tuple(mesh.shape)} for {wanted}", "check what evaluates it"
            )
        if not bool(mesh.isfinite().all()):
            bad = int((~mesh.isfinite()).flatten(1).any(1).nonzero()[0])
            active = [f"{n} {v:.2f}" for n, v in zip(self.controls, rows[bad].tolist(), strict=True) if v]
            raise InputError(
                f"the rig gave no finite mesh at {', '.join(active[:6]) or 'rest'}", "look at the rig there"
            )
        return mesh if vertices is None else mesh[:, vertices]

    def jacobian(self, binding: Binding, values: Tensor) -> Tensor:
        """d markers / d controls, (..., 3M, K), by central differences; one-sided within a step of a limit."""
        rows = values.detach().double().reshape(-1, len(self.controls))
        reach = self.step * (self.upper - self.lower)
        columns = []
        for k in range(len(self.controls)):
            over, under = rows.clone(), rows.clone()
            over[:, k] = (rows[:, k] + reach[k]).clamp(max=float(self.upper[k]))
            under[:, k] = (rows[:, k] - reach[k]).clamp(min=float(self.lower[k]))
            apart = (over[:, k] - under[:, k]).clamp(min=1e-12)
            both = binding.at(self, torch.cat([over, under]))
            columns.append((both[: len(rows)] - both[len(rows) :]).flatten(1) / apart[:, None])
        return torch.stack(columns, -1).reshape(*values.shape[:-1], -1, len(self.controls))
