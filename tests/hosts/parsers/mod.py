"""Maya's module files, by the grammar of Autodesk's page "Distributing Maya plug-ins / Module description files".

A module starts with `+ [CONDITION:value ...] name version path`; the lines below it are `VARIABLE op value` with op one
of = := += +:= (a colon: relative to the module's path; a plus: added to what is there) or `[r] folder: path` for one of
its folders. Anything else is refused.
"""

from __future__ import annotations

import dataclasses
import re

CONDITIONS = {"MAYAVERSION", "PLATFORM", "LOCALE", "UILANGUAGE"}
FOLDERS = {"icons", "plug-ins", "presets", "scripts"}
VARIABLE = re.compile(r"([A-Za-z_]\w*)\s*(\+?:?=)\s*(\S.*)$")
FOLDER = re.compile(r"(?:\[r\]\s+)?([\w-]+):\s+(\S.*)$")


class ModuleFileError(ValueError):
    """What Maya would skip without a word."""


@dataclasses.dataclass
class Module:
    """One module: variables as (name, op, value), folders that are not at their usual place."""

    name: str
    version: str
    path: str
    conditions: dict
    variables: list = dataclasses.field(default_factory=list)
    folders: dict = dataclasses.field(default_factory=dict)


def parse(text):
    """The modules of a file; a file without one is refused."""
    modules = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(("//", "#")):
            continue
        if line[0] in "+-":
            modules.append(module(line, number))
            continue
        variable, folder = VARIABLE.match(line), FOLDER.match(line)
        if not modules or not (variable or folder):
            raise ModuleFileError(f"line {number}: {line!r} is neither a module, nor a variable, nor a folder")
        if variable:
            modules[-1].variables.append(variable.groups())
        elif folder[1] not in FOLDERS:
            raise ModuleFileError(f"line {number}: Maya knows no folder {folder[1]!r}")
        else:
            modules[-1].folders[folder[1]] = folder[2]
    if not modules:
        raise ModuleFileError("no module in this file")
    return modules


def module(line, number):
    words, conditions = line[1:].split(), {}
    if not line[1:2].isspace():
        raise ModuleFileError(f"line {number}: a space belongs after {line[0]!r}")
    while words and ":" in words[0]:
        name, _, value = words.pop(0).partition(":")
        if name not in CONDITIONS or not value:
            raise ModuleFileError(f"line {number}: {name}:{value} is no condition")
        conditions[name] = value
    if len(words) < 3:
        raise ModuleFileError(f"line {number}: + name version path")
    return Module(words[0], words[1], " ".join(words[2:]), conditions)
