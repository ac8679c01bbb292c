"""What has to be closed when the plug-in goes: only what was ever opened, so nothing is imported for it."""

from __future__ import annotations

import sys
from typing import Any


def close_everything() -> None:
    """Close our windows, then the engine."""
    _call("windows", "close_all")
    close_engine()


def close_engine() -> None:
    """End the engine, if one was started."""
    _call("work", "close")


def _call(module: str, function: str) -> None:
    loaded: Any = sys.modules.get(f"sfumato_maya.{module}")
    if loaded is not None:
        getattr(loaded, function)()
