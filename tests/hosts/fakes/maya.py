"""A strict fake Maya: a scene that evaluates, an undo queue, layers, plug-ins and an interface that can be pressed.

    with Maya(gui=True, home=tmp_path) as maya:
        maya.module(MODULE)                              # as Maya reads it at start
        maya.cmds.loadPlugin("sfumato_menu")
        maya.idle()                                      # what was deferred, and timers
        maya.ui.press(maya.ui.entry("sfumatoMenu", "Apply Curves..."))

Every call is checked against the table of host calls; off the main thread it raises. `snapshot()` is all there is to
compare a scene before and after.
"""

import os
import pathlib
import re
import sys
import types

from parsers import mod

from . import maya_api_edits, maya_api_graph, maya_api_values, maya_camera, maya_plugins, maya_session, strict
from .maya_cmds import Commands
from .maya_layers import Layers
from .maya_scene import Scene
from .maya_session import TABLE
from .maya_ui import Interface
from .maya_undo import Queue

QT = ("PySide6", "PySide6.QtCore")
MODULE = pathlib.Path(__file__).resolve().parents[3] / "maya" / "sfumato.mod"


class State:
    """What belongs to the session and not to the scene."""

    def __init__(self):
        self.autokey, self.evaluation, self.cycles, self.suspended = True, "parallel", True, False
        self.playback, self.autoload, self.colour = (1001.0, 1100.0), {}, (False, "")
        self.scene_name, self.saved, self.saved_autoload = "", [], {}


