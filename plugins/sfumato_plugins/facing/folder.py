"""The folder of a solve: what lies in it, what an artist has fixed, and fixing a key. Standard library only.

job.json          what was asked for, to go on with
solve.json        how far it is, and what to look at (sfumato.solve/1)
ingest.json       markers on the timeline; stabilise.json and clean.json what became of them (sfumato.markers/1)
jaw.json, regions.json, finetune.json    the curves after each stage (sfumato.curves/1)
edits.json        keys that an artist has fixed (sfumato.edits/1)
curves.json       the curves of the last stage that was asked for (sfumato.curves/1)
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato_plugins.errors import JobError, Problem, nearest, wrong
from sfumato_plugins.takes import is_number, plain, read_json
from sfumato_plugins.text_file import write_text

if TYPE_CHECKING:
    from sfumato_plugins.job import Job

STAGES = ("ingest", "stabilise", "clean", "features", "jaw", "regions", "finetune")
CURVES = ("jaw", "regions", "finetune")  # stages whose file holds curves
SOLVE, EDITS = "sfumato.solve/1", "sfumato.edits/1"


@dataclass(frozen=True)
class Edit:
    """One key that an artist has fixed.

    frame: On the timeline. locked: No stage may change it any more, not even the fine-tune.
    """

    frame: float
    control: str
    value: float
    locked: bool = False


def solve_of(folder: str) -> Mapping[str, Any]:
    """What a folder's solve.json says.

    Raises:
        JobError: there is no solve in the folder (exit 3), or not one of ours (exit 2).
    """
    path = os.path.join(folder, "solve.json")
    if not os.path.isfile(path):
        hint = "sfumato face solve --markers M --rig R --out DIR makes one"
        raise JobError(Problem("", f"there is no solve in {folder}", f"looked for  {path}\nso          {hint}", 3))
    found = read_json(path)
    if not isinstance(found, dict) or found.get("schema") != SOLVE:
        raise wrong("", f"{path} is not {SOLVE}", "it is written by this tool; solve again")
    return found


def edits_of(folder: str) -> list[Edit]:
    """The keys that are fixed, by frame; none where nobody has.

    Raises:
        JobError: the file is damaged (exit 3) or says what is no key (exit 2).
    """
    path = os.path.join(folder, "edits.json")
    if not os.path.isfile(path):
        return []
    found = read_json(path)
    keys = found.get("keys") if isinstance(found, dict) and found.get("schema") == EDITS else None
    if not isinstance(keys, list) or not all(map(_is_key, keys)):
        raise wrong("", f"{path} is not {EDITS}", 'a key is [frame, "control", value, locked]')
    return sorted((Edit(*key) for key in keys), key=lambda edit: (edit.frame, edit.control))


def _is_key(key: Any) -> bool:
    if not isinstance(key, list) or len(key) != 4 or not isinstance(key[1], str) or not isinstance(key[3], bool):
        return False
    return is_number(key[0]) and is_number(key[2])


def changed_by_hand(folder: str) -> dict[str, str]:
    """What a person has changed in a solve: the fixed keys, and stage files that are not as the stages left them.

    Digests by file name; nothing in a folder that is as the tool left it.
    """
    found = {}
    edits = edits_of(folder)
    if edits:
        text = json.dumps([[e.frame, e.control, e.value, e.locked] for e in edits])
        found["edits.json"] = f"{len(edits)}, digest {digest(text.encode())[:8]}"
    try:
        left = solve_of(folder).get("files", {})
    except JobError:
        return found
    for name, known in left.items():
        if (now := digest_of(folder, name)) != known:
            found[name] = now[:8]
    return found


def digest_of(folder: str, name: str) -> str:
    """A digest of a file in the folder; empty where there is none."""
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return digest(file.read())
    except OSError:
        return ""


def digest(data: bytes) -> str:
    """32 hexadecimal digits."""
    import hashlib  # brings OpenSSL; a host that only imports us need not wait for it

    return hashlib.blake2b(data, digest_size=16).hexdigest()


def fix(folder: str, control: str, frame: float, value: float | None, *, lock: bool = False) -> Edit | None:
    """Fix one key, or with no value let it go again; what depends on it is solved with the next run.

    Returns:
        The key as it was written, on the nearest sample; None where it was let go.

    Raises:
        JobError: nothing is solved yet (exit 3); no such control, frame or value, or a lock that would be lost in
            passing, each named (exit 2).
    """
    controls: Mapping[str, Any] = solve_of(folder).get("controls", {})
    if not controls:
        raise wrong("", f"no curves are solved in {folder} yet", "solve it with --stage jaw or later first")
    if control not in controls:
        raise wrong("control", f"the rig has no control {control!r}", nearest(control, controls))
    at = _nearest_sample(folder, frame)
    others = [edit for edit in edits_of(folder) if (edit.frame, edit.control) != (at, control)]
    made = None
    if value is not None:
        low, high = controls[control]
        if not is_number(value) or not low <= value <= high:
            raise wrong("value", f"{value:g} is outside the limits of {control}, {low:g} to {high:g}")
        for edit in edits_of(folder):
            if edit.locked and not lock and edit not in others:
                what = f"{control} is locked at frame {at:g}, on {edit.value:g}"
                raise wrong("lock", what, "lock the new value as well (--lock), or let the key go first (--clear)")
        made = Edit(at, control, float(value), lock)
    elif len(others) == len(edits_of(folder)):
        raise wrong("frame", f"{control} has no fixed key at frame {frame:g}", _fixed(folder, control))
    _write(folder, [*others, *([made] if made else [])])
    return made


def _nearest_sample(folder: str, frame: float) -> float:
    curves = read_json(os.path.join(folder, "curves.json"))
    frames = [float(f) for f in curves["frames"]]
    step = min((b - a for a, b in zip(frames, frames[1:])), default=1.0)
    at = min(frames, key=lambda known: abs(known - frame))
    if not is_number(frame) or abs(at - frame) > max(step, 1.0) / 2 + 1e-6:
        what = f"the take has no frame {frame:g}"
        raise wrong("frame", what, f"it has {plain(frames[0]):g} to {plain(frames[-1]):g}")
    return at


def _fixed(folder: str, control: str) -> str:
    frames = [f"{edit.frame:g}" for edit in edits_of(folder) if edit.control == control]
    return f"it has at {', '.join(frames)}" if frames else "it has none at all"


def _write(folder: str, edits: list[Edit]) -> None:
    edits.sort(key=lambda edit: (edit.frame, edit.control))
    rows = [[plain(edit.frame), edit.control, edit.value, edit.locked] for edit in edits]
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    write_text(os.path.join(folder, "edits.json"), f'{{"schema": "{EDITS}", "keys": [\n  {lines}\n]}}\n')


def job_of(folder: str) -> Job:
    """The job that a folder was solved by, wherever the folder lies by now.

    Raises:
        JobError: there is no job file in it, or it cannot be read (exit 2 or 3).
    """
    from dataclasses import replace

    from sfumato_plugins.job import load

    folder = os.path.abspath(folder)
    job = load(os.path.join(folder, "job.json"))
    return replace(job, outputs={**job.outputs, "solve": os.path.join(folder, "solve.json")})
