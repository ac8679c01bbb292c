"""The books of an output: a record beside every frame, a journal of what each run did, a result when all is there.

    M.1001.exr  M.1001.json  ...  M.journal.jsonl  M.result.json

A record is believed only if its fingerprint and the file it speaks of both match. A frame killed between its picture
and its record is found by the fingerprint inside the picture, so it is not computed again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from sfumato_plugins.errors import wrong
from sfumato_plugins.fingerprint import Origin, difference, fingerprint
from sfumato_plugins.frames import Pattern
from sfumato_plugins.tool import Made

FINGERPRINT = "sfumato:fingerprint"
TENSORS = ".safetensors"


class Ledger:
    """The books of one output pattern of one view; the journal is shared by all of them."""

    def __init__(self, output: Pattern, journal: str, view: str | None, run: str) -> None:
        self.output = output
        self.journal = journal
        self.view = view
        self._run = run

    def state(self, frame: int, made_from: Origin) -> str:
        """Empty when the frame is complete and made from exactly this; otherwise why it has to be computed."""
        path = self.output.at(frame)
        if not os.path.isfile(path):
            return "not made yet"
        record = self.record(frame)
        if record is None or record.get("fingerprint") != fingerprint(made_from):
            return self._adopted(frame, path, made_from, record)
        for name, known in record.get("files", {}).items():
            beside = os.path.join(os.path.dirname(path), name)
            if not os.path.isfile(beside):
                return f"{name} is gone"
            if os.path.getsize(beside) != known["bytes"] or _hash(beside) != known["hash"]:
                return f"{name} is not what was written: changed or damaged since"
        return ""

    def record(self, frame: int) -> dict[str, Any] | None:
        """What lies beside a frame; None when there is nothing readable."""
        try:
            with open(self.output.sidecar(frame), encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def close(self, made: Made, made_from: Origin, stamp: Mapping[str, Any], why: str) -> None:
        """Write a finished frame's record, then its line in the journal."""
        self._book(made, made_from, stamp)
        seconds = made.stats.get("seconds")
        self.write(made.frame, "computed", why, seconds=seconds, device=made.stats.get("device"))

    def _book(self, made: Made, made_from: Origin, stamp: Mapping[str, Any]) -> None:
        files = {os.path.basename(p): {"bytes": os.path.getsize(p), "hash": _hash(p)} for p in made.files}
        record = {
            "schema": "sfumato.frame/1",
            "frame": made.frame,
            "view": self.view,
            "fingerprint": fingerprint(made_from),
            "files": files,
            "provenance": dict(stamp),
            "stats": dict(made.stats),
            "made_from": made_from,
        }
        write_json(self.output.sidecar(made.frame), record)

    def write(self, frame: int, did: str, why: str, **more: Any) -> None:
        """Add one line to the journal: computed or kept, and why. One write, so that runs side by side do not mix."""
        line = {"frame": frame, "view": self.view, "did": did, "why": why, **more, "run": self._run}
        line["at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        handle = os.open(self.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(handle, (json.dumps(line) + "\n").encode())
        finally:
            os.close(handle)

    def _adopted(self, frame: int, path: str, made_from: Origin, record: Mapping[str, Any] | None) -> str:
        """Complete the record of a frame whose run died before writing it; otherwise say why the frame is stale."""
        inside = _inside(path)
        if inside.get(FINGERPRINT) == fingerprint(made_from) and (files := self._all_files(path, inside)):
            stamp = {k: v for k, v in inside.items() if k.startswith("sfumato:")}
            self._book(Made(frame, files, {}), made_from, stamp)
            return ""
        if record is None:
            return "a file of that name is there, but no record of how it was made"
        return difference(record.get("made_from", {}), made_from)

    def _all_files(self, path: str, inside: Mapping[str, Any]) -> tuple[str, ...]:
        names = str(inside.get("sfumato:files") or os.path.basename(path)).split("|")
        paths = tuple(os.path.join(os.path.dirname(path), name) for name in names)
        same = (_inside(p).get(FINGERPRINT) == inside.get(FINGERPRINT) for p in paths)
        there = all(os.path.isfile(p) for p in paths) and all(same)
        return paths if there and all(_whole(p) for p in paths) else ()


def read_journal(path: str) -> list[dict[str, Any]]:
    """The lines of a journal; one that was cut off by a crash is passed over."""
    found = []
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
        for line in file:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return found


def write_json(path: str, data: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    from sfumato.atomic import write_bytes

    try:
        write_bytes(path, (json.dumps(data, indent=1) + "\n").encode())
    except OSError as error:
        hint = "is the disk full or read-only?"
        raise wrong("outputs", f"{path} cannot be written: {error.strerror}", hint) from None


def remove(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _hash(path: str) -> str:
    from sfumato.io import file_hash

    return file_hash(path)


def _inside(path: str) -> Mapping[str, Any]:
    """Metadata of a picture, or of tensors; nothing when it cannot be read."""
    from sfumato.errors import SfumatoError
    from sfumato.io import read_header

    if path.endswith(TENSORS):
        return _tensors_say(path)
    try:
        return read_header(path).main.metadata
    except SfumatoError:
        return {}


def _tensors_say(path: str) -> Mapping[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:  # which finds a file that was cut off, too
            return file.metadata() or {}
    except (OSError, SafetensorError):
        return {}


def _whole(path: str) -> bool:
    """Whether every pixel can be read: a disk that failed may have kept the header and lost the rest."""
    from sfumato.errors import SfumatoError
    from sfumato.io import read_image

    if path.endswith(TENSORS):
        return bool(_tensors_say(path))
    try:
        read_image(path)
    except SfumatoError:
        return False
    return True
