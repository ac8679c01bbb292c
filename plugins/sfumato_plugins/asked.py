"""What a host asked an engine for: the message that was sent, and how far its cancelling is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from sfumato_plugins.engine_python import here


class Asked:
    """A job that has not ended.

    message: What was sent.
    accepted: The engine has it.
    cancelled: When it was told to stop, on the monotonic clock.
    softened: SIGTERM has been sent for it.
    again: It was sent a second time, to another engine.
    """

    def __init__(self, message: dict[str, Any]) -> None:
        self.message = message
        self.accepted = False
        self.cancelled: float | None = None
        self.softened = False
        self.again = False

    @property
    def can_be_asked_again(self) -> bool:
        """No engine has it, nobody wants it stopped, and it was not sent twice already."""
        return not self.accepted and self.cancelled is None and not self.again


def with_colour(job: str | Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """What a run message says of the job. The host's $OCIO is written into one that names no config."""
    if isinstance(job, str):
        path = os.path.abspath(job)
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
        except (OSError, ValueError):  # the engine says it better
            return {"job": path}
        base = os.path.dirname(path)
    else:
        path, values, base = "", dict(job), here()
    color = values.get("color", {}) if isinstance(values, dict) else None
    if environ.get("OCIO") and isinstance(color, dict) and not color.get("config"):
        values["color"] = {**color, "config": environ["OCIO"]}
    elif path:
        return {"job": path}
    return {"job": values, "base": base}
