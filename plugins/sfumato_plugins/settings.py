"""Settings a facility makes once: sfumato_site.toml, then the show's file, then the user's; a later one wins.

python = "/tools/sfumato/bin/python"      # the engine's Python, for hosts
keep_environment = ["LD_LIBRARY_PATH"]    # what hosts hand on to the engine although they would drop it
config = "/shows/ab/config.ocio"          # colour, when the job names none
output = "{shot}/matte/{version}/{shot}_matte_{version}.####.exr"
models = ["/tools/models"]
gpu_memory_limit = 12.0                   # GiB of a GPU that one run may take; the rest is for hosts
device = "auto"
show = "ab"
require_commercial = true                 # refuse model weights without a commercial licence
prompts_in_metadata = false
temporary = "/fast/tmp"
detector = "/tools/detect --cpu"          # finds objects in pictures, for place and trail (placing/detecting.py)

[farm]                                    # all of it: farm/options.py
pool = "gpu"
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sfumato_plugins.errors import nearest, wrong

KNOWN: dict[str, type] = {
    "python": str,
    "keep_environment": list,
    "config": str,
    "output": str,
    "gpu_memory_limit": float,
    "models": list,
    "device": str,
    "show": str,
    "require_commercial": bool,
    "prompts_in_metadata": bool,
    "temporary": str,
    "detector": str,
    "farm": dict,
}


@dataclass(frozen=True)
class Settings:
    """Values, and the file that set each."""

    values: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)


def candidates(environ: Mapping[str, str], start: str) -> list[str]:
    """Where settings may lie, weakest first: site, show (found upwards from `start`), user."""
    site = environ.get("SFUMATO_SITE") or os.path.join(_prefix(), "sfumato_site.toml")
    show = environ.get("SFUMATO_SHOW") or _upwards(start, "sfumato_show.toml")
    return [path for path in (site, show, os.path.join(config_folder(environ), "sfumato.toml")) if path]


def config_folder(environ: Mapping[str, str]) -> str:
    """The user's own folder for settings; it may not be there."""
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(home, "sfumato")


def load_settings(environ: Mapping[str, str] | None = None, start: str = "") -> Settings:
    """Read the settings that apply in a folder (default: the current one).

    Raises:
        JobError: a file is not TOML, or a setting is unknown or of another kind (exit 2).
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    files = []
    for path in candidates(environ, start or os.getcwd()):
        if not os.path.isfile(path):
            continue
        files.append(path)
        for name, value in _checked(path).items():
            values[name] = {**values.get(name, {}), **value} if isinstance(value, dict) else value
            origin[name] = path
    return Settings(values, origin, tuple(files))


def _checked(path: str) -> Mapping[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            found = parse_toml(file.read())
    except (OSError, ValueError) as error:
        raise wrong("settings", f"{path} cannot be read: {error}", "correct it, or move it away") from None
    for name, value in found.items():
        if name not in KNOWN:
            raise wrong("settings", f"{path}: {name} is not a setting", nearest(name, KNOWN))
        if not isinstance(value, (int, float) if KNOWN[name] is float else KNOWN[name]):
            raise wrong("settings", f"{path}: {name} should be {KNOWN[name].__name__}, not {value!r}")
    return found


def parse_toml(text: str) -> dict[str, Any]:
    """TOML by the standard library where it has it (3.11); in older hosts the plain part of it that we document.

    Raises:
        ValueError: not TOML, or more than the plain part: texts, numbers, true/false, one-line lists, [tables].
    """
    try:
        import tomllib
    except ModuleNotFoundError:
        return _plain_toml(text)
    return tomllib.loads(text)


_LINE = re.compile(r"""\s*(?:\[(?P<table>[\w.-]+)\]|(?P<key>[\w-]+)\s*=\s*(?P<value>.+?))?\s*(?:\#[^"']*)?""")


def _plain_toml(text: str) -> dict[str, Any]:
    import ast

    found: dict[str, Any] = {}
    table = found
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line)
        try:
            if not match:
                raise ValueError
            if match["table"]:
                table = found.setdefault(match["table"], {})
            elif match["key"]:
                value = match["value"]
                words = {"true": True, "false": False}
                table[match["key"]] = words[value] if value in words else ast.literal_eval(value)
        except (ValueError, SyntaxError):
            raise ValueError(f"line {number} is more than this Python's reader knows: {line.strip()}") from None
    return found


def _prefix() -> str:
    """The folder that holds plugins/, nuke/ and maya/: a checkout, or share/sfumato of an installation."""
    from sfumato_plugins.install import root

    return root()


def _upwards(start: str, name: str) -> str:
    folder = os.path.abspath(start)
    while True:
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above
