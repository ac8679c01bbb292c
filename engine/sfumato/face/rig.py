"""A face rig: controls in, mesh out, differentiable. One interface, and the evaluator that runs in torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from sfumato.errors import ShapeError

if TYPE_CHECKING:
    from sfumato.face.binding import Binding


class Rig(Protocol):
    """What a solver asks of a rig.

    controls: K names. lower, upper: (K,) float64 limits; the neutral face has all controls at 0.
    neutral: (V, 3) float64 centimetres, Y up. faces: (T, 3) int64 triangles, counter-clockwise from outside.
    regions: Vertex indices by name, what is known: "brow", "eye", "nose", "cheek", "mouth", "jaw", "stable".
    markers: Where markers sit on it, if it says so.
    """

    @property
    def controls(self) -> tuple[str, ...]: ...
    @property
    def lower(self) -> Tensor: ...
    @property
    def upper(self) -> Tensor: ...
    @property
    def neutral(self) -> Tensor: ...
    @property
    def faces(self) -> Tensor: ...
    @property
    def regions(self) -> Mapping[str, Tensor]: ...
    @property
    def markers(self) -> "Binding | None": ...

    def mesh(self, values: Tensor, vertices: Tensor | None = None) -> Tensor:
        """Controls (..., K) to positions (..., V or len(vertices), 3), centimetres; differentiable."""
        ...


@dataclass(frozen=True)
class Hinge:
    """A jaw that turns and slides, by linear skinning: v' = v + s (R (v - pivot) + pivot + t - v).

    pivot: (3,) cm, on the axis through the joints. weights: (V,) float64 in 0..1, how much of a vertex is the jaw's.
    turns: (control, (3,) radians about x, y, z with the control at 1). slides: the same with (3,) cm.
    """

    pivot: Tensor
    weights: Tensor
    turns: tuple[tuple[str, Tensor], ...] = ()
    slides: tuple[tuple[str, Tensor], ...] = ()


@dataclass(frozen=True)
class NativeRig:
    """Blend shapes with in-betweens and combination correctives, then a jaw hinge, in torch.

        v = hinge(neutral + sum_k shape_k(w_k) + sum_c (product of the w of c) corrective_c)

    shape_k is w_k delta_k; with in-betweens, straight lines between 0, what they are at their values, and delta_k at 1.

    deltas: (K, V, 3) float64, what is added with a control at 1.
    between: (row of the control, value in 0..1, (V, 3) what is added there).
    combinations: (rows of two or more controls, (V, 3) what their product adds); a control below 0 counts as 0.
    The other fields are those of `Rig`.
    """

    controls: tuple[str, ...]
    neutral: Tensor
    faces: Tensor
    deltas: Tensor
    lower: Tensor = field(default_factory=lambda: torch.zeros(0))
    upper: Tensor = field(default_factory=lambda: torch.zeros(0))
    regions: Mapping[str, Tensor] = field(default_factory=dict)
    between: tuple[tuple[int, float, Tensor], ...] = ()
    combinations: tuple[tuple[tuple[int, ...], Tensor], ...] = ()
    jaw: Hinge | None = None
    markers: "Binding | None" = None

    def __post_init__(self) -> None:
        count = len(self.controls)
        if not len(self.lower) and not len(self.upper):
            object.__setattr__(self, "lower", torch.zeros(count, dtype=torch.float64))
            object.__setattr__(self, "upper", torch.ones(count, dtype=torch.float64))
        wanted = (count, *self.neutral.shape)
        if tuple(self.deltas.shape) != wanted:
            raise ShapeError(f"deltas: {wanted} wanted, {tuple(self.deltas.shape)} given")

    @property
    def linear(self) -> bool:
        """Whether the mesh is a linear function of the controls."""
        return not self.between and not self.combinations and self.jaw is None

    @cached_property
    def _every(self) -> tuple[Tensor, Tensor]:
        """Neutral and shapes with a row for each basis function, (B, V * 3)."""
        return self._shapes(torch.arange(len(self.neutral)))

    def _shapes(self, vertices: Tensor) -> tuple[Tensor, Tensor]:
        extra = [delta[vertices] for _, _, delta in self.between] + [d[vertices] for _, d in self.combinations]
        stacked = torch.cat([self.deltas[:, vertices], torch.stack(extra)]) if extra else self.deltas[:, vertices]
        return self.neutral[vertices], stacked.reshape(len(stacked), -1)

    def amounts(self, values: Tensor) -> Tensor:
        """(..., B): how much of every shape, in-between and combination there is."""
        columns = list(values.unbind(-1))
        extra = []
        for row in dict.fromkeys(row for row, _, _ in self.between):
            knots = sorted((value, i) for i, (which, value, _) in enumerate(self.between) if which == row)
            hats = _hats(values[..., row], [value for value, _ in knots])
            columns[row] = hats[-1]
            extra += list(zip((i for _, i in knots), hats[:-1], strict=True))
        ordered = [hat for _, hat in sorted(extra, key=lambda pair: pair[0])]
        for rows, _ in self.combinations:
            ordered.append(values[..., list(rows)].clamp(min=0.0).prod(-1))
        return torch.stack([*columns, *ordered], dim=-1)

    def mesh(self, values: Tensor, vertices: Tensor | None = None) -> Tensor:
        """Controls (..., K) to positions (..., V or len(vertices), 3), centimetres; differentiable."""
        neutral, shapes = self._every if vertices is None else self._shapes(vertices)
        moved = neutral + (self.amounts(values.double()) @ shapes).reshape(*values.shape[:-1], *neutral.shape)
        if self.jaw is None:
            return moved
        share = self.jaw.weights if vertices is None else self.jaw.weights[vertices]
        _, turn, slide = self.jaw_motion(values.double())
        from_pivot = moved - self.jaw.pivot
        turned = from_pivot @ turn.transpose(-1, -2) + slide[..., None, :]
        return moved + share[:, None] * (turned - from_pivot)

    def slopes(self, values: Tensor, vertices: Tensor) -> Tensor:
        """How the vertices move with each control: (..., K) -> (..., K, len(vertices), 3), in closed form."""
        values = values.double()
        neutral, shapes = self._shapes(vertices)
        count = (*values.shape[:-1], -1, *neutral.shape)
        moves = (self._basis_slopes(values) @ shapes).reshape(count)
        if self.jaw is None:
            return moves
        share = self.jaw.weights[vertices][:, None]
        angle, turn, _ = self.jaw_motion(values)
        placed = neutral + (self.amounts(values) @ shapes).reshape(*values.shape[:-1], *neutral.shape) - self.jaw.pivot
        turned = placed @ turn.transpose(-1, -2)
        found = moves + share * (moves @ turn.transpose(-1, -2)[..., None, :, :] - moves)
        for name, about in self.jaw.turns:  # d(R p) = (left Jacobian of the angle, times its change) x (R p)
            change = (left_jacobian(angle) @ about[:, None])[..., 0]
            found[..., self.controls.index(name), :, :] += share * torch.linalg.cross(change[..., None, :], turned)
        for name, along in self.jaw.slides:
            found[..., self.controls.index(name), :, :] += share * along
        return found

    def _basis_slopes(self, values: Tensor) -> Tensor:
        """(..., K, B): how much more of every shape there is with each control."""
        count, extra = len(self.controls), len(self.between) + len(self.combinations)
        found = torch.zeros(*values.shape[:-1], count, count + extra, dtype=torch.float64)
        found[..., range(count), range(count)] = 1.0
        for row in dict.fromkeys(row for row, _, _ in self.between):
            knots = sorted((value, i) for i, (which, value, _) in enumerate(self.between) if which == row)
            marks = [0.0, *(value for value, _ in knots), 1.0]
            columns = [*(count + i for _, i in knots), row]
            found[..., row, row] = 0.0
            for i, column in enumerate(columns):
                low, high = marks[i], marks[i + 1]
                rising = (values[..., row] >= low if i else values[..., row] == values[..., row]) & (
                    values[..., row] < high
                )
                rising |= (values[..., row] >= high) & (i == len(columns) - 1)
                found[..., row, column] += rising / (high - low)
                if i + 1 < len(columns):
                    falling = (values[..., row] >= high) & (values[..., row] < marks[i + 2])
                    found[..., row, column] -= falling / (marks[i + 2] - high)
        for i, (rows, _) in enumerate(self.combinations):
            column = count + len(self.between) + i
            for row in rows:
                others = [other for other in rows if other != row]
                product = values[..., others].clamp(min=0.0).prod(-1)
                found[..., row, column] = product * (values[..., row] >= 0)
        return found

    def jaw_motion(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The jaw's turn as a vector (..., 3) and a rotation (..., 3, 3), and its shift (..., 3)."""
        assert self.jaw is not None
        angle = torch.zeros(*values.shape[:-1], 3, dtype=torch.float64)
        slide = torch.zeros_like(angle)
        for name, about in self.jaw.turns:
            angle = angle + values[..., self.controls.index(name), None] * about
        for name, along in self.jaw.slides:
            slide = slide + values[..., self.controls.index(name), None] * along
        return angle, rotation(angle), slide


