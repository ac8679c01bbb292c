"""What a node is made of, as data: `node.py` builds it in Nuke, `text.py` writes it down. Knows no Nuke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Knob:
    """One knob of the panel. Names are saved in scripts and never change.

    kind: tab, divider, text, string, file, whole, number, switch, choice or button.
    value: What a new node has; for a choice one of the options.
    low, high: The slider's range; values beyond it may be typed in.
    script: What a button runs.
    same_line: Drawn beside the knob before it.
    hidden: Kept for us, not shown.
    saved: False for what only tells how things stand: it is not written into the script.
    when: Another knob's name and the values of it that make this one matter.
    """

    kind: str
    name: str
    label: str = ""
    help: str = ""
    value: Any = None
    options: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    script: str = ""
    same_line: bool = False
    hidden: bool = False
    saved: bool = True
    when: tuple[str, tuple[Any, ...]] | None = None


@dataclass(frozen=True)
class Expr:
    """A knob's value as Nuke's expression."""

    text: str


@dataclass(frozen=True)
class Inside:
    """One of Nuke's own nodes inside the Group.

    kind: Its class. inputs: Names of the nodes it takes from, in Nuke's order. knobs: In the order they are set.
    layers: Layers its knobs name, with their channels, which a script may not know yet.
    at: Column and row where it is drawn.
    """

    kind: str
    name: str
    inputs: tuple[str, ...] = ()
    knobs: Mapping[str, Any] = field(default_factory=dict)
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    at: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Design:
    """A whole node: its name, panel and inner nodes, those that others take from first."""

    name: str
    help: str
    knobs: tuple[Knob, ...]
    inside: tuple[Inside, ...]
