"""Maya ASCII, as far as we write it: statements of words and quoted strings, each ended by a semicolon.

`parse(text)` gives the statements and refuses what is no Maya ASCII, commands and node types that we have no business
writing, attributes set on no node, and `-s` sizes that do not fit the values.
"""

from __future__ import annotations

import dataclasses
import re

TOKEN = re.compile(r"""\s+|//[^\n]*|"(?:[^"\\]|\\.)*"|;|[^\s;"]+""")
COMMANDS = {
    "requires",
    "currentUnit",
    "fileInfo",
    "createNode",
    "rename",
    "setAttr",
    "connectAttr",
    "select",
    "addAttr",
}
TYPES = {"animCurveTU", "animCurveTL", "animCurveTA", "animCurveTT"}
WORDS = {"yes", "no", "on", "off", "true", "false"}


class MayaTextError(ValueError):
    """What Maya would not take, or we have no business writing."""


@dataclasses.dataclass
class Statement:
    """command -flag value ... argument ...; `words` in order, strings without their quotes."""

    command: str
    words: list
    line: int

    def flag(self, name):
        """The word after a flag, None where the flag is not there."""
        return self.words[self.words.index(name) + 1] if name in self.words[:-1] else None


@dataclasses.dataclass
class Curve:
    """One animation curve of the file."""

    name: str
    kind: str
    keys: list = dataclasses.field(default_factory=list)
    attributes: dict = dataclasses.field(default_factory=dict)
    drives: str = ""


def statements(text):
    """Every statement, with the line that it starts on."""
    if not text.startswith("//Maya ASCII "):
        raise MayaTextError("the first line must be //Maya ASCII <version> scene")
    found, words, line, at = [], [], 1, 0
    while at < len(text):
        token = TOKEN.match(text, at)
        if token is None:
            raise MayaTextError(f"line {line}: a string that is not closed")
        word = token[0]
        if word == ";":
            if words:
                found.append(Statement(words[0][1], [value for _, value in words[1:]], words[0][0]))
            words = []
        elif word.strip() and not word.startswith("//"):
            words.append((line, re.sub(r"\\(.)", r"\1", word[1:-1]) if word[0] == '"' else word))
        line, at = line + word.count("\n"), token.end()
    if words:
        raise MayaTextError(f"line {words[0][0]}: {words[0][1]} is not ended by a semicolon")
    return found


def parse(text):
    """{name: Curve} of a file that holds animation curves and their connections, nothing else."""
    curves, current = {}, None
    for statement in statements(text):
        if statement.command not in COMMANDS:
            raise MayaTextError(f"line {statement.line}: {statement.command} is no command of ours")
        if statement.command == "createNode":
            kind, name = statement.words[0], statement.flag("-n")
            if kind not in TYPES or not name or name in curves:
                raise MayaTextError(f"line {statement.line}: createNode {kind} -n {name}")
            current = curves[name] = Curve(name, kind)
        elif statement.command == "setAttr":
            if current is None or not statement.words[-1]:
                raise MayaTextError(f"line {statement.line}: setAttr with no node before it")
            set_attribute(current, statement)
        elif statement.command == "connectAttr":
            source, target = [word for word in statement.words if not word.startswith("-")][:2]
            node, _, plug = source.partition(".")
            if node not in curves or plug not in {"o", "output"} or "." not in target:
                raise MayaTextError(f"line {statement.line}: connectAttr {source} {target}")
            curves[node].drives = target
    return curves


def set_attribute(curve, statement):
    """Enter one setAttr: keys into curve.keys, all else as words."""
    size, words = statement.flag("-s"), [word for word in statement.words if word not in {"-k", "-l", "-av"}]
    for flag in ("-s", "-type"):
        if flag in words:
            del words[words.index(flag) : words.index(flag) + 2]
    name, *values = words
    if not name.startswith("."):
        raise MayaTextError(f"line {statement.line}: setAttr {name} does not start with a dot")
    plug, _, span = name[1:].partition("[")
    if not span:
        curve.attributes[plug] = values
        return
    first, _, last = span.rstrip("]").partition(":")
    count = int(last or first) - int(first) + 1
    each = 2 if plug in {"ktv", "keyTimeValue"} else 1
    if len(values) != count * each or (size is not None and int(size) < count):
        raise MayaTextError(f"line {statement.line}: {name} has {len(values)} values for {count} entries (-s {size})")
    if each == 2:
        curve.keys += list(zip(map(float, values[::2]), map(float, values[1::2]), strict=True))
    else:
        curve.attributes.setdefault(plug, []).extend(values)
