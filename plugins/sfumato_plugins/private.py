"""Prompts and the like: in the job and nowhere else, unless the site allows it (`prompts_in_metadata`).

A frame's record keeps a digest in their place, which tells that they changed and not what they were.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from sfumato_plugins.job import Job
from sfumato_plugins.settings import load_settings
from sfumato_plugins.tool import Tool

SEALED = "sealed:"
WITHHELD = "withheld: the site does not set prompts_in_metadata"


def allowed(job: Job) -> bool:
    """Whether metadata may say what was asked for in words."""
    return bool(load_settings(start=job.base or os.getcwd()).get("prompts_in_metadata", False))


def sealed(tool: Tool, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with digests in place of private ones; whatever the site allows, so that all its machines agree."""
    hidden = {p.name for p in tool.parameters if p.private}
    return {name: _digest(value) if name in hidden else value for name, value in params.items()}


def published(tool: Tool, job: Job) -> dict[str, Any]:
    """The job as JSON values for a result that others read."""
    told = job.to_json()
    hidden = {p.name for p in tool.parameters if p.private}
    if hidden and not allowed(job):
        told["params"] = {k: WITHHELD if k in hidden else v for k, v in told.get("params", {}).items()}
    return told


def _digest(value: Any) -> str:
    return SEALED + hashlib.blake2b(str(value).encode(), digest_size=16).hexdigest()
