"""The editor of control maps: a list of lines, the fields of the chosen one, and two ways to find targets."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from maya import cmds

from sfumato_maya import attributes, controls, windows
from sfumato_plugins import control_map, curves
from sfumato_plugins.control_map import ControlMap, Link
from sfumato_plugins.errors import JobError

WINDOW = "sfumato_map"
FIELDS = {
    "control": "the solver's name of the control",
    "target": "node.attribute, without a namespace",
    "scale": "attribute = scale x control + offset; two lines with opposite scales make a two-way slider",
    "offset": "added to the attribute",
    "limits": "low high; empty for none",
}
_lines: list[Link] = []


def show(path: str = "", curves_path: str = "") -> None:
    """Open the editor on a map, or on a line for each control of a curves file that the map has none for."""
    windows.close(WINDOW)
    windows.make(WINDOW, "sfumato Control Map", (560, 560))
    _draw(path)
    _lines.clear()
    try:
        if os.path.exists(path):  # a name that is not there yet is where Save will write
            _lines.extend(control_map.load(path).links)
        if curves_path:
            known = {line.control for line in _lines}
            _lines.extend(Link(name, "") for name in curves.load(curves_path).names if name not in known)
        _say(f"{len(_lines)} lines")
    except JobError as error:
        _say(str(error))
    _list(0)
    cmds.showWindow(WINDOW)


def _draw(path: str) -> None:
    cmds.columnLayout(adjustableColumn=True, rowSpacing=2)
    files = "Control map (*.json)"
    controls.draw_file(f"{WINDOW}_path", "Map file", "where Save writes", written=True, files=files)
    cmds.textFieldButtonGrp(f"{WINDOW}_path", edit=True, text=path)
    flags = {"numberOfRows": 16, "allowMultiSelection": False, "annotation": "one line for each control and target"}
    cmds.textScrollList(f"{WINDOW}_list", selectCommand=_chosen, **flags)
    for name, help in FIELDS.items():
        flags = {"label": name.capitalize(), "annotation": help, "columnWidth": (1, controls.LABEL)}
        cmds.textFieldGrp(f"{WINDOW}_{name}", changeCommand=_changed, **flags)
    cmds.rowLayout(numberOfColumns=5)
    for label, help, command in (
        ("Add", "another line for the chosen control", _add),
        ("Remove", "the chosen line", _remove),
        ("From selection", "target: what is marked in the channel box", _from_selection),
        ("Match names", "targets among the selected nodes whose attribute is called like the control", _match),
        ("Save", "write the map", _save),
    ):
        name = f"{WINDOW}_{label.lower().replace(' ', '_')}"
        cmds.button(name, label=label, width=104, annotation=help, command=command)
    cmds.setParent("..")
    cmds.text(f"{WINDOW}_status", label="", align="left", wordWrap=True)


def _say(text: str) -> None:
    cmds.text(f"{WINDOW}_status", edit=True, label=text)


def _line(link: Link) -> str:
    more = f" {link.offset:+g}" if link.offset else ""
    held = f"   {link.limits[0]:g} to {link.limits[1]:g}" if link.limits else ""
    return f"{link.control}  ->  {link.target or '?'}   x {link.scale:g}{more}{held}"


def _list(at: int) -> None:
    """Show all lines and choose one, counted from 0."""
    cmds.textScrollList(f"{WINDOW}_list", edit=True, removeAll=True)
    if _lines:
        cmds.textScrollList(f"{WINDOW}_list", edit=True, append=[_line(link) for link in _lines])
        cmds.textScrollList(f"{WINDOW}_list", edit=True, selectIndexedItem=min(at, len(_lines) - 1) + 1)
    _chosen()


def _at() -> int:
    """The chosen line, counted from 0; -1 for none."""
    found = cmds.textScrollList(f"{WINDOW}_list", query=True, selectIndexedItem=True)
    return int(found[0]) - 1 if found else -1


def _chosen(*_: Any) -> None:
    at = _at()
    link = _lines[at] if at >= 0 else Link("", "")
    limits = f"{link.limits[0]:g} {link.limits[1]:g}" if link.limits else ""
    texts = (link.control, link.target, f"{link.scale:g}", f"{link.offset:g}", limits)
    for name, text in zip(FIELDS, texts):
        cmds.textFieldGrp(f"{WINDOW}_{name}", edit=True, text=text, enable=at >= 0)


def _changed(*_: Any) -> None:
    """Take the fields over into the chosen line."""
    at = _at()
    if at < 0:
        return
    given = {name: cmds.textFieldGrp(f"{WINDOW}_{name}", query=True, text=True).strip() for name in FIELDS}
    try:
        limits = [float(word) for word in given["limits"].replace(",", " ").split()]
        if len(limits) not in (0, 2):
            raise ValueError("limits are two numbers, low and high")
        held = (limits[0], limits[1]) if limits else None
        scale, offset = float(given["scale"]), float(given["offset"] or 0)
        names = (given["control"], given["target"])
        _lines[at] = Link(*names, scale, offset, held, _lines[at].kind)
        _say("")
    except ValueError as error:
        _say(f"not taken over: {error}")
    _list(at)


def _add(*_: Any) -> None:
    at = max(_at(), 0)
    _lines.insert(at + 1, Link(_lines[at].control if _lines else "control", "", -1.0 if _lines else 1.0))
    _list(at + 1)


def _remove(*_: Any) -> None:
    if _at() >= 0:
        del _lines[_at()]
        _list(max(_at(), 0))


def _from_selection(*_: Any) -> None:
    """The chosen line's target becomes what is marked in the channel box, without its namespace."""
    nodes = cmds.ls(selection=True)
    marked = cmds.channelBox("mainChannelBox", query=True, selectedMainAttributes=True) or []
    marked = marked or cmds.channelBox("mainChannelBox", query=True, selectedHistoryAttributes=True) or []
    if not nodes or not marked or _at() < 0:
        return _say("choose a line, select a control and mark one of its attributes in the channel box")
    attribute = cmds.attributeName(f"{nodes[0]}.{marked[0]}", long=True)
    _lines[_at()] = replace(_lines[_at()], target=f"{_bare(nodes[0])}.{attribute}")
    _list(_at())


