"""Virtual markers: points that ride on a rig's triangles, and how they move with its controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.face.rig import NativeRig, Rig


@dataclass(frozen=True)
class Binding:
    """Where markers sit.

    names: M names. corners: (M, 3) int64 vertex indices of the triangle under each marker.
    weights: (M, 3) float64 barycentric, each row's sum 1.
    """

    names: tuple[str, ...]
    corners: Tensor
    weights: Tensor

    @cached_property
    def _used(self) -> tuple[Tensor, Tensor]:
        used, inverse = torch.unique(self.corners, return_inverse=True)
        return used, inverse

    def at(self, rig: Rig, values: Tensor) -> Tensor:
        """Where the markers are at controls (..., K): (..., M, 3) centimetres; differentiable."""
        used, inverse = self._used
        mesh = rig.mesh(values, used)
        return (mesh[..., inverse, :] * self.weights[..., None]).sum(-2)

    def only(self, names: Sequence[str]) -> "Binding":
        """These markers, in this order.

        Raises:
            RequestError: one is not bound.
        """
        lost = [name for name in names if name not in self.names]
        if lost:
            raise RequestError(f"no place on the rig is known for the marker {lost[0]}", "bind it, or leave it out")
        rows = [self.names.index(name) for name in names]
        return Binding(tuple(names), self.corners[rows], self.weights[rows])


def bind(rig: Rig, points: Tensor, names: Sequence[str]) -> Binding:
    """Bind points (M, 3) on the neutral face to the nearest place on its surface.

    Raises:
        RequestError: a point is nowhere, or there are as many names as there are not points.
    """
    if len(names) != len(points) or not bool(points.isfinite().all()):
        bad = [name for name, point in zip(names, points, strict=False) if not bool(point.isfinite().all())]
        what = f"the marker {bad[0]} has no place" if bad else f"{len(points)} points for {len(names)} names"
        raise RequestError(what, "give every marker a place on the neutral face")
    found = [_nearest(rig, point.double()) for point in points]
    corners = torch.stack([corner for corner, _ in found])
    return Binding(tuple(names), corners, torch.stack([weight for _, weight in found]))


def jacobian(rig: Rig, binding: Binding, values: Tensor) -> Tensor:
    """d markers / d controls, (..., 3M, K), at controls (..., K)."""
    own = getattr(rig, "jacobian", None)
    if own is not None:  # a rig that another program evaluates knows no derivatives, only differences
        found_there: Tensor = own(binding, values)
        return found_there
    if isinstance(rig, NativeRig) and rig.linear:
        flat = _linear(rig, binding)
        return flat.expand(*values.shape[:-1], *flat.shape)

    if isinstance(rig, NativeRig):
        used, inverse = torch.unique(binding.corners, return_inverse=True)
        slopes = rig.slopes(values, used)[..., inverse, :]  # (..., K, M, 3 corners, 3)
        return (slopes * binding.weights[..., None]).sum(-2).flatten(-2).transpose(-1, -2)

    def markers(one: Tensor) -> Tensor:
        return binding.at(rig, one).reshape(-1)

    rows = values.reshape(-1, values.shape[-1]).double()
    found: Tensor = torch.func.vmap(torch.func.jacfwd(markers))(rows)
    return found.reshape(*values.shape[:-1], *found.shape[1:])


def _linear(rig: NativeRig, binding: Binding) -> Tensor:
    at_corners = rig.deltas[:, binding.corners]  # (K, M, 3 corners, 3)
    return (at_corners * binding.weights[..., None]).sum(2).reshape(len(rig.controls), -1).T


NEAREST = 24  # triangles looked at for each point: those with the nearest middles


def _nearest(rig: Rig, point: Tensor) -> tuple[Tensor, Tensor]:
    """Corners and barycentric weights of the nearest place on the surface."""
    triangles = rig.neutral[rig.faces]
    middles = (triangles.mean(1) - point).norm(dim=1)
    near = middles.topk(min(NEAREST, len(middles)), largest=False).indices
    weights = _closest(triangles[near], point)
    apart = ((triangles[near] * weights[..., None]).sum(1) - point).norm(dim=1)
    best = int(apart.argmin())
    return rig.faces[near[best]], weights[best]


def _closest(triangles: Tensor, point: Tensor) -> Tensor:
    """Barycentric weights (N, 3) of the place nearest to a point in each triangle (N, 3, 3).

    Inside where the foot of the perpendicular is; else the nearest place on an edge.
    """
    a, b, c = triangles.unbind(1)
    ab, ac, ap = b - a, c - a, point - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d20, d21 = (ap * ab).sum(1), (ap * ac).sum(1)
    area = (d00 * d11 - d01 * d01).clamp(min=1e-18)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    inside = torch.stack([1 - v - w, v, w], 1)
    candidates = [inside]
    for first, second in ((0, 1), (1, 2), (2, 0)):
        p, q = triangles[:, first], triangles[:, second]
        along = (((point - p) * (q - p)).sum(1) / ((q - p) ** 2).sum(1).clamp(min=1e-18)).clamp(0, 1)
        edge = torch.zeros_like(inside)
        edge[:, first], edge[:, second] = 1 - along, along
        candidates.append(edge)
    every = torch.stack(candidates, 1)
    places = torch.einsum("nek,nkc->nec", every, triangles)
    apart = (places - point).norm(dim=2)
    apart[:, 0] = torch.where((inside >= 0).all(1), apart[:, 0], torch.inf)
    return every[torch.arange(len(every)), apart.argmin(1)]
