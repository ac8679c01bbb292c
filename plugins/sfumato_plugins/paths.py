"""The same folder on Linux, Windows and macOS, so that a job written on one computes on another.

Rows come from the settings ([farm] paths), from SFUMATO_PATHS, and as a farm's own rules (Open Job Description's
pathmapping-1.0). Relative paths need none of it: they start where the job file lies.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import sfumato_plugins
from sfumato_plugins.errors import wrong
from sfumato_plugins.job import Job
from sfumato_plugins.parameters import ModelFolder

SYSTEMS = ("linux", "windows", "macos")
VARIABLE = "SFUMATO_PATHS"  # rows with | between them
_ROW = re.compile(r"\s*(linux|windows|macos)\s*=\s*(.+?)\s*")


def this_system() -> str:
    """linux, windows or macos."""
    return {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")


@dataclass(frozen=True)
class Roots:
    """One folder as each system calls it; empty where it has no name.

    >>> Roots.parse("linux=/shows; windows=S:/shows")
    Roots(linux='/shows', windows='S:/shows', macos='')
    """

    linux: str = ""
    windows: str = ""
    macos: str = ""

    @classmethod
    def parse(cls, text: str) -> Roots:
        """Raises ValueError with a sentence."""
        found: dict[str, str] = {}
        for part in filter(str.strip, text.split(";")):
            match = _ROW.fullmatch(part)
            if not match:
                raise ValueError(f"{part.strip()!r} should be written like linux=/shows; windows=S:/shows")
            if not _absolute(match[2]):
                raise ValueError(f"{match[2]!r} is not an absolute folder")
            found[match[1]] = match[2]
        if len(found) < 2:
            raise ValueError(f"{text!r} should name a folder on two systems or more")
        return cls(**found)

    def __str__(self) -> str:
        return "; ".join(f"{name}={getattr(self, name)}" for name in SYSTEMS if getattr(self, name))


@dataclass(frozen=True)
class Rule:
    """What starts with `source` starts with `target` instead."""

    source: str
    target: str

    @property
    def windows(self) -> bool:
        return not self.source.startswith("/")

    def apply(self, path: str) -> str | None:
        """The path as the rule has it; None where it says nothing."""
        source = _parts(self.source)
        parts = _parts(path)
        if path.startswith("/") == self.windows or len(parts) < len(source):
            return None
        same = [p.lower() for p in parts] if self.windows else parts
        if same[: len(source)] != ([s.lower() for s in source] if self.windows else source):
            return None
        rest = parts[len(source) :]
        return "/".join([self.target.rstrip("/\\"), *rest]) if rest else self.target


def rules(rows: Iterable[Roots], system: str) -> tuple[Rule, ...]:
    """Rules that give every path its name on one system, longer folders first."""
    found = []
    for row in rows:
        target = getattr(row, system)
        others = (getattr(row, name) for name in SYSTEMS if name != system)
        found += [Rule(other, target) for other in others if target and other and other != target]
    return tuple(sorted(found, key=lambda rule: -len(_parts(rule.source))))


def translate(path: str, by: Sequence[Rule]) -> str:
    """A path by the first rule that knows it."""
    return next((found for rule in by if (found := rule.apply(path)) is not None), path)


def from_file(path: str) -> tuple[Rule, ...]:
    """The rules a farm's session wrote: pathmapping-1.0, or {} where it has none.

    Raises:
        JobError: it cannot be read (exit 2).
    """
    try:
        with open(path, encoding="utf-8") as file:
            listed = json.load(file).get("path_mapping_rules", [])
        return tuple(Rule(str(rule["source_path"]), str(rule["destination_path"])) for rule in listed)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{path} holds no path mapping rules: {error}"
        raise wrong("--path-mapping", what, "it is the pathmapping-1.0 file of Open Job Description") from None


def mapped(job: Job, farm: Mapping[str, object], environ: Mapping[str, str] = os.environ, file: str = "") -> Job:
    """The job with its absolute paths as this machine calls them.

    farm: The [farm] table of the settings.

    Raises:
        JobError: a row or the rules cannot be read (exit 2).
    """
    given = farm.get("paths")
    texts = [str(row) for row in given] if isinstance(given, list) else []
    texts += environ.get(VARIABLE, "").split("|")
    try:
        rows = [Roots.parse(text) for text in texts if text.strip()]
    except ValueError as error:
        raise wrong("paths", str(error), f"see [farm] paths in the settings, and {VARIABLE}") from None
    by = (*(from_file(file) if file else ()), *rules(rows, this_system()))
    if not by:
        return job
    color = {k: translate(v, by) if k == "config" and isinstance(v, str) else v for k, v in job.color.items()}
    folders = {
        p.name
        for tool in sfumato_plugins.TOOLS
        if tool.name == job.tool
        for p in tool.parameters
        if isinstance(p, ModelFolder)
    }
    params = {k: translate(v, by) if k in folders and isinstance(v, str) else v for k, v in job.params.items()}
    inputs = {name: translate(text, by) for name, text in job.inputs.items()}
    outputs = {name: translate(text, by) for name, text in job.outputs.items()}
    return replace(job, inputs=inputs, outputs=outputs, params=params, color=color)


def _parts(path: str) -> list[str]:
    return [part for part in re.split(r"[/\\]+" if not path.startswith("/") else r"/+", path) if part]


def _absolute(path: str) -> bool:
    return path.startswith(("/", "\\\\")) or bool(re.match(r"[A-Za-z]:", path))
