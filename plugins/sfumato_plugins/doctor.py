"""`sfumato doctor`: what is installed, what computes, which colours and settings apply, what to do about the rest."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sfumato_plugins.errors import JobError
from sfumato_plugins.install import host_folder
from sfumato_plugins.runtime import allowed_cores
from sfumato_plugins.settings import KNOWN, Settings, load_settings

PACKAGES = ("torch", "numpy", "scipy", "OpenImageIO", "opencolorio", "safetensors", "openjd-sessions")
OPTIONAL = {
    "pymatting": "sfumato bench: pip install 'sfumato[bench]'",
    "diffusers": "sfumato edit and invert: pip install 'sfumato[diffusion]'",
    "transformers": "sfumato edit and invert: pip install 'sfumato[diffusion]'",
}


@dataclass(frozen=True)
class Line:
    """One finding. `well` is False when something has to be done before sfumato works."""

    about: str
    found: str
    well: bool = True


def examine() -> list[Line]:
    """Look at everything; nothing that fails stops the rest."""
    settings, wrong = Settings(), ""
    try:
        settings = load_settings()
    except JobError as error:  # said once; the rest is looked at as if there were no settings
        wrong = "; ".join(filter(None, (error.problems[0].what, error.problems[0].hint)))
    return [
        *_safely("versions", _versions),
        *_safely("computing", _computing),
        *_safely("colour", lambda: _colour(settings)),
        *_safely("settings", lambda: _settings(settings, wrong)),
        *_safely("folders", lambda: _folders(settings)),
    ]


def _safely(about: str, look: Callable[[], Iterator[Line]]) -> list[Line]:
    found: list[Line] = []
    try:
        found.extend(look())
    except Exception as error:  # a doctor reports, whatever is wrong
        found.append(Line(about, f"{type(error).__name__}: {error}", False))
    return found


def _versions() -> Iterator[Line]:
    from sfumato import __version__

    yield Line("sfumato", __version__)
    yield Line("python", f"{platform.python_version()}, {sys.executable}", sys.version_info >= (3, 11))
    for name in PACKAGES:
        try:
            yield Line(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Line(name, f"not installed: pip install {name}", False)
    for name, use in OPTIONAL.items():
        try:
            yield Line(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Line(name, f"not installed (only for {use})")


def _computing() -> Iterator[Line]:
    from sfumato.device import describe, free_memory, pick_device

    device = pick_device("auto")
    yield Line("device", describe(device))
    yield Line("free memory", f"{free_memory(device) / 2**30:.1f} GiB")
    yield Line("cores", f"{allowed_cores()} to use, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}")


def _colour(settings: Settings) -> Iterator[Line]:
    from sfumato.color import choose_config

    config = choose_config(None, os.environ.get("OCIO") or settings.get("config"))
    yield Line("colour", f"{config.source}; {len(config.spaces)} spaces, hash {config.hash[:12]}")


def _settings(settings: Settings, wrong: str) -> Iterator[Line]:
    for variable in ("SFUMATO_SITE", "SFUMATO_SHOW"):
        if (named := os.environ.get(variable)) and not os.path.isfile(named):
            yield Line("settings", f"{variable} names {named}, and there is no such file", False)
    if wrong:
        yield Line("settings", wrong, False)
        return
    yield Line("settings", ", ".join(settings.files) or "no sfumato_site.toml, show or user file: all defaults")
    for name in KNOWN:
        if name in settings.values:
            yield Line(f"  {name}", f"{settings.get(name)!r}, set by {settings.origin[name]}")


def _folders(settings: Settings) -> Iterator[Line]:
    temporary = settings.get("temporary") or tempfile.gettempdir()
    writable = os.access(temporary, os.W_OK)
    yield Line("temporary", temporary if writable else f"{temporary} is not writable: set `temporary`", writable)
    for host in ("nuke", "maya"):
        try:
            yield Line(host, host_folder(host))
        except JobError:
            yield Line(host, "no folder for it in this installation")