def _match(*_: Any) -> None:
    """Targets for lines without one, from the selected nodes' attributes and blend shape weights."""
    known: dict[str, str] = {}
    for node in cmds.ls(selection=True):
        for attribute in attributes.keyable(node):
            target = f"{_bare(node)}.{attribute}"
            known.setdefault(attribute.lower(), target)
            known.setdefault(f"{_bare(node)}_{attribute}".lower(), target)
    found = 0
    for at, link in enumerate(_lines):
        wanted = link.control.replace(".", "_").lower()
        if not link.target and wanted in known:
            _lines[at] = replace(link, target=known[wanted])
            found += 1
    _list(max(_at(), 0))
    _say(f"{found} targets found, {sum(not link.target for link in _lines)} lines without one")


def _bare(node: str) -> str:
    return "|".join(part.rpartition(":")[2] for part in node.split("|"))


def _save(*_: Any) -> None:
    """Write the lines that have a target, if nothing is wrong with them."""
    path = cmds.textFieldButtonGrp(f"{WINDOW}_path", query=True, text=True).strip()
    made = ControlMap(tuple(link for link in _lines if link.target))
    try:
        if not path or not made.links:
            return _say("nothing is saved: no line has a target" if path else "say where: no file is named")
        control_map.read(made.to_json())
        made.save(path)
    except JobError as error:
        return _say(f"not saved:\n{error}")
    except OSError as error:
        return _say(f"{path} cannot be written: {error.strerror}")
    _say(f"saved {len(made.links)} lines, {len(_lines) - len(made.links)} without a target left out")
