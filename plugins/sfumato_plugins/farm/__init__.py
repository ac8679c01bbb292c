"""Send a job to a farm: the same stages of tasks, written the way each farm reads them. Hosts call this too."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module

from sfumato_plugins.check import problems_here, writable
from sfumato_plugins.errors import JobError, nearest, wrong
from sfumato_plugins.farm.options import Options
from sfumato_plugins.farm.sheet import Sheet, sheet
from sfumato_plugins.job import load
from sfumato_plugins.paths import mapped
from sfumato_plugins.text_file import write_text

KINDS = {  # name -> what OUT is
    "openjd": "a template, .yaml or .json",
    "deadline-cloud": "a job bundle folder",
    "deadline10": "a folder with job and plug-in info files",
    "opencue": "an outline, .py",
    "tractor": "a job script, .alf",
    "commands": "a text file, one command a line",
}


def export(job_path: str, kind: str, out: str, options: Options | None = None) -> list[str]:
    """Write a job for a farm, the job file itself staying where it is.

    kind: One of `KINDS`.
    out: A file, or a folder where the farm wants several files. A folder may be there; files of ours in it are
        replaced.

    Returns:
        The files written, what to hand to the farm first.

    Raises:
        JobError: the job or an option is wrong, or nothing can be written there (exit 2 or 3).
    """
    if kind not in KINDS:
        raise wrong("--to", f"{kind!r} is no farm sfumato knows", nearest(kind, KINDS))
    options = options or Options()
    job = mapped(load(job_path), {"paths": [str(row) for row in options.paths]}, {})
    found = problems_here(job)
    if found:
        raise JobError(found)
    return _write(out, _files(kind, sheet(job, os.path.abspath(job_path), options), out))


def next_step(kind: str, written: list[str], job_path: str) -> str:
    """The line that hands what was written to the farm."""
    step: str = import_module(_module(kind)).next_step(written, os.path.abspath(job_path))
    return step


def _module(kind: str) -> str:
    return f"sfumato_plugins.farm.{kind.replace('-', '_')}"


def _files(kind: str, given: Sheet, out: str) -> Mapping[str, str]:
    """Name within OUT, or "" for OUT itself -> text."""
    files: Mapping[str, str] = import_module(_module(kind)).files(given, out)
    return files


def _write(out: str, files: Mapping[str, str]) -> list[str]:
    written = []
    for name, text in files.items():
        path = os.path.join(out, name) if name else out
        if found := writable("OUT", os.path.dirname(os.path.abspath(path))):
            raise JobError(found)
        if os.path.isdir(path):
            raise wrong("OUT", f"{path} is a folder", "name the file in it that should be written")
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            write_text(path, text)
        except OSError as error:
            raise wrong("OUT", f"{path} cannot be written: {error.strerror}") from None
        written.append(path)
    return written
