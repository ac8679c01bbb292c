"""What the runner hands a tool besides the job: where it computes, what it may keep, and how it signs its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    import torch

    from sfumato.color import Config
    from sfumato_plugins.store import FolderStore


@dataclass(frozen=True)
class Place:
    """Where a tool runs.

    device: What computes; None where nothing is solved.
    config: The colour configuration of the job.
    store: Keeps states between runs, so that a killed run loses little; None where nothing is solved.
    stamp: The provenance a frame's file carries, as EXR attributes; no time of day, so that bytes repeat.
    note: Tell the artist something once: what colour space was assumed, how many pixels are holes.
    """

    device: torch.device | None
    config: Config
    store: FolderStore | None
    stamp: Callable[[int], Mapping[str, Any]]
    note: Callable[[str], None]
