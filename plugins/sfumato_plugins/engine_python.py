"""The engine's Python: where it is, and the environment it is started with. Never the host's own interpreter.

`sys.executable` inside Nuke or Maya is Nuke or Maya; it is not looked at.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from sfumato_plugins.errors import JobError
from sfumato_plugins.install import root
from sfumato_plugins.settings import config_folder, load_settings

SCHEMA = "sfumato.engine/1"
HINT = "set SFUMATO_PYTHON, or run `sfumato where nuke` (or maya) once with the sfumato that should compute"

DROPPED = ("PYTHON", "__PYVENV", "QT_", "QML", "NUKE", "MAYA", "VIRTUAL_ENV", "CONDA_", "OCIO")
LIBRARIES = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "DYLD_FRAMEWORK_PATH")
ADDED = {
    "PYTHONNOUSERSITE": "1",
    "PYTHONSAFEPATH": "1",  # the current folder may hold anything: a torch.py, a nuke/
    "PYTHONIOENCODING": "utf-8",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


class NoEngine(Exception):  # noqa: N818  (what there is not, in the words hosts use)
    """There is no engine to start, or it does not start. `message` and `hint` are for the artist."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class Found(NamedTuple):
    """The engine's Python, absolute, and what named it."""

    path: str
    why: str


def find_python(setting: str = "", environ: Mapping[str, str] = os.environ) -> Found:
    """The first that is named: the host's setting, $SFUMATO_PYTHON, `python =` of the settings files, the file that
    `sfumato where` left, the installation that these very files lie in.

    A name may be a program, a program on PATH, or the folder of a virtual environment.

    Raises:
        NoEngine: nothing is named, or the first that is named is not there; later ones are not tried then.
    """
    for name, why in _named(setting, environ):
        path = _program(name, environ)
        if path:
            return Found(path, why)
        raise NoEngine(f"there is no Python at {name} ({why})", HINT)
    raise NoEngine("nothing says which Python runs the engine", HINT)


def here() -> str:
    """The current folder, or the root where that was deleted under the host."""
    try:
        return os.getcwd()
    except OSError:
        return os.path.abspath(os.sep)


def _named(setting: str, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if setting:
        yield setting, "the host's setting"
    if environ.get("SFUMATO_PYTHON"):
        yield environ["SFUMATO_PYTHON"], "SFUMATO_PYTHON"
    try:
        settings = load_settings(environ, here())
    except JobError as error:
        raise NoEngine(error.problems[0].what, error.problems[0].hint) from None
    if settings.get("python"):
        yield str(settings.get("python")), settings.origin["python"]
    marked = read_marker(environ)
    if marked:
        yield marked, marker(environ)
    beside = _installed_beside()
    if beside:
        yield beside, "the installation this host plug-in is part of"


def _program(name: str, environ: Mapping[str, str]) -> str:
    import shutil

    path = os.path.expanduser(name)
    if os.path.isdir(path):
        for inside in ("bin/python", "bin/python3", "Scripts/python.exe", "python.exe"):
            if os.path.isfile(os.path.join(path, inside)):
                return os.path.abspath(os.path.join(path, inside))
        return ""
    found = shutil.which(path, path=environ.get("PATH"))
    return os.path.abspath(found) if found else ""


def _installed_beside() -> str:
    """The Python of PREFIX when this file lies in PREFIX/share/sfumato/plugins, as a wheel lays it."""
    prefix, _, tail = root().replace("\\", "/").rpartition("/share/")
    return prefix if tail == "sfumato" and _program(prefix, {}) else ""


def marker(environ: Mapping[str, str] = os.environ) -> str:
    """The file in which `sfumato where` leaves the path of its Python."""
    return os.path.join(config_folder(environ), "engine.json")


def read_marker(environ: Mapping[str, str] = os.environ) -> str:
    """The Python of the installation these files belong to, else the last one that was marked; empty if none."""
    try:
        with open(marker(environ), encoding="utf-8") as file:
            found = json.load(file)
        marked = found["by_folder"].get(root()) or found["python"]
        return marked if isinstance(marked, str) else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def write_marker(environ: Mapping[str, str] = os.environ) -> bool:
    """Leave this Python's path for hosts. Other versions beside this one keep theirs. False where nothing can be
    written: a HOME that is read-only is no error."""
    path = marker(environ)
    try:
        with open(path, encoding="utf-8") as file:
            known = dict(json.load(file)["by_folder"])
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    python = os.path.abspath(sys.executable)
    known = {folder: other for folder, other in known.items() if os.path.isfile(str(other))}
    document = {"schema": SCHEMA, "python": python, "by_folder": {**known, root(): python}}
    part = f"{path}.{os.getpid()}.part"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(part, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        os.replace(part, path)
    except OSError:
        return False
    return True


def kept_names(environ: Mapping[str, str]) -> list[str]:
    """Names that the settings files keep in the engine's environment.

    Raises:
        NoEngine: a settings file is wrong.
    """
    try:
        return [str(name) for name in load_settings(environ, here()).get("keep_environment", [])]
    except JobError as error:
        raise NoEngine(error.problems[0].what, error.problems[0].hint) from None


def clean_environment(environ: Mapping[str, str], keep: Iterable[str] = ()) -> dict[str, str]:
    """What the engine is started with: the host's environment without what is meant for the host's own Python, Qt,
    libraries and colour (OCIO goes into the job).

    keep: Names that stay all the same, such as LD_LIBRARY_PATH where a site's GPU driver needs it.
    """
    keep = set(keep)
    found = {
        name: value
        for name, value in environ.items()
        if name in keep or not (name.upper().startswith(DROPPED) or name in LIBRARIES)
    }
    return {**found, **ADDED}


def command(*args: str, python: str = "", environ: Mapping[str, str] = os.environ) -> list[str]:
    """The command line that runs sfumato on the engine's Python; to be started with `clean_environment(environ)`.

    python: The host's setting, as for `find_python`.

    Raises:
        NoEngine: as `find_python`.
    """
    return [find_python(python, environ).path, "-m", "sfumato_plugins.cli", *args]
