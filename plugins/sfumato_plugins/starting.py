"""Starting an engine: which Python, with what environment, and where its words go that are not messages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from sfumato_plugins import logs
from sfumato_plugins.child import Child
from sfumato_plugins.engine_python import HINT, Found, NoEngine, clean_environment, find_python, here, kept_names


class Started(NamedTuple):
    """An engine's process, the Python it runs on, and the path of its log."""

    child: Child
    found: Found
    log: str


def start(python: str, host: str, log_folder: str, idle: float, environ: Mapping[str, str]) -> Started:
    """Start an engine; the arguments are those of `launch.Engine`.

    Raises:
        NoEngine: no Python is named, or what is named cannot be started.
    """
    found = find_python(python, environ)
    command = [found.path, "-m", "sfumato_plugins.cli", "worker", "--host", host, "--idle", str(idle)]
    cleaned = clean_environment(environ, kept_names(environ))
    try:
        log, handle = logs.new_log(log_folder or logs.log_folder(environ), host or "engine")
    except OSError as error:
        raise NoEngine(f"no log can be written: {error}", "name a folder for logs that can be written") from None
    try:
        logs.first_line(handle, f"{found.why}: {' '.join(command)}")
        return Started(Child(command, cleaned, handle, here()), found, log)
    except OSError as error:
        raise NoEngine(f"{found.path} ({found.why}) cannot be started: {error.strerror}", HINT) from None
    finally:
        os.close(handle)
