"""Progress as data: a loop tells where it is; the terminal, a panel or a farm decide what to do with it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Where a loop is.

    phase: What is going on, for people: "closed-form", "prior", "foreground".
    step, of: Position within the phase, 0 <= step <= of.
    frame: Frame number, where there is one.
    loss: The objective, where there is one.
    """

    phase: str
    step: int
    of: int
    frame: int | None = None
    loss: float | None = None


Report = Callable[[Step], None]
"""Who is told. It may raise `sfumato.errors.Cancelled` to stop the work between two steps."""


def silent(step: Step) -> None:
    """Tell nobody."""
