"""A performance on another rig: by the names of its controls, with gains and limits, lips and lids still meeting.

After FDLS's practice of solving on the actor's puppet and then migrating controls to a creature's that shares them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import InputError, RequestError
from sfumato.face.contact import find_contacts
from sfumato.face.control_names import sources
from sfumato.face.curves import Curves
from sfumato.face.keep_contact import TOUCH, Kept, keep_contact

if TYPE_CHECKING:
    from sfumato.face.rig import Rig

SCHEMA = "sfumato.retarget/1"


@dataclass(frozen=True)
class Gain:
    """How one control of the target follows.

    source: Names of the controls it follows; several are averaged. Empty: it stays at `offset`.
    gain, offset: target = gain * source + offset.
    lower, upper: What it never leaves; None: the rig's own limit.
    curve: (from, to) pairs that replace gain and offset, straight between them.
    """

    source: tuple[str, ...]
    gain: float = 1.0
    offset: float = 0.0
    lower: float | None = None
    upper: float | None = None
    curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Retargeted:
    """curves: On the target's controls, all of them. kept: what was done for contact, None if it was not looked at.

    unused: Controls of the source that drive nothing. still: controls of the target that nothing drives.
    limited: (control, frames) that ran into a limit. notes: sentences on these for a person.
    """

    curves: Curves
    unused: tuple[str, ...]
    still: tuple[str, ...]
    limited: tuple[tuple[str, int], ...]
    kept: Kept | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)


def retarget(
    curves: Curves,
    target: Rig,
    source: Rig | None = None,
    gains: Mapping[str, Gain] | None = None,
    touch: float = TOUCH,
) -> Retargeted:
    """Put curves onto a rig that shares some of their controls.

    A control that follows one of the same meaning at gain 1 has its very values, bit for bit, wherever the rig's
    limits allow; only controls that shut lips and lids differ, on frames where they met on the source rig and would
    not on the target.

    Args:
        curves: Of the source rig's controls.
        target: The rig they go to.
        source: The rig they were solved on; without it contact is not looked at.
        gains: By the target's control, where following by name at gain 1 is not what is wanted.
        touch: Lips and lids meet where they are this near to shut, cm.

    Raises:
        RequestError: the two share no control, or `gains` names one that is not there.
    """
    chosen = _chosen(curves, target, gains or {})
    if not any(gain.source for gain in chosen.values()):
        raise RequestError(
            f"none of the {len(curves.names)} controls drives one of the {len(target.controls)} of this rig "
            f"({', '.join(curves.names[:3])} ...; {', '.join(target.controls[:3])} ...)",
            'give a map with --map: {"schema": "sfumato.retarget/1", "controls": {"target": {"from": "source"}}}',
        )
    columns, limited = [], []
    for i, name in enumerate(target.controls):
        column, count = _follow(curves, chosen[name], float(target.lower[i]), float(target.upper[i]))
        columns.append(column)
        limited += [(name, count)] if count else []
    used = {name for gain in chosen.values() for name in gain.source}
    locked = frozenset(
        (frame, name) for name, gain in chosen.items() for frame, theirs in curves.locked if theirs in gain.source
    )
    moved = replace(curves, names=tuple(target.controls), values=torch.stack(columns, 1), locked=locked)
    kept = None
    if source is not None:
        kept = keep_contact(curves.only(source.controls).values, source, moved, target, find_contacts, touch)
        moved = replace(moved, values=kept.values)
    unused = tuple(name for name in curves.names if name not in used and curves.of(name).any())
    still = tuple(name for name, gain in chosen.items() if not gain.source)
    return Retargeted(moved, unused, still, tuple(limited), kept, tuple(_notes(unused, still, limited, kept)))


def load_gains(path: str | Path) -> dict[str, Gain]:
    """Read sfumato.retarget/1.

    {"schema": "sfumato.retarget/1", "controls": {"jawOpen": {"from": "jawOpen", "gain": 1.2, "upper": 0.9},
     "snarl": {"from": ["noseSneer_L", "noseSneer_R"], "curve": [[0, 0], [0.4, 0.1], [1, 1]]}, "tail": {"from": []}}}

    Raises:
        InputError: not there, not JSON, another schema, or a field that is not one; the control is named.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}", "give a file of sfumato.retarget/1") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA or not isinstance(data.get("controls"), dict):
        raise InputError(f"{path.name} is not {SCHEMA}", 'it has a schema and "controls", each with "from"')
    return {name: _gain(path, name, entry) for name, entry in data["controls"].items()}


def _gain(path: Path, name: str, entry: object) -> Gain:
    allowed = ("from", "gain", "offset", "lower", "upper", "curve")
    if not isinstance(entry, dict) or "from" not in entry or any(key not in allowed for key in entry):
        raise InputError(
            f"{path.name}: {name} has fields that are not known", f'"from" and any of {", ".join(allowed[1:])}'
        )
    source = entry["from"] if isinstance(entry["from"], list) else [entry["from"]]
    try:
        numbers = {key: float(entry[key]) for key in ("gain", "offset", "lower", "upper") if key in entry}
        curve = tuple((float(a), float(b)) for a, b in entry.get("curve", ()))
    except (TypeError, ValueError):
        raise InputError(
            f"{path.name}: {name} has a value that is no number", "curve is a list of [from, to]"
        ) from None
    if any(b[0] <= a[0] for a, b in pairwise(curve)):
        raise InputError(f"{path.name}: the curve of {name} does not go forward", "its first numbers ascend")
    return Gain(tuple(map(str, source)), curve=curve, **numbers)


def _chosen(curves: Curves, target: Rig, gains: Mapping[str, Gain]) -> dict[str, Gain]:
    strange = [name for name in gains if name not in target.controls]
    lost = [(name, theirs) for name, gain in gains.items() for theirs in gain.source if theirs not in curves.names]
    if strange:
        raise RequestError(
            f"the map drives {strange[0]}, which this rig does not have", f"it has {', '.join(target.controls)}"
        )
    if lost:
        raise RequestError(
            f"the map drives {lost[0][0]} by {lost[0][1]}, which is not in the curves", "correct its name"
        )
    by_name = {name: Gain(tuple(sources(name, curves.names))) for name in target.controls}
    return {**by_name, **gains}


def _follow(curves: Curves, gain: Gain, lower: float, upper: float) -> tuple[Tensor, int]:
    """A column, and on how many frames it ran into a limit by more than rounding."""
    if not gain.source:
        value = torch.full((len(curves.frames),), gain.offset, dtype=torch.float64)
    else:
        value = (
            torch.stack([curves.of(name) for name in gain.source]).mean(0)
            if len(gain.source) > 1
            else curves.of(gain.source[0])
        )
        if gain.curve:
            xs, ys = zip(*gain.curve, strict=True)
            value = torch.from_numpy(np.interp(value.numpy(), xs, ys))
        else:
            value = gain.gain * value + gain.offset
    low = lower if gain.lower is None else max(lower, gain.lower)
    high = upper if gain.upper is None else min(upper, gain.upper)
    return value.clamp(low, high), int(((value < low - 1e-9) | (value > high + 1e-9)).sum())


def _notes(
    unused: Sequence[str], still: Sequence[str], limited: Sequence[tuple[str, int]], kept: Kept | None
) -> list[str]:
    notes = []
    if unused:
        notes.append(f"drive nothing on this rig: {', '.join(unused)}")
    if still:
        notes.append(f"driven by nothing: {', '.join(still)}")
    if limited:
        notes.append("ran into a limit: " + ", ".join(f"{name} on {count} frames" for name, count in limited))
    return notes + (list(kept.notes) if kept else [])
