"""What a frame was made from, so that a stale one is never kept, and words for what changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sfumato_plugins.job import Job
from sfumato_plugins.private import SEALED, sealed
from sfumato_plugins.tool import Needs, Tool

Origin = Mapping[str, Any]
"""tool, version, params, seed, color, view, also, files: [{input, frame, bytes, hash}]: JSON values only."""


def origin(tool: Tool, job: Job, needs: Needs, config_hash: str) -> Origin:
    """Everything a frame's bytes depend on. Paths are not in it: moving a shot makes nothing stale.

    Raises:
        sfumato.errors.InputError: a file cannot be read (exit 3).
    """
    from sfumato import __version__

    params = {p.name: job.params.get(p.name, p.default) for p in tool.parameters if p.changes_result}
    color = {k: v for k, v in job.color.items() if k not in ("config", "config_hash")}
    files = [{"input": r.input, "frame": r.frame, **_content(r.path)} for r in needs.files]
    made_from = {
        "tool": tool.name,
        "version": __version__,
        "params": sealed(tool, params),
        "seed": job.seed,
        "color": {**color, "config": config_hash},
        "view": job.view,
        "also": dict(needs.also),
        "files": files,
    }
    plain: Origin = json.loads(json.dumps(made_from))
    return plain


def fingerprint(made_from: Origin) -> str:
    """32 hexadecimal digits that stand for an origin."""
    text = json.dumps(made_from, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def difference(before: Origin, now: Origin) -> str:
    """In words, what makes a frame stale: "plate 1003 changed", "quality was preview, now final".

    >>> difference({"seed": 1, "files": []}, {"seed": 2, "files": []})
    'seed was 1, now 2'
    """
    found = [_was(key, before.get(key), now.get(key)) for key in ("tool", "version", "seed", "view")]
    for group in ("params", "color", "also"):
        old, new = before.get(group, {}), now.get(group, {})
        found += [_was(key, old.get(key), new.get(key)) for key in sorted({*old, *new})]
    found.append(_files(before.get("files", []), now.get("files", [])))
    return "; ".join(words for words in found if words) or "made from something else"


def _was(key: str, before: Any, now: Any) -> str:
    def said(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value)

    if before == now:
        return ""
    if any(isinstance(value, str) and value.startswith(SEALED) for value in (before, now)):
        return f"{key} changed"
    return f"{key} was {said(before)}, now {said(now)}"


def _files(before: list[Mapping[str, Any]], now: list[Mapping[str, Any]]) -> str:
    old = {(f["input"], f["frame"]): f["hash"] for f in before}
    new = {(f["input"], f["frame"]): f["hash"] for f in now}
    words = []
    for verb, keys in (
        ("changed", [k for k in new if k in old and old[k] != new[k]]),
        ("came in", [k for k in new if k not in old]),
        ("is no longer read", [k for k in old if k not in new]),
    ):
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            words.append(f"{keys[0][0]} {keys[0][1]}{more} {verb}")
    return ", ".join(words)


def _content(path: str) -> Mapping[str, Any]:
    import os

    from sfumato.io import file_hash

    try:
        status = os.stat(path)
    except OSError:
        return {"bytes": -1, "hash": file_hash(path)}
    return {"bytes": status.st_size, "hash": _hash_once(path, status.st_size, status.st_mtime_ns)}


@lru_cache(maxsize=65536)
def _hash_once(path: str, size: int, modified: int) -> str:
    """Within one process a file whose size and time stand still is read once."""
    from sfumato.io import file_hash

    return file_hash(path)
