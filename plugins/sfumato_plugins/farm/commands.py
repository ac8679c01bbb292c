"""A plain list: one command a line, a comment line before each stage. All of a stage is done before the next begins."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence

from sfumato_plugins.farm.sheet import Sheet


def files(given: Sheet, out: str) -> dict[str, str]:
    wanted = given.options
    asks = {
        "pool": wanted.pool,
        "group": wanted.group,
        "limits": ", ".join(wanted.limits),
        "cores": wanted.cores,
        "memory": f"{wanted.memory:g} GiB" if wanted.memory else "",
        "GPU memory": f"{wanted.gpu_memory:g} GiB" if wanted.gpu_memory else "",
    }
    said = "".join(f", {name} {value}" for name, value in asks.items() if value)
    lines = [f"# {given.title}, priority {wanted.priority}{said}"]
    for stage in given.stages:
        after = f", after {' and '.join(stage.after)}" if stage.after else ""
        tasks = f"{len(stage.tasks)} task{'s' * (len(stage.tasks) != 1)}"
        about = given.minutes(max(map(len, stage.tasks)))
        lines.append(f"# {stage.name}: {tasks} of about {about:g} min{after}")
        lines += [_line(given, given.words(task, stage.view)) for task in stage.tasks]
    return {"": "\n".join(lines) + "\n"}


def next_step(written: list[str], job_path: str) -> str:
    return f"each line of {written[0]} is one task"


def _line(given: Sheet, words: Sequence[str]) -> str:
    variables = given.environment
    if given.options.os != "windows":
        return shlex.join([*(["env", *(f"{k}={v}" for k, v in variables.items())] if variables else []), *words])
    line = subprocess.list2cmdline(words)
    sets = " && ".join(f'set "{k}={v}"' for k, v in variables.items())
    return f"{sets} && {line}" if sets else line
