"""Kinds of parameters: what a knob, an option or a field of a panel may hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """One knob.

    changes_result: False for what only says where or how fast (the device): such a parameter never makes a frame stale.
    group: The tab or fold it is drawn in.
    when: Another parameter's name and the values of it that make this one matter; a panel greys it out otherwise.
    required: There is no default that means anything.
    private: Not for everybody who gets the pictures: records and metadata say it only where the site allows.
    """

    name: str
    label: str
    help: str
    default: Any = None
    group: str = ""
    changes_result: bool = True
    when: tuple[str, tuple[Any, ...]] | None = None
    required: bool = False
    private: bool = False

    def wrong(self, value: Any) -> str:
        """What is wrong with a value, in words; empty when nothing is."""
        raise NotImplementedError

    def read(self, text: str) -> Any:
        """The value that words stand for, for a field that holds only text."""
        return text


@dataclass(frozen=True)
class Whole(Parameter):
    """A whole number in low..high, with its unit."""

    low: int = 0
    high: int = 2**31 - 1
    unit: str = ""

    def wrong(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int):
            return f"{value!r} is not a whole number"
        return "" if self.low <= value <= self.high else f"{value} is outside {self.low} to {self.high}"


@dataclass(frozen=True)
class Number(Parameter):
    """A number in low..high, with its unit."""

    low: float = 0.0
    high: float = 1.0
    unit: str = ""

    def wrong(self, value: Any) -> str:
        return _outside(value, self.low, self.high)


@dataclass(frozen=True)
class Choice(Parameter):
    """One of a few words."""

    options: tuple[str, ...] = ()

    def wrong(self, value: Any) -> str:
        return "" if value in self.options else f"{value!r} is not one of {', '.join(self.options)}"


@dataclass(frozen=True)
class Several(Parameter):
    """Any of a few words, as a list."""

    options: tuple[str, ...] = ()

    def wrong(self, value: Any) -> str:
        if not isinstance(value, (list, tuple)):
            return f"{value!r} is not a list"
        unknown = [str(word) for word in value if word not in self.options]
        return f"{unknown[0]!r} is not one of {', '.join(self.options)}" if unknown else ""


class Text(Parameter):
    """Words."""

    def wrong(self, value: Any) -> str:
        return "" if isinstance(value, str) else f"{value!r} is not text"


class Prompt(Text):
    """Words for a picture, and at least one."""

    def wrong(self, value: Any) -> str:
        return super().wrong(value) or ("" if value.strip() else "is empty: say in words what the picture shows")


class ModelFolder(Text):
    """The folder of a trained model on this machine, the name of one in the site's `models`, or "embedded"."""

    def wrong(self, value: Any) -> str:
        return super().wrong(value) or ("" if value.strip() else "names no model; the one that comes along is embedded")


class Factors(Text):
    """Words with a factor each, "blue=2, ball=0.5"."""

    def wrong(self, value: Any) -> str:
        if super().wrong(value):
            return super().wrong(value)
        try:
            factors(value)
        except ValueError as error:
            return f"{error} should be written like blue=2, ball=0.5"
        return ""


def factors(text: str) -> dict[str, float]:
    """The factors of words.

    >>> factors("blue=2, red ball=0.5")
    {'blue': 2.0, 'red ball': 0.5}

    Raises:
        ValueError: a part is none; the error's words are that part.
    """
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        word, _, number = (side.strip() for side in part.rpartition("="))
        try:
            found[word] = float(number)
        except ValueError:
            raise ValueError(repr(part)) from None
        if not word or not math.isfinite(found[word]):
            raise ValueError(repr(part))
    return found


class PictureSize(Text):
    """Width and height in pixels, "576x320"; empty for a model's own."""

    def wrong(self, value: Any) -> str:
        if super().wrong(value):
            return super().wrong(value)
        return "" if not value.strip() or pixels(value) else f"{value!r} should be written like 576x320"


def pixels(text: str) -> tuple[int, int] | None:
    """Width and height; None for no size.

    >>> pixels("576 x 320")
    (576, 320)
    """
    width, _, height = text.lower().replace(" ", "").partition("x")
    return (int(width), int(height)) if width.isdigit() and height.isdigit() and int(width) and int(height) else None


class Boxes(Text):
    """Objects and their boxes, "red ball:0.1,0.5,0.4,0.8; cube=blue box:0.6,0.2,0.9,0.5"."""

    def wrong(self, value: Any) -> str:
        if super().wrong(value):
            return super().wrong(value)
        try:
            boxes(value)
        except ValueError as error:
            return f"{error} should be written like red ball:0.1,0.5,0.4,0.8, which is left, top, right, bottom"
        return ""


def boxes(text: str) -> list[tuple[str, str, tuple[float, float, float, float]]]:
    """Objects' names, their phrases, and left, top, right, bottom in parts of the picture, y down.

    >>> boxes("red ball:0.1,0.5,0.4,0.8; cube=blue box:.6,.2,.9,.5")
    [('red ball', 'red ball', (0.1, 0.5, 0.4, 0.8)), ('cube', 'blue box', (0.6, 0.2, 0.9, 0.5))]

    Raises:
        ValueError: a part is none; the error's words are that part.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.replace("\n", ";").split(";"))):
        words, _, edges = part.rpartition(":")
        name, _, phrase = (" ".join(side.split()) for side in words.rpartition("="))
        try:
            left, top, right, bottom = (float(edge) for edge in edges.split(","))
        except ValueError:
            raise ValueError(repr(part)) from None
        if not phrase or not all(map(math.isfinite, (left, top, right, bottom))):
            raise ValueError(repr(part))
        found.append((name or phrase, phrase, (left, top, right, bottom)))
    return found


@dataclass(frozen=True)
class NumberOr(Parameter):
    """A number in low..high, or one of a few words."""

    low: float = 0.0
    high: float = 1.0
    options: tuple[str, ...] = ()

    def wrong(self, value: Any) -> str:
        if isinstance(value, str):
            words = ", ".join(self.options)
            return "" if value in self.options else f"{value!r} is neither a number nor one of {words}"
        return _outside(value, self.low, self.high)

    def read(self, text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return text.strip()


class Switch(Parameter):
    """On or off."""

    def wrong(self, value: Any) -> str:
        return "" if isinstance(value, bool) else f"{value!r} is not true or false"


def missing(parameters: Sequence[Parameter], params: Mapping[str, Any]) -> list[Parameter]:
    """Parameters that must be given and are not."""
    return [p for p in parameters if p.required and p.name not in params]


def _outside(value: Any, low: float, high: float) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return f"{value!r} is not a number"
    return "" if low <= value <= high else f"{value:g} is outside {low:g} to {high:g}"
