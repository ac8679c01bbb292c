"""A job script for Tractor: a tree of tasks in Tcl, the stages one after another, their tasks side by side.

Tractor asks a machine for service keys; pool, group and memory become keys that a site defines in its blade profiles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sfumato_plugins.farm.plan import Stage
from sfumato_plugins.farm.sheet import Sheet
from sfumato_plugins.frames import format_frames

_ESCAPED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def files(given: Sheet, out: str) -> dict[str, str]:
    wanted = given.options
    variables = [f"setenv {name}={value}" for name, value in given.environment.items()]
    options = [
        f"-title {word(given.title)}",
        f"-priority {wanted.priority}",
        f"-service {word(_service(given))}",
        *([f"-projects {word(given.job.names['show'])}"] if given.job.names.get("show") else []),
        *([f"-envkey {words(variables)}"] if variables else []),
        "-serialsubtasks 1",
    ]
    lines = ["##AlfredToDo 3.0", f"Job {' '.join(options)} -subtasks {{"]
    for stage in given.stages:
        lines.append(f"  Task {word(stage.name)} -subtasks {{")
        lines += [_task(given, stage, task) for task in stage.tasks]
        lines.append("  }")
    return {"": "\n".join([*lines, "}"]) + "\n"}


def next_step(written: list[str], job_path: str) -> str:
    return f"tractor-spool {written[0]}"


def _task(given: Sheet, stage: Stage, task: tuple[int, ...]) -> str:
    told = given.words(task, stage.view)
    limits = f" -tags {words(given.options.limits)}" if given.options.limits else ""
    seconds = f" -maxrunsecs {60 * given.limit(len(task))}"
    return f"    Task {word(format_frames(task))} -cmds {{ RemoteCmd {words(told)}{limits}{seconds} }}"


def _service(given: Sheet) -> str:
    """Keys a blade must have; a key with a number is met by a blade whose profile names it."""
    wanted = given.options
    keys = [wanted.pool, wanted.group, "gpu" if given.gpus else ""]
    keys += [
        f"gpumem{wanted.gpu_memory:g}" if wanted.gpu_memory else "",
        f"mem{wanted.memory:g}" if wanted.memory else "",
    ]
    return ",".join(dict.fromkeys(filter(None, keys))) or "PixarRender"


def words(given: Iterable[str]) -> str:
    """A Tcl list."""
    return word(" ".join(word(item) for item in given))


def word(text: str) -> str:
    """One Tcl word. Braces hold anything in which braces match and no backslash could eat one."""
    if re.fullmatch(r"[\w./:,=+@%-]+", text, re.ASCII):
        return text
    return (
        "{" + text + "}"
        if _holds(text)
        else re.sub(r'[\s{}\[\]$"\\;#]', lambda m: _ESCAPED.get(m[0], "\\" + m[0]), text)
    )


def _holds(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0 and "\\" not in text
