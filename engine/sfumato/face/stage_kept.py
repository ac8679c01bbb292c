"""What a stage keeps for its next run: its solve as if no key were fixed, and what it left in its file.

Keys are followed from there, not from the run before. So what lies in a folder is decided by the take and the keys,
whatever the order they were fixed in, and a key that is let go gives the same bytes back.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sfumato.atomic import write_bytes
from sfumato.errors import InputError
from sfumato.face.clip_settings import Solved
from sfumato.face.curves import load_curves
from sfumato.face.motion import Habits
from sfumato.face.stage_work import Work
from sfumato.face.stale import FOLLOWS, STAGES, digest_of, manifest

HABITS = "habits: "  # what goes before their names
Parts = dict[str, list[int]]  # what a part that was solved again was made of -> its first row and the one after it


@dataclass(frozen=True)
class Kept:
    """base: The solve without keys. given: (F, K) the curves that it was given.

    left: The same with keys, as it was left. by_hand: (F, K) bool, what a person has changed in its file since; `base`
    and `left` hold their values. parts: What of `left` was solved again, and of what.
    belief: (K,) how much the fine-tune believes the networks; None without them.
    """

    base: Solved
    given: Tensor
    left: Solved
    by_hand: Tensor
    parts: Parts
    belief: Tensor | None = None


def keep(work: Work, kept: Kept) -> str:
    """Write it beside the stage's file; the digest of what was written."""
    base, left = kept.base, kept.left
    tensors = {"base": base.curves.values, "given": kept.given, "values": left.curves.values, "by_hand": kept.by_hand}
    tensors |= {"rigid": base.rigid, "offsets": base.offsets}
    if work.stage == STAGES[-1]:  # others are not looked at
        tensors |= {"residual": left.residual, "weight": left.weight}
        tensors |= {"base residual": base.residual, "base weight": base.weight}
    if kept.belief is not None:
        tensors["belief"] = kept.belief
    if base.habits is not None:
        tensors |= {f"{HABITS}{name}": tensor for name, tensor in vars(base.habits).items()}
    data = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    write_bytes(work.folder / f"{work.stage}.safetensors", data)
    return digest_of(data)


def kept_by(work: Work, stage: str) -> Kept | None:
    """What a stage has kept, with what a person has changed in its file since; None where it is not whole."""
    path, file, line = work.folder / f"{stage}.safetensors", work.folder / f"{stage}.json", manifest(work.folder)
    said: dict[str, Any] = line.get(stage, {})
    try:
        data = path.read_bytes()
        if said.get("kept") != digest_of(data):
            return None
        found, now = load(data), load_curves(file)
        return _changed(work, _kept(work, found, said.get("parts", {})), now.names, now.values)
    except (OSError, InputError, SafetensorError, KeyError):
        return None


def kept_before(work: Work) -> Kept | None:
    """What the stage itself has kept, if it would be made from the same again but for what can be followed."""
    known: dict[str, str] = manifest(work.folder).get(work.stage, {}).get("inputs", {})
    aside = FOLLOWS.get(work.stage, "")
    same = {k: v for k, v in known.items() if k != aside} == {k: v for k, v in work.inputs.items() if k != aside}
    return kept_by(work, work.stage) if same else None


def _kept(work: Work, found: dict[str, Tensor], parts: Parts) -> Kept:
    names = [field.name for field in fields(Habits)]
    known = all(HABITS + name in found for name in names)
    habits = Habits(**{name: found[HABITS + name] for name in names}) if known else None
    unknown = torch.full(work.confidence.shape, torch.nan, dtype=torch.float64)
    sizes = {name: found.get(name, unknown) for name in ("residual", "weight", "base residual", "base weight")}
    base = Solved(work.curves(found["base"]), found["rigid"], found["offsets"], sizes["base residual"],
                  sizes["base weight"], habits)  # fmt: skip
    left = replace(base, curves=work.curves(found["values"]), residual=sizes["residual"], weight=sizes["weight"])
    return Kept(base, found["given"], left, found["by_hand"], parts, found.get("belief"))


def _changed(work: Work, kept: Kept, names: tuple[str, ...], values: Tensor) -> Kept:
    """With what a person has put into the stage's file."""
    if len(values) != len(kept.given):
        raise InputError(f"{work.stage}.json has {len(values)} frames, the take {len(kept.given)}", "solve it again")
    columns = work.columns([name for name in names if name in work.rig.controls])
    now = kept.left.curves.values.clone()
    now[:, columns] = values[:, [names.index(work.rig.controls[column]) for column in columns]]
    fresh = now != kept.left.curves.values
    base = replace(kept.base, curves=work.curves(torch.where(fresh, now, kept.base.curves.values)))
    return replace(kept, base=base, left=replace(kept.left, curves=work.curves(now)), by_hand=kept.by_hand | fresh)
