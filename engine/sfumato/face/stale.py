"""Which stages of a solve have to be run: the folder's manifest, and what each stage was made from.

A stage is still right as long as the files it read, the keys that concern it, and rig, binding and solver are what they
were. The manifest holds digests of all of them, a stage's own line written last.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sfumato.atomic import write_bytes
from sfumato.face.control_names import find
from sfumato.face.edits import Key, read_edits
from sfumato.face.regions import JAW

STAGES = ("stabilise", "clean", "features", "jaw", "regions", "finetune")
READS = {  # the files that decide what a stage makes, besides rig, binding, solver and fixed keys
    "stabilise": ("ingest.json",),
    "clean": ("stabilise.json",),
    "features": ("clean.json",),
    "jaw": ("clean.json", "clean.safetensors"),
    "regions": ("clean.json", "clean.safetensors", "jaw.json"),
    "finetune": ("clean.json", "clean.safetensors", "regions.json"),
}
FOLLOWS = {"regions": "jaw.json", "finetune": "regions.json"}  # of these, a change is followed where it is
WRITES = {"features": "features.safetensors"}


def stale(folder: str | Path, made_with: str = "") -> list[str]:
    """Stages that have to be run: not run yet, or made from something else than lies there now.

    made_with: Stands for rig, binding, solver and settings.
    """
    found: list[str] = []
    for stage in STAGES:
        if found or is_stale(folder, stage, made_with):
            found.append(stage)
    return found


def is_stale(folder: str | Path, stage: str, made_with: str = "") -> bool:
    """Whether one stage has to be run, those before it being right."""
    folder = Path(folder)
    there = (folder / WRITES.get(stage, f"{stage}.json")).is_file()
    keys = concerned(stage, read_edits(folder))
    now = made_from(stage, inputs(folder, stage, made_with), keys) if there else ""
    return not there or manifest(folder).get(stage, {}).get("from") != now


def concerned(stage: str, keys: tuple[Key, ...]) -> list[Key]:
    """The keys that a stage follows."""
    if stage in ("regions", "finetune"):
        return list(keys)
    return [key for key in keys if stage == "jaw" and find([key.control], *JAW)]


def inputs(folder: Path, stage: str, made_with: str) -> dict[str, str]:
    """Digests of the files that a stage reads."""
    return {**{name: digest(folder / name) for name in READS[stage]}, "made_with": made_with}


def made_from(stage: str, inputs: Mapping[str, str], keys: Sequence[Key]) -> str:
    """Stands for everything that a stage is made from."""
    return digest_of(json.dumps([stage, dict(inputs), [list(vars(key).values()) for key in keys]]).encode())


def manifest(folder: Path) -> dict[str, Any]:
    """A line for each stage that was run; none where nothing was, or where the file is damaged."""
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def record(folder: Path, stage: str, line: dict[str, Any]) -> None:
    """Write a stage's line: it is done."""
    lines = {**manifest(folder), stage: line}
    write_bytes(folder / "manifest.json", (json.dumps(lines, indent=1) + "\n").encode())


def digest(path: Path) -> str:
    """Of a file; empty where there is none."""
    try:
        return digest_of(path.read_bytes())
    except OSError:
        return ""


def digest_of(data: bytes) -> str:
    """32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
