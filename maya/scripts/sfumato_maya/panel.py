"""The panel of a tool, drawn from its declaration: inputs, outputs, parameters, Run, Cancel and what happens."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import maya.api.OpenMaya as om
from maya import cmds

import sfumato_plugins
from sfumato_maya import colour, controls, windows, work
from sfumato_maya.take_rows import TakeRows
from sfumato_plugins.check import problems_here
from sfumato_plugins.errors import JobError, Problem
from sfumato_plugins.frames import Pattern, parse_frames
from sfumato_plugins.job import Job
from sfumato_plugins.launch import NoEngine
from sfumato_plugins.settings import load_settings
from sfumato_plugins.tool import Tool

_open: dict[str, ToolPanel] = {}


def show(tool: str) -> ToolPanel:
    """Open the panel of a tool, or bring it to the front.

    Raises:
        JobError: there is no such tool.
    """
    panel = _open.get(tool)
    if panel is None or not panel.there:
        panel = _open[tool] = ToolPanel(sfumato_plugins.tool(tool))
    cmds.showWindow(panel.window)
    return panel


class ToolPanel:
    """One window. Its controls are named WINDOW_NAME after what they set."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.window = f"sfumato_{tool.name}"
        self._running = ""
        self._files: dict[str, controls.Reader] = {}
        self._values: dict[str, controls.Reader] = {}
        takes = tool.main_output.holds == "curves"
        self._rows = TakeRows(tool, self.window, self._file, self.run) if takes else None
        windows.close(self.window)
        windows.make(self.window, f"sfumato {tool.label}", (520, 640))
        self._draw()

    @property
    def there(self) -> bool:
        """Whether the window is open."""
        return windows.is_open(self.window)

    def _draw(self) -> None:
        cmds.scrollLayout(childResizable=True)
        cmds.columnLayout(adjustableColumn=True, rowSpacing=2)
        cmds.text(label=self.tool.help, align="left", wordWrap=True)
        for images in self.tool.inputs:
            self._files[images.name] = controls.draw_images(images, self.window, written=False)
            if self._rows and images.holds == "markers":
                self._rows.draw_from_scene(images.name)
        for images in self.tool.outputs:
            self._files[images.name] = controls.draw_images(images, self.window, written=True)
        if not self.tool.whole:
            self._named("frames", "Frames", "1001-1048, 1001-1048x2, 1,3,5-9; empty: all there are")
        self._named("seed", "Seed", "another seed, other noise", "0")
        for group in dict.fromkeys(parameter.group for parameter in self.tool.parameters):
            self._draw_group(group)
        if self._rows:
            self._rows.draw()
        self._draw_run()

    def _named(self, name: str, label: str, help: str, text: str = "") -> None:
        flags = {"label": label, "annotation": help, "columnWidth": (1, controls.LABEL)}
        made = cmds.textFieldGrp(f"{self.window}_{name}", text=text, **flags)
        self._files[name] = lambda: cmds.textFieldGrp(made, query=True, text=True).strip()

    def _draw_group(self, group: str) -> None:
        cmds.frameLayout(label=group or "Tool", collapsable=True, collapse=bool(group))
        cmds.columnLayout(adjustableColumn=True)
        for parameter in self.tool.parameters:
            if parameter.group == group:
                self._values[parameter.name] = controls.draw_parameter(parameter, self.window)
        cmds.setParent("..")
        cmds.setParent("..")

    def _draw_run(self) -> None:
        cmds.rowLayout(numberOfColumns=3, adjustableColumn=3)
        run_help = "compute; frames that are complete and still right are kept"
        cmds.button(f"{self.window}_run", label="Run", width=90, annotation=run_help, command=lambda *_: self.run())
        stop_help = "stop between two steps; finished frames are kept"
        cmds.button(
            f"{self.window}_cancel",
            label="Cancel",
            width=90,
            enable=False,
            annotation=stop_help,
            command=lambda *_: self.cancel(),
        )
        cmds.progressBar(f"{self.window}_progress", maxValue=100, width=280)
        cmds.setParent("..")
        cmds.text(f"{self.window}_status", label="", align="left", wordWrap=True)

    def job(self) -> Job:
        """The job the panel asks for.

        Raises:
            JobError: the frames, the seed or the settings cannot be read.
        """
        given = {name: read() for name, read in self._files.items()}
        values = {p.name: (p.default, self._values[p.name]()) for p in self.tool.parameters}
        params = {
            name: value
            for name, (default, value) in values.items()
            if value != (list(default) if isinstance(default, tuple) else default)
        }
        device = load_settings().get("device")
        if device and "device" in self._values and "device" not in params:
            params["device"] = device
        inputs = {i.name: self._file(i.name) for i in self.tool.inputs if given[i.name]}
        outputs = {o.name: self._file(o.name) for o in self.tool.outputs if given[o.name]}
        if not given["seed"].isdigit():
            raise JobError(Problem("seed", f"{given['seed']!r} is no whole number"))
        frames = parse_frames(given["frames"]) if given.get("frames") else self._all(inputs, params)
        config = colour.config()
        color = {"config": config} if config else {}
        return Job(self.tool.name, frames, inputs, outputs, params, color, int(given["seed"]))

    def _file(self, name: str) -> str:
        """What a field names, absolute; empty where nothing is typed."""
        item = next(i for i in (*self.tool.inputs, *self.tool.outputs) if i.name == name)
        root = cmds.workspace(query=True, rootDirectory=True)  # what relative paths mean to an artist in Maya
        text = self._files[name]()
        return item.meant(os.path.join(root, text)) if text else ""

    def _all(self, inputs: Mapping[str, str], params: Mapping[str, Any]) -> tuple[int, ...]:
        absent = [images for images in self.tool.inputs if images.required and images.name not in inputs]
        if self.tool.span:
            return () if absent else self.tool.span(inputs, params)
        main = inputs.get(self.tool.main_input.name)
        return Pattern(main).on_disk() if main else ()

    def run(self) -> None:
        """Check what is asked for and start it; everything that is wrong is said in the panel."""
        try:
            job = self.job()
            found = problems_here(job)
            if found:
                raise JobError(found)
            work.session().watch()
            self._running = work.session().run(job.to_json(), self.heard)
        except (JobError, NoEngine) as error:
            return self._say(str(error))
        self._say("starting the engine")
        self._enable(running=True)

    def cancel(self) -> None:
        """Stop what this panel started."""
        if self._running:
            self._say("stopping")
            work.session().cancel(self._running)

    def heard(self, message: Mapping[str, Any]) -> None:
        """One message of the engine about this panel's job."""
        event = message.get("event")
        if event == "progress":
            self._progress(round(100 * float(message.get("share") or 0)))
            self._say(_progress_text(message))
        elif event == "accepted" and message.get("ahead"):
            self._say(f"waiting for {message['ahead']} others")
        elif event == "note":
            om.MGlobal.displayInfo(f"sfumato: {message.get('text')}")
        elif event in work.LAST:
            self._running = ""
            self._enable(running=False)
            self._progress(100 if event == "done" else 0)
            self._say(_ending(message))
            if self._rows and self.there:
                self._rows.refill()
            if event == "failed":
                om.MGlobal.displayError(f"sfumato: {message.get('sentence')}")

    def _progress(self, share: int) -> None:
        if self.there:
            cmds.progressBar(f"{self.window}_progress", edit=True, progress=share)

    def _enable(self, *, running: bool) -> None:
        if self.there:
            cmds.button(f"{self.window}_run", edit=True, enable=not running)
            cmds.button(f"{self.window}_cancel", edit=True, enable=running)

    def _say(self, text: str) -> None:
        if self.there:
            cmds.text(f"{self.window}_status", edit=True, label=text)


def _progress_text(message: Mapping[str, Any]) -> str:
    left = message.get("seconds_left")
    return str(message.get("text") or "") + (f", about {left / 60:.0f} min left" if left and left > 90 else "")


def _ending(message: Mapping[str, Any]) -> str:
    """The last line an artist reads about a job."""
    if message.get("event") == "done":
        counts = {key: sum(map(len, message.get(key, {}).values())) for key in ("computed", "kept", "skipped")}
        words = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        return f"done: {words or 'nothing to do'}" + (f"\n{message['result']}" if message.get("result") else "")
    lines = [str(message.get("sentence") or ""), str(message.get("hint") or "")]
    lines.append(f"log: {message['log']}" if message.get("log") else "")
    return "\n".join(line for line in lines if line)