class Maya:
    """One session."""

    def __init__(self, *, gui=True, home="/nowhere"):
        self.gui, self.home = gui, pathlib.Path(home)
        self.scene, self.queue, self.state, self.ui = Scene(), Queue(), State(), Interface()
        self.layers = Layers(self)
        self.plugins, self.plugin_path, self.commands, self.callbacks = {}, [], {}, {}
        self.first, self.plugin_suffix = lambda: None, ""
        self.deferred, self.timers, self.said, self.scenes, self.result = [], [], [], {}, None
        self.commands_of_scene = Commands(self)
        self.behaviours = {**strict.vars_of(self.commands_of_scene), **self.ui.behaviours()}
        self.behaviours = {name: call for name, call in self.behaviours.items() if TABLE.find("maya.cmds", name)}
        self.behaviours["animLayer"] = self.layers.command
        self.modules = self._modules()
        self.cmds = self.modules["maya.cmds"]

    def _modules(self):
        found = {name: {} for name in ("maya", "maya.api", "maya.utils", *QT)}
        found["maya.cmds"] = self.behaviours
        found["maya.mel"] = {"eval": self._mel}
        found["maya.standalone"] = {"initialize": lambda name="python": None, "uninitialize": lambda: None}
        for module in (maya_api_values, maya_api_graph, maya_camera, maya_api_edits, maya_plugins):
            for cls in vars(module).values():
                if isinstance(cls, type) and hasattr(cls, "__strict__"):
                    home, _, name = cls.__strict__[1].rpartition(".")
                    found.setdefault(home, {})[name] = cls
        found["PySide6.QtCore"] = {"QTimer": timers(self)}
        return {name: strict.module(name, TABLE, given, gui=self.gui) for name, given in found.items()}

    def with_sfumato(self):
        """Once entered, our module is read and our plug-in loaded, as at the start of an artist's day."""
        self.first = lambda: (self.module(MODULE), self.cmds.loadPlugin("sfumato_menu"), self.idle())
        return self

    def __enter__(self):
        self._path, self._environ = list(sys.path), dict(os.environ)
        self._installed = strict.installed(self.modules)
        self._installed.__enter__()
        maya_session.begin(self)
        self.first()
        return self

    def __exit__(self, *error):
        try:
            self.queue.done, self.queue.undone = [], []
            for name in tuple(self.plugins):
                self.unload_plugin(name)
        finally:
            maya_session.end()
            self._installed.__exit__(*error)
            sys.path[:] = self._path
            os.environ.pop("MAYA_PLUG_IN_PATH", None)
            os.environ.update({k: v for k, v in self._environ.items() if k == "MAYA_PLUG_IN_PATH"})

    # the application

    def module(self, path):
        """Read a module file: scripts/ and what it puts onto PYTHONPATH join sys.path, plug-ins/ the plug-in path."""
        for one in mod.parse(pathlib.Path(path).read_text(encoding="utf-8")):
            root = (pathlib.Path(path).parent / one.path).resolve()
            self.plugin_path.append(root / "plug-ins")
            sys.path.append(str(root / "scripts"))
            for name, op, value in one.variables:
                if name == "PYTHONPATH":
                    sys.path.append(str((root / value).resolve() if ":" in op else value))

    def load_plugin(self, name):
        path = pathlib.Path(name)
        folders = [*self.plugin_path, *map(pathlib.Path, os.environ.get("MAYA_PLUG_IN_PATH", "").split(os.pathsep))]
        if not path.is_file():
            path = next((p for folder in folders for p in folder.glob(f"{path.stem}.py")), None)
        if path is None:
            raise RuntimeError(f"Plug-in, {name!r}, was not found on MAYA_PLUG_IN_PATH.")
        name = path.stem + self.plugin_suffix
        if name not in self.plugins:
            plugin = maya_plugins.Plugin(path)
            plugin.module.initializePlugin(plugin)
            self.plugins[name] = plugin
        return name

    def unload_plugin(self, name):
        name = name if name in self.plugins else name + self.plugin_suffix
        used = [command for command in self.commands if self.queue.uses(command)]
        if used:
            raise RuntimeError(f"Plug-in '{name}' cannot be unloaded: the undo queue holds {used[0]}")
        self.plugins[name].module.uninitializePlugin(types.SimpleNamespace(name=name, path=pathlib.Path(name)))
        del self.plugins[name]
        return name

    def idle(self):
        """The event loop comes round: deferred calls, then every timer that runs. Without a window there is none."""
        if self.gui:
            deferred, self.deferred = self.deferred, []
            for call in deferred:
                call()
            for timer in [timer for timer in self.timers if timer.isActive()]:
                timer.timeout.emit()

    def _mel(self, text):
        variables = {"$gMainWindow": "MayaWindow", "$gShelfTopLevel": "MayaWindow|Shelves"}
        asked = re.fullmatch(r"\$\w+ = (\$\w+)", text)
        if asked:
            return variables[asked[1]]
        raise NotImplementedError(f"MEL: {text}")

    def undo_name(self):
        return self.queue.done[-1][0] if self.queue.done else ""

    # for tests

    def snapshot(self):
        """Everything of the scene and every switch, comparable."""

        def attr(one):
            return (one.value, one.locked, one.keyable, repr(one.source) if one.source else None)

        nodes = {
            node.path: (node.kind, node.locked, tuple(node.keys), {a.name: attr(a) for a in node.attrs.values()})
            for node in self.scene.nodes
        }
        layers = {n.name: repr(sorted(map(repr, n.extra.get("members", ())))) for n in self.scene.nodes if n.extra}
        switches = {k: v for k, v in vars(self.state).items() if k not in ("saved", "scene_name")}
        view = (self.scene.time, [node.path for node in self.scene.selection], self.scene.namespaces)
        return nodes, layers, switches, view, (self.queue.recording, self.queue.depth)


def timers(maya):
    """A QTimer that fires when `maya.idle()` comes round."""

    @strict.fakes(TABLE, "PySide6.QtCore.SignalInstance")
    class SignalInstance:
        def __init__(self):
            self._calls = []

        def connect(self, receiver):
            self._calls.append(receiver)

        def emit(self):
            for call in tuple(self._calls):
                call()

    @strict.fakes(TABLE, "PySide6.QtCore.QTimer")
    class QTimer:
        def __init__(self):
            self._signal, self._active = SignalInstance(), False
            maya.timers.append(self)

        @property
        def timeout(self):
            return self._signal

        def start(self, msec=0):
            self._active = True

        def stop(self):
            self._active = False

        def isActive(self):
            return self._active

    return QTimer
