"""What a facility says once about its farm: the [farm] table of the settings, and options that win over it.

[farm]
command = "/tools/sfumato/bin/sfumato"     # on the farm's machines; default: sfumato, from PATH
pool = "gpu"
group = "nightly"
priority = 60                              # 0 to 100
limits = ["sfumato"]
environment = ["OCIO=/shows/ab/config.ocio"]
gpu_memory = 12                            # GiB, at least
memory = 16                                # GiB, at least
cores = 8
minutes = 20                               # what a task is expected to take; it is stopped after ten times as long
chunk = 12                                 # frames a task where frames stand alone
retries = 2
os = "linux"                               # of the farm's machines: linux, windows, macos
paths = ["linux=/shows; windows=S:/shows; macos=/Volumes/shows"]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sfumato_plugins.errors import JobError, Problem, nearest
from sfumato_plugins.paths import SYSTEMS, Roots, this_system
from sfumato_plugins.settings import Settings


@dataclass(frozen=True)
class Options:
    """How a job is sent to a farm.

    name: Of the job; empty is made from tool and shot.
    pool, group, limits: Names the farm knows; empty are left out.
    priority: 0 to 100.
    environment: Variables for every task.
    gpu_memory, memory: GiB a machine must have at least; 0 does not ask.
    cores: That a machine must have at least; 0 does not ask.
    minutes: That a task is expected to take; 0 is the tool's own guess.
    chunk: Frames a task where frames stand alone.
    retries: How often a task may fail before it is left.
    os: Of the farm's machines; paths are written for it.
    paths: The same folders on the three systems.
    """

    command: str = "sfumato"
    name: str = ""
    pool: str = ""
    group: str = ""
    priority: int = 50
    limits: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    gpu_memory: float = 0
    memory: float = 0
    cores: int = 0
    minutes: float = 0
    chunk: int = 12
    retries: int = 2
    os: str = field(default_factory=this_system)
    paths: tuple[Roots, ...] = ()


_TEXTS = ("command", "name", "pool", "group", "os")
_LISTS = ("limits", "environment", "paths")
_WHOLE = {"priority": (0, 100), "cores": (0, 4096), "chunk": (1, 100_000), "retries": (0, 100)}
_NUMBERS = ("gpu_memory", "memory", "minutes")


def options(settings: Settings, given: Mapping[str, Any] | None = None) -> Options:
    """What the settings say, and what was given besides; None among the given leaves what the settings say.

    Raises:
        JobError: everything that is wrong, with the file it stands in (exit 2).
    """
    origin = settings.origin.get("farm", "")
    problems: list[Problem] = []
    found = Options()
    for where, values in ((f"{origin}: [farm]", settings.get("farm", {})), ("", given or {})):
        for name, value in values.items():
            if value is not None:
                found = _with(found, name, value, f"{where} {name}".strip(), problems)
    if problems:
        raise JobError(problems)
    return found


def _with(found: Options, name: str, value: Any, where: str, problems: list[Problem]) -> Options:
    known = {item.name for item in fields(Options)}
    if name not in known:
        problems.append(Problem(where, "is not an option of a farm", nearest(name, known)))
        return found
    what = _wrong(name, value)
    if what:
        problems.append(Problem(where, what))
        return found
    try:
        return replace(found, **{name: _read(name, value)})
    except ValueError as error:
        problems.append(Problem(where, str(error)))
        return found


def _wrong(name: str, value: Any) -> str:
    if name in _LISTS:
        fine = isinstance(value, (list, tuple)) and all(isinstance(v, str) and v and "\n" not in v for v in value)
        return "" if fine else f"{value!r} should be a list of texts, each in a line"
    if name in _TEXTS:
        if not isinstance(value, str) or "\n" in value:
            return f"{value!r} should be text"
        if name == "os" and value not in SYSTEMS:
            return f"{value!r} is not one of {', '.join(SYSTEMS)}"
        return "is empty" if name == "command" and not value else ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{value!r} should be a number"
    low, high = _WHOLE.get(name, (0, 10**6))
    if name in _WHOLE and not isinstance(value, int):
        return f"{value!r} should be a whole number"
    return "" if low <= value <= high else f"{value} is outside {low} to {high}"


def _read(name: str, value: Any) -> Any:
    if name == "environment":
        pairs = [item.partition("=") for item in value]
        for variable, equals, _ in pairs:
            if not equals or not variable.replace("_", "a").isalnum() or variable[0].isdigit():
                raise ValueError(f"{variable!r} should be written like NAME=value")
        return {variable: text for variable, _, text in pairs}
    if name == "paths":
        return tuple(Roots.parse(item) for item in value)
    return tuple(value) if name == "limits" else value
