"""The job file: the one thing hosts write, farms read and the runner computes. Schema sfumato.job/1."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sfumato_plugins.errors import JobError, Problem, nearest
from sfumato_plugins.frames import Pattern, format_frames, parse_frames, widen
from sfumato_plugins.text_file import write_text

SCHEMA = "sfumato.job/1"
MISSING = ("error", "hold", "skip")


@dataclass(frozen=True)
class Job:
    """What to compute, from what, into what.

    frames: Ascending, each once. What is written is these and `handles` more at both ends.
    inputs, outputs: Name -> file pattern as written in the file; `input()` and `output()` resolve them.
    params: Only what differs from the tool's defaults.
    color: config, config_hash, context (OCIO variables), and the space of each colour input by name.
    views: Names for %V; empty for a shot with one view.
    context: Frames read beyond the handles, never written.
    missing: What to do about an input frame that is not there: error, hold the nearest one, or skip the frame.
    names: show, shot, task, version for the output template.
    base: Folder that relative paths start from; where the job file lies. Not part of the job's identity.
    """

    tool: str
    frames: tuple[int, ...]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    params: Mapping[str, Any] = field(default_factory=dict)
    color: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    views: tuple[str, ...] = ()
    handles: int = 0
    context: int = 0
    missing: str = "error"
    names: Mapping[str, str] = field(default_factory=dict)
    base: str = field(default="", compare=False)

    @property
    def written(self) -> tuple[int, ...]:
        """Frames this job writes: its own and the handles."""
        return widen(self.frames, self.handles)

    @property
    def shot(self) -> tuple[int, ...]:
        """Frames this job reads: those it writes and the context around them."""
        return widen(self.written, self.context)

    @property
    def view(self) -> str | None:
        """The view, where the job is about one only."""
        return self.views[0] if len(self.views) == 1 else None

    def each_view(self) -> tuple[Job, ...]:
        """The job once for each of its views."""
        return tuple(replace(self, views=(view,)) for view in self.views) or (self,)

    def input(self, name: str) -> Pattern | None:
        """The file pattern of an input, absolute, for this job's one view; None when the job does not give it."""
        return self._pattern(self.inputs.get(name))

    def output(self, name: str) -> Pattern | None:
        """The file pattern of an output, as `input`."""
        return self._pattern(self.outputs.get(name))

    def _pattern(self, text: str | None) -> Pattern | None:
        return Pattern(os.path.normpath(os.path.join(self.base, text))).for_view(self.view) if text else None

    def to_json(self) -> dict[str, Any]:
        """The job as it is written to a file; fields at their default are left out, but files."""
        found: dict[str, Any] = {"schema": SCHEMA, "tool": self.tool, "frames": format_frames(self.frames)}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in ("tool", "frames", "base"):
                continue
            if item.name not in ("inputs", "outputs") and (not value or value == item.default):
                continue
            found[item.name] = list(value) if isinstance(value, tuple) else value
        return found

    @property
    def hash(self) -> str:
        """Identity of what was asked for; the same wherever the file lies."""
        import hashlib  # brings OpenSSL; a host that only imports us need not wait for it

        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def save(self, path: str) -> None:
        """Write the job file; it appears whole or not at all. Hosts call this, so it needs no engine.

        Raises:
            OSError: it cannot be written.
        """
        write_text(path, json.dumps(self.to_json(), indent=1) + "\n")


def load(path: str) -> Job:
    """Read a job file.

    Raises:
        JobError: not there or unreadable (exit 3); not JSON, or fields that are wrong, all of them named (exit 2).
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        raise JobError(Problem("", f"the job file cannot be read: {path}", str(error.strerror), 3)) from None
    except ValueError as error:
        raise JobError(Problem("", f"{path} is not JSON: {error}", "was it cut off, or edited by hand?")) from None
    return read(data, os.path.dirname(os.path.abspath(path)))


def read(data: Any, base: str = "") -> Job:
    """A job from JSON values.

    Raises:
        JobError: everything that is wrong with the fields, in one list (exit 2).
    """
    if not isinstance(data, dict):
        raise JobError(Problem("", "a job is a JSON object", 'it starts with {"schema": "sfumato.job/1", "tool": ...'))
    if data.get("schema") != SCHEMA:
        hint = "this sfumato reads sfumato.job/1; a newer file needs a newer sfumato"
        raise JobError(Problem("schema", f"{data.get('schema')!r} is not {SCHEMA!r}", hint))
    problems = field_problems(data)
    frames: tuple[int, ...] = ()
    if isinstance(data.get("frames"), str):
        try:
            frames = parse_frames(data["frames"])
        except JobError as error:
            problems += error.problems
    if problems:
        raise JobError(problems)
    known = {item.name for item in fields(Job)} - {"tool", "frames", "views", "base"}
    values = {name: value for name, value in data.items() if name in known}
    return Job(tool=data["tool"], frames=frames, views=tuple(data.get("views", ())), base=base, **values)


_KINDS: dict[str, tuple[type[Any], str]] = {
    "tool": (str, "the name of a tool"),
    "frames": (str, 'a text like "1001-1048"'),
    "inputs": (dict, "an object of name: file"),
    "outputs": (dict, "an object of name: file"),
    "params": (dict, "an object of name: value"),
    "color": (dict, "an object of name: colour space"),
    "seed": (int, "a whole number"),
    "views": (list, "a list of view names"),
    "handles": (int, "a whole number of frames"),
    "context": (int, "a whole number of frames"),
    "missing": (str, "one of error, hold, skip"),
    "names": (dict, "an object with show, shot, task or version"),
}


def field_problems(data: Mapping[str, Any]) -> list[Problem]:
    """Fields of a job file that are missing, unknown or of the wrong kind."""
    found = [Problem(name, "is missing") for name in ("tool", "frames", "inputs", "outputs") if name not in data]
    for name, value in data.items():
        if name == "schema":
            continue
        if name not in _KINDS:
            found.append(Problem(name, "is not a field of a job", nearest(name, _KINDS)))
            continue
        kind, words = _KINDS[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            found.append(Problem(name, f"{value!r} should be {words}"))
        elif kind is int and name != "seed" and value < 0:
            found.append(Problem(name, f"{value} is negative", f"{name} is {words}"))
        elif name in ("inputs", "outputs", "names"):
            found += [
                Problem(f"{name}.{key}", f"{entry!r} should be text")
                for key, entry in value.items()
                if not isinstance(entry, str) or not entry
            ]
    if data.get("missing", "error") not in MISSING and isinstance(data.get("missing"), str):
        found.append(Problem("missing", f"{data['missing']!r} is not one of {', '.join(MISSING)}"))
    seed = data.get("seed", 0)
    if isinstance(seed, int) and not 0 <= seed < 2**63:
        found.append(Problem("seed", f"{seed} is outside 0 to 2^63 - 1"))
    views = data.get("views", [])
    if isinstance(views, list) and not all(isinstance(v, str) and v for v in views):
        found.append(Problem("views", "every view is a name"))
    return found
