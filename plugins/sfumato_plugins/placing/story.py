"""Story files: several panels with the same objects, boxes for each panel. Standard library only.

    {"schema": "sfumato.story/1",
     "objects": {"ball": "red ball", "cube": "blue box"},
     "panels": [{"prompt": "a red ball on grass", "boxes": {"ball": [0.1, 0.5, 0.4, 0.8]}},
                {"prompt": "a red ball and a blue box on sand",
                 "boxes": {"ball": [0.1, 0.5, 0.4, 0.8], "cube": [0.6, 0.2, 0.9, 0.5]}}]}

Panels are the frames 1, 2, 3 and so on. Boxes are left, top, right, bottom in parts of the picture, y down; an object
without a box is not in that panel. Where boxes overlap, the object named first is in front.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sfumato_plugins.errors import JobError, Problem, nearest

if TYPE_CHECKING:
    from typing import TypeGuard  # of Python 3.10

SCHEMA = "sfumato.story/1"
Edges = tuple[float, float, float, float]
WHERE = "inputs.story"


@dataclass(frozen=True)
class Panel:
    """One picture: its prompt, and name, phrase and box of each object in it, the nearest first."""

    prompt: str
    objects: tuple[tuple[str, str, Edges], ...]


def read_story(path: str) -> tuple[Panel, ...]:
    """The panels of a story.

    Raises:
        JobError: not there or no JSON (exit 3), or what is wrong with it, a sentence for each (exit 2).
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        raise JobError(Problem(WHERE, f"the story {path} cannot be read: {error.strerror}", "", 3)) from None
    except ValueError as error:
        raise JobError(Problem(WHERE, f"the story {path} is no JSON: {error}", "was it edited by hand?", 3)) from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise JobError(Problem(WHERE, f"{path} is no story of schema {SCHEMA}", f'it begins {{"schema": "{SCHEMA}",'))
    objects, panels = data.get("objects"), data.get("panels")
    if not _texts(objects) or not isinstance(panels, list) or not panels:
        hint = '"objects" gives each name its words, "panels" lists {"prompt": ..., "boxes": {name: [l, t, r, b]}}'
        raise JobError(Problem(WHERE, f"{path} lacks objects or panels", hint))
    problems = [p for number, panel in enumerate(panels, 1) for p in _wrong(number, panel, objects)]
    if problems:
        raise JobError(problems)
    return tuple(_panel(panel, objects) for panel in panels)


def _panel(panel: Mapping[str, Any], objects: Mapping[str, str]) -> Panel:
    boxes = panel.get("boxes", {})
    found = []
    for name, phrase in objects.items():
        if name in boxes:
            left, top, right, bottom = map(float, boxes[name])
            found.append((name, phrase, (left, top, right, bottom)))
    return Panel(str(panel["prompt"]), tuple(found))


def _wrong(number: int, panel: Any, objects: Mapping[str, str]) -> list[Problem]:
    said = f"panel {number}"
    if not isinstance(panel, dict) or not isinstance(panel.get("prompt"), str) or not panel["prompt"].strip():
        return [Problem(WHERE, f"{said} has no prompt", 'write {"prompt": "a red ball on grass", "boxes": {...}}')]
    boxes = panel.get("boxes", {})
    if not isinstance(boxes, dict):
        return [Problem(WHERE, f"the boxes of {said} are no object of name: box", "boxes go by the objects' names")]
    found = []
    for name, edges in boxes.items():
        if name not in objects:
            found.append(Problem(WHERE, f"{said} has a box for {name!r}, no object", nearest(name, objects)))
        elif not isinstance(edges, list) or len(edges) != 4 or not all(_number(edge) for edge in edges):
            what = f"the box of {name!r} in {said} is {edges!r}"
            found.append(Problem(WHERE, what, "give left, top, right, bottom, from 0 to 1, y down"))
    return found


def _texts(objects: Any) -> TypeGuard[Mapping[str, str]]:
    return (
        isinstance(objects, dict)
        and bool(objects)
        and all(isinstance(text, str) and text.strip() for text in (*objects, *objects.values()))
    )


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
