"""A file appears whole under its name, or not at all. Standard library only, so headers and journals can use it too."""

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: leftovers are recognised by age alone
    fcntl = None  # type: ignore[assignment]

_DAY = 24 * 3600.0  # a leftover of a writer nobody can ask is thrown away after this many seconds


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a name to write to; on success it becomes `path` in one step, on failure it is gone.

    The temporary file lies beside `path` as `.NAME.<random>.part`: hidden and without the extension, so no sequence
    pattern (`M.####.exr`, `M.*.exr`) matches it. It is created with the user's umask and the folder's setgid bit,
    flushed to disk before it takes the final name, and held under a lock while its writer lives: what a killed
    writer leaves is recognised and removed by the next one (`remove_leftovers`).

    Raises:
        OSError: the folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    remove_leftovers(path)
    part, held = _reserve(path)
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        if fcntl is None:
            os.close(held)  # Windows refuses to rename an open file
            held = -1
        os.replace(part, path)
        _flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
        if held >= 0:
            os.close(held)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a small file whole: see `replacing`."""
    with replacing(path) as part:
        part.write_bytes(data)


def remove_leftovers(path: str | Path) -> int:
    """Remove what killed writers of `path` left beside it, and nothing a living one is writing. Returns how many."""
    path = Path(path)
    removed = 0
    with contextlib.suppress(OSError):
        for part in path.parent.glob(f".{_escaped(path.name)}.*.part"):
            if _abandoned(part):
                part.unlink(missing_ok=True)
                removed += 1
    return removed


def _reserve(path: Path) -> tuple[Path, int]:
    """Create an empty temporary file beside `path` and lock it. Returns its name and the descriptor of the lock."""
    while True:
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
        held = os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        if fcntl is None:
            return part, held
        with contextlib.suppress(OSError):  # a file system without locks: age decides
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if part.exists():  # another writer may have taken it for a leftover before the lock was on
            return part, held
        os.close(held)


def _abandoned(part: Path) -> bool:
    if time.time() - part.stat().st_mtime > _DAY:
        return True
    if fcntl is None:
        return False
    with part.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _flush_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system lets a folder be flushed
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
