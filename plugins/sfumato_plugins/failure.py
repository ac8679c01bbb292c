"""What went wrong, for whoever can do something about it: an exit code for farms, a kind for hosts, sentences."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from sfumato_plugins.errors import JobError, Problem

_KINDS = {2: "request", 3: "input", 4: "memory", 130: "cancelled"}
_MEMORY = ("can't allocate memory", "out of memory", "std::bad_alloc", "alloc_failed")  # RuntimeErrors of torch
_NO_ROOM = {errno.ENOSPC: "the disk is full", errno.EFBIG: "the file is too large for the disk or the quota"}
if hasattr(errno, "EDQUOT"):
    _NO_ROOM[errno.EDQUOT] = "the quota is used up"


_NO_WAY = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


@dataclass(frozen=True)
class Failure:
    """code: the exit code of a command; kind: one of `wire.KINDS`. A `bug` is ours and comes with its traceback."""

    code: int
    kind: str
    problems: tuple[Problem, ...]
    bug: bool = False

    @property
    def sentence(self) -> str:
        """What happened; of several problems a line each."""
        return "\n".join(f"{p.where}: {p.what}" if p.where else p.what for p in self.problems)

    @property
    def hint(self) -> str:
        """What to do about it."""
        return "\n".join(dict.fromkeys(p.hint for p in self.problems if p.hint))


@contextlib.contextmanager
def naming(folder: str) -> Iterator[None]:
    """Let an error of the disk that names no file name at least the folder."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = folder
        raise


def failure(error: BaseException) -> Failure:
    """Judge an error that ended a command or a job."""
    if isinstance(error, JobError):
        return Failure(error.exit_code, _KINDS.get(error.exit_code, "request"), tuple(error.problems))
    if isinstance(error, KeyboardInterrupt):
        return Failure(130, "cancelled", (Problem("", "stopped by Ctrl-C"),))
    if _is_memory(error):
        hint = "close other programs, crop the plate to what matters, or use the quality preview"
        return Failure(4, "memory", (Problem("", ": ".join(("out of memory", *str(error).splitlines()[:1])), hint, 4),))
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        what = f"{_NO_ROOM[error.errno]}: {error.filename or 'a file'} could not be written"
        return Failure(2, "request", (Problem("outputs", what, "make room; frames already finished are kept"),))
    if isinstance(error, OSError) and error.errno in _NO_WAY and error.filename:
        what = f"{os.path.dirname(str(error.filename)) or error.filename} cannot be used: {error.strerror}"
        hint = "check that it is a folder and that you may write there, or name another one"
        return Failure(2, "request", (Problem("", what, hint),))
    if isinstance(error, ModuleNotFoundError):
        what = f"{sys.executable} has no module called {error.name}"
        hint = f"{sys.executable} -m pip install --force-reinstall sfumato"
        return Failure(1, "engine", (Problem("", what, hint, 1),), bug=True)
    code = getattr(error, "exit_code", 1)
    if isinstance(code, int) and code != 1:
        said = Problem("", getattr(error, "message", str(error)), getattr(error, "hint", ""), code)
        return Failure(code, _KINDS.get(code, "request"), (said,))
    what = f"a bug in sfumato: {type(error).__name__}: {_first_line(error)}"
    return Failure(1, "internal", (Problem("", what, "please report the lines above", 1),), bug=True)


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _MEMORY)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
