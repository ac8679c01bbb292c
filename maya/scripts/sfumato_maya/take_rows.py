"""What a panel has besides knobs where a tool turns markers into curves: look, fix a key, go a step further, apply."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Callable

import maya.api.OpenMaya as om
from maya import cmds

from sfumato_maya import controls, curves_panel, markers
from sfumato_plugins.errors import JobError, Problem
from sfumato_plugins.facing import folder
from sfumato_plugins.tool import Tool


class TakeRows:
    """The rows of one panel; their controls are named WINDOW_NAME.

    file: Reads the panel's field of that name, absolute; empty where nothing is typed.
    run: Runs the panel's job.
    """

    def __init__(self, tool: Tool, window: str, file: Callable[[str], str], run: Callable[[], None]) -> None:
        self.tool, self.window, self._file, self._run = tool, window, file, run
        self._first: list[float] = []

    def draw(self) -> None:
        """Draw them under the current layout."""
        cmds.frameLayout(label="Look and correct", collapsable=True, collapse=False)
        cmds.columnLayout(adjustableColumn=True, rowSpacing=2)
        self._list("first", "frames to look at first; choose one to go there", lambda *_: self._go())
        flags = {"columnWidth": (1, controls.LABEL)}
        cmds.textFieldGrp(f"{self.window}_control", label="Control", annotation="such as jawOpen", **flags)
        help = "what it should be at the current frame"
        cmds.floatFieldGrp(f"{self.window}_value", label="Value", value1=0.0, precision=4, annotation=help, **flags)
        help = "no later stage changes it, not even the fine-tune"
        cmds.checkBoxGrp(f"{self.window}_lock", numberOfCheckBoxes=1, label="", label1="Lock", value1=True,
                         annotation=help, **flags)  # fmt: skip
        self._buttons(
            ("fix", "Fix key", "at the current frame; what depends on it is solved with the next run", self.fix),
            ("free", "Let go", "let the key at the current frame go again", lambda: self.fix(free=True)),
            ("next", "Run next stage", "one stage further than the folder is", self.next),
            ("apply", "Apply...", "the curves onto a rig, in one undo", self.apply),
        )
        self._list("keys", "keys that are fixed", lambda *_: None)
        cmds.setParent("..")
        cmds.setParent("..")

    def _list(self, name: str, help: str, chosen: Callable[..., None]) -> None:
        cmds.textScrollList(f"{self.window}_{name}", numberOfRows=4, annotation=help, selectCommand=chosen)

    def _buttons(self, *buttons: tuple[str, str, str, Callable[[], None]]) -> None:
        cmds.rowLayout(numberOfColumns=len(buttons))
        for name, label, help, call in buttons:
            press = {"command": lambda *_, call=call: self._guarded(call)}
            cmds.button(f"{self.window}_{name}", label=label, width=120, annotation=help, **press)
        cmds.setParent("..")

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except JobError as error:
            self._say(str(error))
        except OSError as error:
            self._say(f"{error.filename} cannot be written: {error.strerror}")

    def _say(self, text: str) -> None:
        cmds.text(f"{self.window}_status", edit=True, label=text)

    def folder(self) -> str:
        """The folder of the solve.

        Raises:
            JobError: the panel names none.
        """
        found = self._file(self.tool.main_output.name)
        if not found:
            raise JobError(Problem(self.tool.main_output.name, "no folder is named", "say where the solve goes"))
        return os.path.dirname(found)

    def refill(self) -> None:
        """Show what lies in the folder by now."""
        try:
            at = self.folder()
            found, edits = folder.solve_of(at), folder.edits_of(at)
        except JobError:
            return
        first = found.get("first", ())
        self._first = [float(frame) for frame, _ in first]
        self._fill("first", [f"{frame:g}   {why}" for frame, why in first])
        locked = {True: "   locked", False: ""}
        self._fill("keys", [f"{e.frame:g}   {e.control} {e.value:g}{locked[e.locked]}" for e in edits])

    def _fill(self, name: str, lines: Sequence[str]) -> None:
        cmds.textScrollList(f"{self.window}_{name}", edit=True, removeAll=True)
        cmds.textScrollList(f"{self.window}_{name}", edit=True, append=list(lines))

    def _go(self) -> None:
        chosen = cmds.textScrollList(f"{self.window}_first", query=True, selectIndexedItem=True)
        if chosen:
            cmds.currentTime(self._first[chosen[0] - 1], edit=True)

    def fix(self, *, free: bool = False) -> None:
        """Fix the key that is typed in, at the current frame, or let it go.

        Raises:
            JobError: nothing is solved there, or no such control, frame or value.
        """
        control = cmds.textFieldGrp(f"{self.window}_control", query=True, text=True).strip()
        value = float(cmds.floatFieldGrp(f"{self.window}_value", query=True, value1=True))
        lock = bool(cmds.checkBoxGrp(f"{self.window}_lock", query=True, value1=True))
        frame = float(cmds.currentTime(query=True))
        made = folder.fix(self.folder(), control, frame, None if free else value, lock=lock)
        what = f"{control} is {made.value:g} at {made.frame:g}" if made else f"{control} is free at {frame:g}"
        self.refill()
        self._say(f"{what}; run to solve what depends on it")

    def next(self) -> None:
        """Choose the stage after the one that the folder has, and run it.

        Raises:
            JobError: the panel names no folder.
        """
        steps = next(p for p in self.tool.parameters if p.name == self.tool.steps)
        options: Sequence[str] = getattr(steps, "options", ())
        try:
            done = str(folder.solve_of(self.folder()).get("stage", ""))
        except JobError:
            self.folder()
            done = ""
        after = options.index(done) + 1 if done in options else 0
        cmds.optionMenuGrp(f"{self.window}_{steps.name}", edit=True, value=options[min(after, len(options) - 1)])
        self._run()

    def apply(self) -> None:
        """Open the panel that puts curves onto a rig, with these filled in.

        Raises:
            JobError: there are none yet.
        """
        path = os.path.join(self.folder(), "curves.json")
        if not os.path.isfile(path):
            raise JobError(Problem("", f"no curves are in {self.folder()} yet", "run the stage jaw or a later one"))
        curves_panel.show(path, self._file("map"))

    def take_selected(self, name: str) -> None:
        """Write the selected locators over the playback range into the folder, and their file into the field `name`.

        Raises:
            JobError: nothing is selected, or the panel names no folder.
        """
        at = self.folder()
        first, last = (cmds.playbackOptions(query=True, **{end: True}) for end in ("minTime", "maxTime"))
        found = markers.sample(markers.spread(first, last, 1.0))
        os.makedirs(at, exist_ok=True)
        path = os.path.join(at, "selected.json")
        found.save(path)
        text = f"{len(found.names)} markers, {len(found.frames)} frames from the scene: {path}"
        om.MGlobal.displayInfo(f"sfumato: {text}")
        self._say(text)
        cmds.textFieldButtonGrp(f"{self.window}_{name}", edit=True, text=path)

    def draw_from_scene(self, name: str) -> None:
        """A button under the field `name` that fills it from what is selected."""
        help = "export the selected locators and joints over the playback range and take them"
        self._buttons((f"{name}_selected", "From selection", help, lambda: self.take_selected(name)))
