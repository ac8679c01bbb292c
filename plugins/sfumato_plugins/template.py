"""Output names from a template: {show}/{shot}/matte/{version}/{shot}_matte_{version}.{view}.####.exr.

A version is reserved once, by making its folder, and belongs to the job that reserved it: the same job finds it again,
any other takes the next. A published version (its result is complete) is never written again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace

from sfumato_plugins.errors import Problem, nearest, wrong
from sfumato_plugins.frames import Pattern
from sfumato_plugins.job import Job

_FIELD = re.compile(r"\{(\w*)\}")
FIELDS = ("show", "shot", "task", "version", "view", "layer")
_VERSION = re.compile(r"v(\d+)")
_OWNER = ".sfumato-version.json"
_SOON = 1.0  # seconds within which whoever made a version's folder has written whose it is


def template_problems(job: Job) -> list[Problem]:
    """Unknown fields and those without a value; {version}, {view} and {layer} are filled in later."""
    found = []
    for name, text in job.outputs.items():
        for field in dict.fromkeys(_FIELD.findall(text)):
            if field not in FIELDS:
                found.append(Problem(f"outputs.{name}", f"{{{field}}} is not a field", nearest(field, FIELDS)))
            elif field in ("show", "shot") and field not in job.names:
                found.append(Problem(f"outputs.{name}", f"{{{field}}} has no value", f"say --{field} NAME"))
    given = job.names.get("version")
    if given is not None and not _VERSION.fullmatch(given):
        found.append(Problem("names.version", f"{given!r} is not a version", "write it like v003"))
    return found


def fill(job: Job) -> Job:
    """The job with show, shot, task, version and view in its output names; {layer} stays for the tool.

    Reserves the next version where the template has {version} and the job names none.

    Raises:
        JobError: a field without a value, or no folder for versions can be made (exit 2).
    """
    known = {"task": job.tool, **job.names}
    needed = any("{version}" in text for text in job.outputs.values())
    if needed and "version" not in known:
        main = next(text for text in job.outputs.values() if "{version}" in text)
        known["version"] = _reserve(os.path.join(job.base, _filled(main, known)), job)
    outputs = {name: _filled(text, known) for name, text in job.outputs.items()}
    names = dict(job.names, version=known["version"]) if needed else job.names
    return replace(job, outputs=outputs, names=names)


def _filled(text: str, known: Mapping[str, str]) -> str:
    values = {"view": "%V", **known}
    return _FIELD.sub(lambda m: values.get(m[1], m[0]), text)


def _reserve(path: str, job: Job) -> str:
    """The version this job already has, or the next free one, made with one mkdir that only one can win."""
    start, _, rest = path.partition("{version}")
    folder, prefix = os.path.split(start)
    suffix = re.split(r"[/\\]", rest)[0]
    in_a_file = "/" not in rest and os.sep not in rest
    if in_a_file:  # no folder of its own: a hidden one stands for it
        prefix, suffix = f".{prefix}", ".version"
    name = re.compile(re.escape(prefix) + r"v(\d+)" + re.escape(suffix))
    try:
        os.makedirs(folder or ".", exist_ok=True)
        while True:
            matches = (name.fullmatch(entry) for entry in os.listdir(folder or "."))
            taken = sorted(int(m[1]) for m in matches if m)
            for number in reversed(taken):
                if _owner(os.path.join(folder, f"{prefix}v{number:03d}{suffix}")) == job.hash:
                    return f"v{number:03d}"
            number = (taken[-1] if taken else 0) + 1
            mine = os.path.join(folder, f"{prefix}v{number:03d}{suffix}")
            try:
                os.mkdir(mine)
            except FileExistsError:
                continue
            with open(os.path.join(mine, _OWNER), "w", encoding="utf-8") as file:
                json.dump({"job": job.hash}, file)
            return f"v{number:03d}"
    except OSError as error:
        raise wrong("outputs", f"no version can be reserved in {folder}: {error.strerror}") from None


def _owner(folder: str) -> str:
    """The job a version belongs to; of one that is just being reserved, once that is written."""
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError), open(os.path.join(folder, _OWNER), "rb") as file:
            return str(json.load(file)["job"])
        with contextlib.suppress(OSError):
            if abs(time.time() - os.stat(folder).st_mtime) < _SOON:
                time.sleep(0.02)
                continue
        return ""


def for_layer(pattern: Pattern, layer: str) -> Pattern:
    """The file of one layer, where the template writes a file for each."""
    return Pattern(pattern.text.replace("{layer}", layer))
