"""What a site check finds out, whatever the host: a report of what works here, printed as it goes.

A check never raises: what goes wrong is a line of the report. nuke/sfumato_nuke/site_check.py and
maya/scripts/sfumato_maya/site_check.py are the two that a customer runs.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any

SIZE = 64
OK, NO, SKIPPED = "ok", "NO", "--"


class Report:
    """Lines of (state, what, note). `code` is 0 if nothing failed, else 1."""

    def __init__(self, title: str) -> None:
        self.rows: list[tuple[str, str, str]] = []
        print(f"{title}\n")

    @property
    def code(self) -> int:
        """The exit code."""
        return int(any(state == NO for state, _, _ in self.rows))

    def add(self, state: str, what: str, note: object = "") -> None:
        """One line, printed at once."""
        text = " ".join(str(note).split())
        self.rows.append((state, what, text))
        print(f"  {state}  {what:28} {text}", flush=True)

    def check(self, what: str, call: Callable[[], Any]) -> Any:
        """What `call` gives, noted down; None where it raised, which is noted down too."""
        try:
            found = call()
        except Exception as error:
            self.add(NO, what, f"{type(error).__name__}: {error}")
            return None
        self.add(OK, what, found)
        return found

    def end(self) -> int:
        """Print the sum and give the exit code."""
        count = [sum(state == kind for state, _, _ in self.rows) for kind in (OK, NO, SKIPPED)]
        print(f"\n{count[0]} work, {count[1]} do not, {count[2]} were not tried")
        if self.code:
            print("Send this report with the lines above it to whoever looks after sfumato at your site.")
        return self.code


def python_and_qt(report: Report) -> None:
    """Which Python and which Qt this host brings."""
    report.add(OK, "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in ("PySide6", "PySide2"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        report.add(OK, "Qt", f"{name} {getattr(module, '__version__', '')}")
        return
    report.add(SKIPPED, "Qt", "no PySide here: without a window none is needed")


def calls_are_there(report: Report, listed: str, *, window: bool) -> None:
    """Whether the host has every name in this file of dotted names, the ones that our code uses.

    A name marked `# window` is asked only where there is one; Qt's are asked of the Qt that is there, if any is.
    """
    with open(listed, encoding="utf-8") as file:
        lines = [line.partition("#") for line in file if line.strip() and not line.startswith("#")]
    names = [name.strip() for name, _, mark in lines if window or mark.strip() != "window"]
    qt = next((name for name in ("PySide6", "PySide2") if has(f"{name}.QtCore")), "")
    names = [name.replace("PySide6", qt) for name in names if qt or not name.startswith("PySide6")]
    missing = [name for name in names if not has(name)]
    note = f"{len(names) - len(missing)} of {len(names)}" + (f"; missing: {', '.join(missing)}" if missing else "")
    report.add(NO if missing else OK, "calls that sfumato makes", note)


def has(dotted: str) -> bool:
    """Whether a dotted name can be reached: its longest part that imports, then attribute by attribute."""
    words = dotted.split(".")
    for count in range(len(words), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(words[:count]))
        except ImportError:
            continue
        try:
            for word in words[count:]:
                found = getattr(found, word)
        except (AttributeError, RuntimeError):
            return False
        return True
    return False


def engine(report: Report, host: str, folder: str) -> str:
    """Find the engine, start it, and have it make a tiny matte in `folder`; the picture's path, or ''."""
    from sfumato_plugins.engine_python import find_python
    from sfumato_plugins.launch import Engine

    def found() -> str:
        python = find_python()
        return f"{python.path} ({python.why})"

    if report.check("the engine's Python", found) is None:
        report.add(SKIPPED, "a tiny matte", "there is no engine to make it")
        return ""
    ours = Engine(host=host, log_folder=os.path.join(folder, "logs"))
    try:
        report.check("the engine says hello", lambda: _hello(ours))
        matte = report.check("a tiny matte", lambda: _matte(ours, folder))
    finally:
        ours.close()
    return os.path.join(folder, "matte.0001.exr") if matte else ""


def _hello(ours: Any) -> str:
    began = time.monotonic()
    ours.start()
    said = _until(ours, ("hello",), 120)
    took = 1000 * (time.monotonic() - began)
    return f"{took:.0f} ms; sfumato {said.get('version')}, Python {said.get('python')}"


def _matte(ours: Any, folder: str) -> str:
    for name, pixel in (("plate", _plate), ("trimap", _trimap)):
        _write_png(os.path.join(folder, f"{name}.0001.png"), pixel)
    job = {
        "schema": "sfumato.job/1",
        "tool": "matte",
        "frames": "1",
        "inputs": {name: os.path.join(folder, f"{name}.####.png") for name in ("plate", "trimap")},
        "outputs": {"matte": os.path.join(folder, "matte.####.exr")},
        "params": {"quality": "preview", "device": "cpu"},
    }
    began = time.monotonic()
    ours.run(job)
    said = _until(ours, ("done", "failed", "cancelled"), 600)
    if said["event"] != "done":
        raise RuntimeError(f"{said.get('sentence')} {said.get('hint') or ''} log: {said.get('log') or ours.log}")
    size = os.path.getsize(os.path.join(folder, "matte.0001.exr"))
    return f"{time.monotonic() - began:.1f} s, {size} bytes"


def _until(ours: Any, events: Iterable[str], seconds: float) -> dict[str, Any]:
    """The first message of one of these kinds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for message in ours.poll():
            if message["event"] in events:
                return dict(message)
            if message["event"] == "failed":
                raise RuntimeError(message.get("sentence", "the engine failed"))
        time.sleep(0.02)
    raise TimeoutError(f"nothing was heard for {seconds:.0f} s; log: {ours.log}")


def _inside(x: int, y: int) -> float:
    """Distance from the disc's rim in pixels, positive inside."""
    return 20.0 - float(((x - SIZE / 2) ** 2 + (y - SIZE / 2) ** 2) ** 0.5)


def _plate(x: int, y: int) -> bytes:
    return bytes((230, 120 + x, 60)) if _inside(x, y) > 0 else bytes((20, 60 + y, 140))


def _trimap(x: int, y: int) -> bytes:
    far = _inside(x, y)
    return (b"\xff" if far > 0 else b"\x00") * 3 if abs(far) > 3 else b"\x80" * 3


def _write_png(path: str, pixel: Callable[[int, int], bytes]) -> None:
    """An 8-bit RGB picture of SIZE x SIZE; no library of the host is asked."""
    rows = b"".join(b"\x00" + b"".join(pixel(x, y) for x in range(SIZE)) for y in range(SIZE))
    head = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
            file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def run(title: str, checks: Callable[[Report, str], None]) -> int:
    """Print a whole report, in a folder that is gone afterwards; the exit code. Never raises."""
    report = Report(title)
    folder = tempfile.mkdtemp(prefix="sfumato-site-check-")
    try:
        checks(report, folder)
    except Exception as error:
        report.add(NO, "the check itself", f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.flush()
    return report.end()
