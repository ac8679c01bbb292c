"""Where lips and lids of a rig meet, and how far apart they are at some controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from torch import Tensor

from sfumato.face.control_names import find

if TYPE_CHECKING:
    from sfumato.face.rig import Rig

PAIRS = 12  # for each of the mouth and the two eyes; neighbours say the same
NEAR = 0.35  # centimetres; lips further apart than this when shut do not meet
LIPS_MOVE = ("mouthPucker", "mouthFunnel", "mouthUpperUp", "mouthLowerDown", "mouthRollUpper", "mouthRollLower")
LIDS_MOVE = ("eyeSquint", "eyeWide", "eyeBlink")


@dataclass(frozen=True)
class Contacts:
    """Pairs of vertices that meet when a mouth or an eye is shut.

    pairs: (P, 2) int64, the upper and the lower one.
    opening: (P, 3) float64, the direction in which the upper leaves the lower, of length 1.
    shut: (P,) float64, how far apart the two are along it when shut, cm.
    kind: P of "lips", "lids left", "lids right".
    """

    pairs: Tensor
    opening: Tensor
    shut: Tensor
    kind: tuple[str, ...]

    @property
    def along(self) -> Tensor:
        """(P,) where each pair lies between the first of its kind, 0, and the last, 1; -x to +x on the face."""
        steps = [(self.kind[:i].count(kind), max(self.kind.count(kind) - 1, 1)) for i, kind in enumerate(self.kind)]
        return torch.tensor([i / last for i, last in steps], dtype=torch.float64)

    def gaps(self, rig: Rig, values: Tensor) -> Tensor:
        """How much further apart than shut each pair is, cm: (..., K) -> (..., P); below 0 is pressed together."""
        mesh = rig.mesh(values, self.pairs.reshape(-1))
        apart = mesh[..., 0::2, :] - mesh[..., 1::2, :]
        return (apart * self.opening).sum(-1) - self.shut


def find_contacts(rig: Rig) -> Contacts:
    """Find them by what the rig does: lips meet at rest and jawOpen parts them, lids meet in a blink.

    A rig without jawOpen has no lips here, one without eyeBlink no lids; the sides of eyeBlink are told by its names.
    """
    found = [_lips(rig), *(_lids(rig, side) for side in ("left", "right"))]
    parts = [part for part in found if part is not None]
    if not parts:
        return Contacts(torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, 3).double(), torch.zeros(0).double(), ())
    return Contacts(
        torch.cat([part.pairs for part in parts]),
        torch.cat([part.opening for part in parts]),
        torch.cat([part.shut for part in parts]),
        tuple(kind for part in parts for kind in part.kind),
    )


def _lips(rig: Rig) -> Contacts | None:
    jaw = find(rig.controls, "jawOpen")
    if not jaw:
        return None
    return _meeting(rig, "lips", rig.neutral, _at(rig, jaw), _movers(rig, LIPS_MOVE))


def _lids(rig: Rig, side: str) -> Contacts | None:
    blink = find(rig.controls, f"eyeBlink_{side}")
    if not blink:
        return None
    return _meeting(rig, f"lids {side}", _at(rig, blink), rig.neutral, _movers(rig, LIDS_MOVE))


def _meeting(rig: Rig, kind: str, shut: Tensor, opened: Tensor, movers: Tensor) -> Contacts | None:
    """Vertices of the same skin that are near when shut and leave each other when it opens, nearest first."""
    moved = (opened - shut).norm(dim=1)
    moved = torch.where(_skin(rig, moved), moved, torch.zeros_like(moved))
    fast = torch.nonzero(movers & (moved > 0.5 * moved[movers].max()))[:, 0] if movers.any() else torch.zeros(0).long()
    slow = torch.nonzero(movers & _skin(rig, moved) & (moved < 0.3 * moved.max()))[:, 0]
    if not len(fast) or not len(slow):
        return None
    near, index = cKDTree(shut[slow].numpy()).query(shut[fast].numpy())
    _, back = cKDTree(shut[fast].numpy()).query(shut[slow].numpy())
    mutual = (back[index] == np.arange(len(fast))) & (near < NEAR)
    one, other = fast[torch.from_numpy(mutual)], slow[torch.from_numpy(index[mutual])]
    if not len(one):
        return None
    upper, lower = (one, other) if kind != "lips" else (other, one)
    way = (opened[upper] - opened[lower]) - (shut[upper] - shut[lower])
    length = way.norm(dim=1)
    kept = torch.nonzero(length > 0.5 * length.max())[:, 0]
    kept = kept[torch.argsort(shut[upper[kept], 0])]
    kept = kept[torch.linspace(0, len(kept) - 1, min(PAIRS, len(kept))).round().long()]
    pairs, opening = torch.stack([upper[kept], lower[kept]], 1), way[kept] / length[kept, None]
    together = ((shut[upper[kept]] - shut[lower[kept]]) * opening).sum(1)
    return Contacts(pairs, opening, together, (kind,) * len(kept))


def _movers(rig: Rig, names: tuple[str, ...]) -> Tensor:
    """Which vertices any of these controls moves, by a twentieth of its most or more: no teeth, no eyeballs."""
    moving = torch.zeros(len(rig.neutral), dtype=torch.bool)
    for control in find(rig.controls, *names):
        moved = (_at(rig, [control]) - rig.neutral).norm(dim=1)
        moving |= moved > 0.05 * moved.max()
    return moving


def _skin(rig: Rig, moved: Tensor) -> Tensor:
    """The connected part of the mesh in which most moves."""
    faces, count = rig.faces.numpy(), len(rig.neutral)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), (count, count))
    _, label = connected_components(graph, directed=False)
    sizes = np.bincount(label, weights=(moved > 0).numpy())
    return torch.from_numpy(label == sizes.argmax())


def _at(rig: Rig, controls: list[int]) -> Tensor:
    """The mesh with these controls at their upper limit, or at 1 where that is lower."""
    values = torch.zeros(len(rig.controls), dtype=torch.float64)
    values[controls] = rig.upper[controls].clamp(max=1.0)
    return rig.mesh(values)
