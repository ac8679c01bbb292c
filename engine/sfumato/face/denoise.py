"""What a frame's markers show of the face: noise, drift, losses, wild samples and another day taken off.

    x_m = r_m + mean_m + faces_m z + arm_m h + day_m d + noise,    z, h, d ~ N(0, I)

z are coordinates among the faces that a solver was trained on, h a small turn and shift of the head, and d a smooth
field over the face: where skin and markers lie on a day that is not the rig's. d is looked for only in a frame whose
markers a face and the head alone do not explain. The most likely z, residuals counting by Huber's rule, gives every
marker a place, seen or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

TURN, SHIFT = 0.015, 0.1  # radians and centimetres of drift, one standard deviation an axis
FIELD, REACH, MODES = 0.2, 4.0, 14  # of a day: centimetres an axis, centimetres over which it is alike, fields an axis
OTHER, PLACED = 1.25, 0.07  # times the noise beyond which a frame is of another day; centimetres, its noise
ROUNDS, EDGE = 3, 3.0  # of reweighting; times the noise beyond which a residual counts linearly
MOST, LEAST = 80, 0.3  # directions of faces; times the noise that one moves all markers together, at least
NORMAL = 2.366  # the median of the squared length of three normal numbers
CHUNK = 256


@dataclass(frozen=True)
class Denoiser:
    """The faces that are known, as marker displacements in cm.

    rest: (M, 3) float64, where markers lie on the neutral. mean: (M, 3) of the faces' displacements.
    faces: (M, 3, P), directions as long as one standard deviation. noise: Of a marker, an axis.
    """

    rest: Tensor
    mean: Tensor
    faces: Tensor
    noise: float

    def __call__(self, moved: Tensor, sure: Tensor) -> Tensor:
        """Displacements from rest (F, M, 3), NaN where unseen, each believed `sure` (F, M) 0..1, to those of faces."""
        parts = zip(torch.split(moved, CHUNK), torch.split(sure, CHUNK), strict=True)
        found = [self._some(one.double(), w.double()) for one, w in parts]
        return torch.cat(found) if found else moved

    def _some(self, moved: Tensor, sure: Tensor) -> Tensor:
        sure = sure * moved.isfinite().all(-1)
        data = (moved - self.mean).nan_to_num(0.0)
        count = self.faces.shape[-1]
        z, left = self.usual.fitted(data, sure)
        off = torch.where(sure > 0, left, torch.nan).square().nanmedian(1).values.nan_to_num(0.0) / NORMAL
        other = off.sqrt() > OTHER * self.noise
        if bool(other.any()):
            z[other, :count] = self.other_day.fitted(data[other], sure[other])[0][:, :count]
        return self.mean + torch.einsum("fp,mcp->fmc", z[:, :count], self.faces)

    def tensors(self) -> dict[str, Tensor]:
        """For a safetensors file."""
        noise = torch.tensor([self.noise], dtype=torch.float64)
        return {
            "faces.rest": self.rest.clone(),
            "faces.mean": self.mean,
            "faces.directions": self.faces,
            "faces.noise": noise,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Denoiser:
        """The other way.

        Raises:
            KeyError: one is missing.
        """
        rest, mean, faces, noise = (tensors[f"faces.{name}"] for name in ("rest", "mean", "directions", "noise"))
        return cls(rest, mean, faces, float(noise))

    @cached_property
    def usual(self) -> Fit:
        """On the day it knows."""
        return Fit.of(torch.cat([self.faces, arms(self.rest)], -1), self.noise)

    @cached_property
    def other_day(self) -> Fit:
        """On another."""
        sides = torch.cat([self.faces, arms(self.rest), fields(self.rest)], -1)
        return Fit.of(sides, max(PLACED, self.noise))


@dataclass(frozen=True)
class Fit:
    """Robust ridge regression of markers on `sides` (M, 3, N); gram: (M, N * N), each marker's share of the normal
    matrix over noise^2."""

    sides: Tensor
    gram: Tensor
    noise: float

    @staticmethod
    def of(sides: Tensor, noise: float) -> Fit:
        """With its gram."""
        gram = torch.einsum("mca,mcb->mab", sides, sides).flatten(1) / noise**2
        return Fit(sides, gram.contiguous(), noise)

    def fitted(self, data: Tensor, sure: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates (F, N), and what they leave at the markers (F, M), cm."""
        width = self.sides.shape[-1]
        flat = self.sides.reshape(-1, width)
        weight = sure
        for _ in range(ROUNDS):
            normal = (weight @ self.gram).reshape(-1, width, width) + torch.eye(width, dtype=data.dtype)
            pull = ((weight[..., None] * data).flatten(1) @ flat) / self.noise**2
            z = torch.linalg.solve(normal, pull[..., None])[..., 0]
            left = (data - (z @ flat.T).reshape(data.shape)).norm(dim=-1)
            weight = sure * (EDGE * self.noise / left.clamp(min=1e-12)).clamp(max=1.0)
        return z, left


def known_faces(rest: Tensor, moved: Tensor, counts: Tensor, noise: float) -> Denoiser:
    """From displacements (N, M, 3) of faces that count `counts` (N,)."""
    share = (counts / counts.sum()).double()
    mean = torch.einsum("n,nmc->mc", share, moved)
    apart = (moved - mean).flatten(1)
    values, vectors = torch.linalg.eigh(apart.T @ (share[:, None] * apart))
    kept = (values > (LEAST * noise) ** 2) & (torch.arange(len(values)) >= len(values) - MOST)
    faces = vectors[:, kept] * values[kept].sqrt()
    return Denoiser(rest, mean, faces.reshape(*rest.shape, -1).contiguous(), noise)


def arms(rest: Tensor) -> Tensor:
    """(M, 3, 6): how markers move with the head's small turns and shifts, a standard deviation each."""
    away = rest - rest.mean(0)
    turns = [torch.linalg.cross(axis.expand_as(away), away) * TURN for axis in torch.eye(3, dtype=rest.dtype)]
    shifts = SHIFT * torch.eye(3, dtype=rest.dtype).expand(len(rest), 3, 3)
    return torch.cat([torch.stack(turns, -1), shifts], -1)


def fields(rest: Tensor) -> Tensor:
    """(M, 3, 3 * n) smooth fields over the face, a standard deviation each: of exp(-distance^2 / (2 REACH^2))."""
    alike = FIELD**2 * (-torch.cdist(rest, rest).square() / (2 * REACH**2)).exp()
    values, vectors = torch.linalg.eigh(alike)
    modes = (vectors * values.clamp(min=0.0).sqrt())[:, -MODES:]
    return torch.einsum("mn,ck->mcnk", modes, torch.eye(3, dtype=rest.dtype)).flatten(2)


def steadied(moved: Tensor, reach: float) -> Tensor:
    """Means over time (F, M, 3) that keep the height of a peak; `reach` frames wide, the same where that is under .25.

    The kernel is (3 - u^2) exp(-u^2 / 2): parabolas pass it as they are, unlike a plain Gaussian mean.
    """
    if reach < 0.25 or len(moved) < 2:
        return moved
    wide = int(4 * reach) + 1
    u = torch.arange(-wide, wide + 1, dtype=moved.dtype) / reach
    kernel = (3 - u.square()) * (-0.5 * u.square()).exp()
    flat = moved.flatten(1).T
    padded = torch.nn.functional.pad(flat[:, None], (wide, wide), mode="replicate")
    found = torch.nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None])[:, 0]
    return found.T.reshape(moved.shape)
