"""Keys that an artist has fixed, and what depends on them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sfumato.errors import InputError
from sfumato.face.rig import Rig

SCHEMA = "sfumato.edits/1"
REACH = 30  # samples on both sides of a key within which others follow
TOUCHED, SHARED = 0.05, 0.02  # of a shape's largest movement: a vertex is its own; of its vertices: two have to do


@dataclass(frozen=True)
class Key:
    """frame: On the timeline. locked: No stage changes it."""

    frame: float
    control: str
    value: float
    locked: bool


def read_edits(folder: str | Path) -> tuple[Key, ...]:
    """The keys in a folder's edits.json; none where there is no such file.

    Raises:
        InputError: it is damaged.
    """
    path = Path(folder) / "edits.json"
    if not path.is_file():
        return ()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA:
            raise ValueError(found["schema"])
        return tuple(Key(float(f), str(c), float(v), bool(k)) for f, c, v, k in found["keys"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not {SCHEMA}: {error}", "a key is [frame, control, value, locked]") from None


def dependants(rig: Rig, names: Iterable[str]) -> frozenset[str]:
    """Controls that have to be solved again when these change: those that move the same skin, and they themselves."""
    owned = influence(rig)
    chosen = [rig.controls.index(name) for name in names]
    found = set(chosen)
    for one in chosen:
        common = (owned & owned[one]).sum(1).double()
        least = torch.minimum(owned.sum(1), owned[one].sum().expand(len(owned))).clamp(min=1)
        found |= set(torch.nonzero(common / least > SHARED)[:, 0].tolist())
    return frozenset(rig.controls[i] for i in found)


def influence(rig: Rig) -> Tensor:
    """Which vertices each control moves: (K, V) bool."""
    count = len(rig.controls)
    every = []
    for control in range(count):
        one = torch.zeros(2, count, dtype=torch.float64)
        one[0, control], one[1, control] = rig.upper[control], rig.lower[control]
        moved = (rig.mesh(one) - rig.neutral).norm(dim=-1).amax(0)
        every.append(moved > TOUCHED * moved.max().clamp(min=1e-9))
    return torch.stack(every)


def window(frames: Sequence[float], keys: Iterable[Key], reach: int = REACH) -> Tensor:
    """Samples (F,) that lie within reach of one of the keys."""
    times = torch.tensor(frames, dtype=torch.float64)
    near = torch.zeros(len(times), dtype=torch.bool)
    for key in keys:
        at = int((times - key.frame).abs().argmin())
        near[max(0, at - reach) : at + reach + 1] = True
    return near
