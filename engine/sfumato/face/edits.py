"""Keys that an artist has fixed, and what depends on them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sfumato.errors import InputError, RequestError
from sfumato.face.binding import Binding
from sfumato.face.rig import Rig

SCHEMA = "sfumato.edits/1"
REACH = 30  # samples on both sides of a key within which others follow
TOUCHED = 0.1  # of a control's largest movement: a marker that it moves so far is its own
LEAST = 1e-4  # cm: no control moves a marker by less


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


def dependants(rig: Rig, binding: Binding, names: Iterable[str]) -> frozenset[str]:
    """Controls that are solved again when these change: those that share a marker with one of them, and themselves.

    The rig decides: a marker is a control's own if the control at a limit moves it by more than TOUCHED of the largest
    movement it gives any marker, and two controls are tied where a marker is the own of both. Evidence reaches a
    control through its own markers only, so that every other control has nothing new to follow and keeps its bits.

    Raises:
        RequestError: one of the names is no control of the rig.
    """
    chosen = set(names)
    if lost := sorted(chosen - set(rig.controls)):
        raise RequestError(f"the rig has no control {lost[0]!r}", f"it has {', '.join(rig.controls[:6])} ...")
    rows = [name in chosen for name in rig.controls]
    tied = ties(rig, binding)[rows].any(0).tolist()
    return frozenset(name for name, one in zip(rig.controls, tied, strict=True) if one)


def ties(rig: Rig, binding: Binding) -> Tensor:
    """Which controls depend on each other as `dependants` says: (K, K) bool, symmetric, each on itself."""
    rest = binding.at(rig, torch.zeros(len(rig.controls), dtype=torch.float64))
    ends = torch.stack([binding.at(rig, torch.diag(end.double())) - rest for end in (rig.upper, rig.lower)])
    size = ends.norm(dim=-1).amax(0)
    own = (size > TOUCHED * size.amax(1, keepdim=True)) & (size > LEAST)
    shared: Tensor = (own.double() @ own.double().T) > 0
    return shared | torch.eye(len(own), dtype=torch.bool)


def window(frames: Sequence[float], keys: Iterable[Key], reach: int = REACH) -> Tensor:
    """Samples (F,) that lie within reach of one of the keys."""
    near = torch.zeros(len(frames), dtype=torch.bool)
    for key in keys:
        at = row_of(frames, key)
        near[max(0, at - reach) : at + reach + 1] = True
    return near


def row_of(frames: Sequence[float], key: Key) -> int:
    """The sample nearest to a key."""
    return int((torch.tensor(frames, dtype=torch.float64) - key.frame).abs().argmin())
