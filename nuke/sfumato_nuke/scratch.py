"""Folders for rendered inputs: only their user can look into them, and none outlives the job by more than one start.

A folder in use holds a locked file. Locks end with the process, so whatever has none was left by a crash.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator

from sfumato_plugins import shared_lock
from sfumato_plugins.errors import wrong
from sfumato_plugins.settings import Settings

_LOCK = "in-use.lock"
_held: dict[str, int] = {}


def root(settings: Settings) -> str:
    """The folder that all of this user's job folders lie in: where the site's `temporary` says, mode 0700.

    Raises:
        JobError: it cannot be made, or belongs to somebody else.
    """
    base = str(settings.get("temporary") or tempfile.gettempdir())
    folder = os.path.join(base, f"sfumato-{getpass.getuser()}")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if hasattr(os, "getuid"):
            if os.lstat(folder).st_uid != os.getuid():
                raise wrong("", f"{folder} belongs to somebody else", "set `temporary` in sfumato_site.toml")
            os.chmod(folder, 0o700)
    except OSError as error:
        what = f"no folder for rendered inputs can be made at {folder}: {error.strerror}"
        raise wrong("", what, "set `temporary` in sfumato_site.toml to a folder that can be written") from None
    return folder


def new(settings: Settings, name: str) -> str:
    """A job's own folder; `remove` it when the job ended, however it ended."""
    folder = tempfile.mkdtemp(prefix=f"{name}-", dir=root(settings)).replace("\\", "/")
    lock = shared_lock.open_shared(os.path.join(folder, _LOCK))
    shared_lock.lock(lock)
    _held[folder] = lock
    return folder


def remove(folder: str) -> None:
    """Take a job's folder away; nothing happens if it is gone."""
    lock = _held.pop(folder, None)
    if lock is not None:
        os.close(lock)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def leave(settings: Settings, inputs: str, result: str) -> None:
    """Note that the inputs in a folder are needed until a result is there: they belong to a farm's job."""
    path = os.path.join(root(settings), f"{uuid.uuid4().hex[:12]}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"inputs": inputs, "result": result}, file)


def sweep(settings: Settings) -> list[str]:
    """Remove what earlier sessions left: folders nobody holds, and inputs whose results are there. Returns them."""
    gone = []
    try:
        entries = [os.path.join(root(settings), name) for name in os.listdir(root(settings))]
    except Exception:  # tidying never keeps anybody from working
        return []
    for path in entries:
        if os.path.isdir(path) and path.replace("\\", "/") not in _held and not _in_use(path):
            shutil.rmtree(path, ignore_errors=True)
            gone.append(path)
        elif path.endswith(".json"):
            gone += _answered(path)
    return gone


def _answered(path: str) -> Iterator[str]:
    with contextlib.suppress(OSError, ValueError, KeyError):
        with open(path, encoding="utf-8") as file:
            note = json.load(file)
        if os.path.isfile(note["result"]):
            shutil.rmtree(note["inputs"], ignore_errors=True)
            yield str(note["inputs"])
        if not os.path.isdir(note["inputs"]):
            os.remove(path)


def _in_use(folder: str) -> bool:
    try:
        handle = os.open(os.path.join(folder, _LOCK), os.O_RDWR)
    except OSError:
        return False
    try:
        return not shared_lock.lock(handle)
    finally:
        os.close(handle)