def rotation(vector: Tensor) -> Tensor:
    """The rotation (..., 3, 3) about a vector (..., 3) by its length in radians (Rodrigues); differentiable at 0."""
    cross, squared, angle = _crossed(vector)
    small = squared < 1e-8
    first = torch.where(small, 1 - squared / 6, torch.sin(angle) / angle)
    second = torch.where(small, 0.5 - squared / 24, (1 - torch.cos(angle)) / angle.square())
    return torch.eye(3, dtype=vector.dtype) + first * cross + second * (cross @ cross)


def left_jacobian(vector: Tensor) -> Tensor:
    """J (..., 3, 3) with d rotation(v) p = (J dv) x (rotation(v) p)."""
    cross, squared, angle = _crossed(vector)
    small = squared < 1e-8
    first = torch.where(small, 0.5 - squared / 24, (1 - torch.cos(angle)) / angle.square())
    second = torch.where(small, 1 / 6 - squared / 120, (angle - torch.sin(angle)) / angle**3)
    return torch.eye(3, dtype=vector.dtype) + first * cross + second * (cross @ cross)


def _crossed(vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The matrix of v x, its angle squared, and the angle (1 where it is nearly 0)."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vector.shape[:-1], 3, 3)
    squared = vector.square().sum(-1)[..., None, None]
    angle = torch.where(squared < 1e-8, torch.ones_like(squared), squared).sqrt()
    return cross, squared, angle


def _hats(value: Tensor, knots: list[float]) -> list[Tensor]:
    """Piecewise linear functions that are 1 at one of (*knots, 1) and 0 at the others and at 0; the last goes on."""
    marks = [0.0, *knots, 1.0]
    found = []
    for i in range(1, len(marks)):
        up = (value - marks[i - 1]) / (marks[i] - marks[i - 1])
        if i == 1 and len(marks) > 2:
            rise = torch.minimum(up, (marks[2] - value) / (marks[2] - marks[1]))
            found.append(torch.where(value < marks[1], up, rise.clamp(min=0.0)))
        elif i < len(marks) - 1:
            down = (marks[i + 1] - value) / (marks[i + 1] - marks[i])
            found.append(torch.minimum(up, down).clamp(min=0.0))
        else:
            found.append(up.clamp(min=0.0))
    return found
