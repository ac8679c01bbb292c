"""The words a host and the engine exchange: one JSON object a line. Version 1 of them.

To the engine, "op":
  hello                  it answers with its own hello
  run      id, job, base, frames, force, mixed
                         job: the path of a job file, or its values with `base` for the folder they start from
  cancel   id            stop between two steps
  ping     id            pong at once, also while it computes
  release                give the GPU back: leave when idle
  quit                   leave; what runs is stopped between two steps
From the engine, "event" (id is empty where a message is about no job):
  hello      protocol, version, python, pid, tools
  accepted   id, ahead           how many jobs come first
  progress   id, share (0..1, whole percents, never falling), text, frame or null, seconds_left or null
  frame      id, frame, view, files        complete on disk
  note       id, text
  done       id, complete, result or null, computed, kept, skipped (each {view: [frames]}), seconds
  failed     id, kind, sentence, hint, log
  cancelled  id, sentence
  pong       id
Unknown keys are ignored, unknown words are answered with `failed`. Pixels never travel here: they are files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

PROTOCOL = 1
OPS = ("hello", "run", "cancel", "ping", "release", "quit")
EVENTS = ("hello", "accepted", "progress", "frame", "note", "done", "failed", "cancelled", "pong")
KINDS = ("request", "input", "memory", "internal", "engine", "timeout", "cancelled")


class NotAMessage(ValueError):  # noqa: N818  (what it is, not that it is an error of anybody)
    """A line that is not one JSON object, or says nothing this version knows."""


def encode(message: Mapping[str, Any]) -> bytes:
    """One line, ASCII, whatever the paths in it are made of."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The object in a line.

    Raises:
        NotAMessage: it is not UTF-8, not JSON, or not an object.
    """
    try:
        found = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotAMessage(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise NotAMessage(f"a message is a JSON object, not {type(found).__name__}")
    return found
