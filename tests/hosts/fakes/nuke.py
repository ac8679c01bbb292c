"""A Nuke without Nuke: one session with a script, a window or none, undo, a progress bar, a timer that a test ticks.

    with Nuke(gui=True, engine=PYTHON) as session:      # `import nuke` gives session.module while it lasts
        read = session.read("/shots/plate.####.exr", 1001, 1008)
        ...
        session.press(node, "run_here")
        session.pump(lambda: not session.bars)

Every call is bound against the table of Nuke's real calls. Writes are computed by the engine's Python (pixels.py) as
real EXR; without one, `execute` fails. `session.messages` are what an artist would have had to click away.
"""

import json
import os
import pathlib
import re
import subprocess
import time
import weakref

from . import nuke_boxes, nuke_knobs, nuke_script, strict
from .nuke_knobs import FLAGS, TABLE
from .nuke_nodes import CLASSES, EXR, KINDS, Group, Node, Root, ViewerWindow
from .table import Table

QT = Table.load("qt")
PIXELS = pathlib.Path(__file__).with_name("pixels.py")


class Nuke:
    """A session. Tests look at its plain attributes; our code sees only `module`."""

    def __init__(self, gui=True, engine="", qt="PySide6", exe="/opt/Nuke15.1/Nuke15.1"):
        self.gui, self.engine, self.qt, self.exe = gui, engine, qt, exe
        self.frame, self.view, self.views = 1001, "main", ["main"]
        self.script, self.environ = "", {}
        self.messages, self.printed, self.panels, self.rendered, self.reloads, self.menus = [], [], [], [], [], {}
        self.undo, self.undo_off, self.undo_name, self.undo_open = [], 0, "", None
        self.bars, self.cancel_bar, self.timers, self.layers = weakref.WeakSet(), False, [], {}
        self.cancel_render_at, self.this, self.viewer = None, None, None
        self.answers = []  # what the artist types next
        self.root = Root(self)
        self.open = [self.root]
        self.module = strict.module("nuke", TABLE, self._behaviours(), gui=gui)
        made = {kind: self._constructor(kind) for kind in KINDS if TABLE.find("nuke.nodes", kind)}
        self.roto_module = strict.module("nuke.rotopaint", TABLE, nuke_boxes.ROTO, gui=gui)
        self.nodes_module = strict.module("nuke.nodes", TABLE, made, gui=gui)

    def __enter__(self):
        modules = {"nuke": self.module, "nuke.nodes": self.nodes_module, "nuke.rotopaint": self.roto_module}
        modules.update(self._qt_modules())
        self._installed = strict.installed(modules)
        self._installed.__enter__()
        return self

    def __exit__(self, *about):
        import sys

        watch = sys.modules.get("sfumato_nuke.watch")
        if watch is not None and watch.WATCH.engine is not None:
            watch.WATCH.engine.close(0.5)
        self._installed.__exit__(*about)

    # what the artist does

    def read(self, file, first, last, **knobs):
        node = self.make("Read")
        for name, value in {"file": str(file), "first": first, "last": last, "raw": True, **knobs}.items():
            node[name].setValue(value)
        return node

    def make(self, kind, *above):
        node = self._constructor(kind)()
        for number, one in enumerate(above):
            node.setInput(number, one)
        return node

    def press(self, node, name):
        """Press a button of the panel: its script runs with nuke.thisNode()."""
        self.this = node
        try:
            exec(compile(node[name].value(), f"<button {name}>", "exec"), {"nuke": self.module})
        finally:
            self.this = None

    def choose(self, path):
        """Choose an entry of the menus."""
        exec(compile(self.menus[path], f"<menu {path}>", "exec"), {"nuke": self.module})

    def tick(self):
        """A tenth of a second in the event loop."""
        for timer in list(self.timers):
            if timer._running:
                timer._fire()

    def pump(self, until, seconds=120):
        """Let time pass until something is true."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"nothing happened for {seconds} s; said: {self.printed[-5:]}"
            self.tick()
            time.sleep(0.02)

    def save(self, path):
        pathlib.Path(path).write_text(nuke_script.written(self.root), encoding="utf-8")
        self.script = str(path)
        self.root._changed = False

    def load(self, text):
        """Put a script's, or a node's, text into this one."""
        return nuke_script.read(self, text)

    def undone(self):
        """Take the last step of the history back."""
        name, changes = self.undo.pop()
        for knob, before in reversed(changes):
            knob._value = before
        return name

    # what Nuke does

    def touched(self):
        self.root._changed = True

    def _changed(self, knob, before):
        self.touched()
        if self.undo_off:
            return
        if self.undo_open is not None:
            self.undo_open.append((knob, before))
        else:
            self.undo.append((knob._name, [(knob, before)]))

    def was_set(self, knob):
        if knob._name == "file_type" and knob._value == "exr" and "datatype" not in knob._owner._knobs:
            for name, what in EXR.items():
                knob._owner._builtin(name, what)

    def executed(self, knob):
        if knob._kind == "PyScript_Knob":
            self.press(knob._owner, knob._name)
        elif knob._name == "reload":
            self.reloads.append(knob._owner.name())

    def tcl(self, command, frame):
        words = command.split()
        if words[0] == "getenv":
            return self.environ[words[1]]
        if words[0] == "frame":
            return str(frame)
        raise ValueError(f"the fake knows no Tcl command {command!r}")

    def _constructor(self, kind):
        def make(**knobs):
            node = CLASSES.get(kind, Node)(self, kind, self.open[-1])
            self.open[-1]._nodes.append(node)
            node.setName(f"{kind}1")
            for name, value in knobs.items():
                node[name].setValue(value)
            self.touched()
            return node

        return make

    def _execute(self, node, first, last=None, incr=1, views=None, continueOnError=False):
        if node._knobs["disable"].value():
            raise RuntimeError(f"{node.name()} is disabled")
        if not node._knobs["file"]._value:
            raise RuntimeError(f"{node.name()}: no file name")
        pictures = []
        for view in views or [self.view]:
            for frame in range(first, last + 1, incr):
                if frame == self.cancel_render_at:
                    raise RuntimeError("Cancelled")
                path = node._knobs["file"]._expanded(frame, view)
                tree = self._tree(node.input(0), frame, view)
                half = "half" in node._knobs["datatype"].value()
                pictures.append({"path": path, "channels": node._knobs["channels"]._value, "half": half, "tree": tree})
        self.rendered.append((node.name(), first, last, tuple(views or ()), self.root.proxy()))
        asked = {"part": 2 if self.root.proxy() else 1, "pictures": pictures}
        assert self.engine, "this test needs the engine's Python for pixels"
        done = subprocess.run([self.engine, str(PIXELS)], input=json.dumps(asked), text=True, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"{node.name()}: {done.stderr.strip().splitlines()[-1]}")

    def _tree(self, node, frame, view):
        """The picture of a node as a tree of what makes it."""
        if node is None:
            return {"op": "Black", "in": [], "knobs": {"size": [64, 64]}}
        if node._kind == "Input":
            return self._tree(node._group.input(int(node._knobs["number"]._value)), frame, view)
        if node._kind == "Group":
            return self._tree(next(one for one in node._nodes if one._kind == "Output"), frame, view)
        if node._kind == "Switch":
            return self._tree(node.input(int(node["which"].value())), frame, view)
        if node._kind == "Read":
            path = node["file"]._expanded(frame, view)
            if not os.path.isfile(path):
                raise RuntimeError(f"{node.fullName()}: {path}: No such file or directory")
            return {"op": "Read", "in": [], "file": path}
        if node["disable"].value() or node._kind in ("Dot", "NoOp", "Output"):
            return self._tree(node.input(0), frame, view)
        knobs = {name: _sent(node, node[name]) for name in KINDS[node._kind][1]}
        above = [self._tree(node.input(i), frame, view) for i in range(node.inputs())]
        return {"op": node._kind, "in": above, "knobs": knobs}

    def _to_node(self, s):
        found = self.root
        for word in s.split("."):
            found = found.node(word) if isinstance(found, Group) else None
        return found

    def _message(self, prompt):
        self.messages.append(prompt)

    def _active_viewer(self):
        return ViewerWindow(self.viewer) if self.viewer is not None else None

    def _selected(self, filter=""):
        return [node for node in self.root._nodes if node["selected"].value()]

    def _filename(self, node, i=0):
        return node["file"]._expanded(self.frame, self.view, numbers=False) or None

    def _menu(self, name):
        return FakeMenu(self, name)

    def _behaviours(self):
        session = self

        @strict.fakes(TABLE, "nuke.ProgressTask")
        class ProgressTask:
            def __init__(self, name):
                self._name, self._shares, self._messages = name, [], []
                session.bars.add(self)

            def setProgress(self, i):
                assert 0 <= i <= 100, i
                self._shares.append(i)

            def setMessage(self, s):
                self._messages.append(s)

            def isCancelled(self):
                return session.cancel_bar

        @strict.fakes(TABLE, "nuke.Undo")
        class Undo:
            @staticmethod
            def begin(name=""):
                assert session.undo_open is None, f"{name} begins inside {session.undo_name}"
                session.undo_name, session.undo_open = name, []

            @staticmethod
            def end():
                if session.undo_open and not session.undo_off:
                    session.undo.append((session.undo_name, session.undo_open))
                session.undo_open = None

            @staticmethod
            def disable():
                session.undo_off += 1

            @staticmethod
            def enable():
                session.undo_off -= 1

            @staticmethod
            def disabled():
                return session.undo_off > 0

        @strict.fakes(TABLE, "nuke.Layer")
        class Layer:
            def __init__(self, name, channels):
                session.layers[name] = tuple(channels)

        knobs = {name: cls for name, cls in KNOB_CLASSES.items() if TABLE.find("nuke", name)}
        return {
            **knobs,
            **FLAGS,
            "GUI": self.gui,
            "EXE_PATH": self.exe,
            "ProgressTask": ProgressTask,
            "Undo": Undo,
            "Layer": Layer,
            "root": lambda: session.root,
            "thisNode": lambda: session.this,
            "toNode": self._to_node,
            "selectedNodes": self._selected,
            "views": lambda: list(session.views),
            "frame": lambda f=None: session.frame,
            "execute": self._execute,
            "filename": self._filename,
            "message": self._message,
            "delete": lambda node: node._group._nodes.remove(node),
            "getFilename": lambda message, *pattern, **more: self.answers.pop(0),
            "getInput": lambda prompt, default="": self.answers.pop(0),
            "tprint": lambda *words, **more: session.printed.append(" ".join(map(str, words))),
            "activeViewer": self._active_viewer,
            "menu": self._menu,
        }

    def _qt_modules(self):
        if not self.gui:  # `nuke -t` has no event loop; importing Qt there is a mistake
            return {"PySide6": None, "PySide2": None}
        timers = self.timers

        class Signal:
            def __init__(self):
                self.calls = []

            def connect(self, call):
                self.calls.append(call)

        @strict.fakes(QT, f"{self.qt}.QtCore.QTimer")
        class QTimer:
            def __init__(self, parent=None):
                self._running, self._signal = False, Signal()
                timers.append(self)

            @property
            def timeout(self):
                return self._signal

            def start(self, msec=0):
                self._running, self._period = True, msec

            def stop(self):
                self._running = False

            def isActive(self):
                return self._running

            def _fire(self):
                for call in self._signal.calls:
                    call()

        core = strict.module(f"{self.qt}.QtCore", QT, {"QTimer": QTimer})
        other = {"PySide6": "PySide2", "PySide2": "PySide6"}[self.qt]
        return {self.qt: strict.module(self.qt, QT, {}), f"{self.qt}.QtCore": core, other: None}


def _sent(node, knob):
    """A knob's value as numbers and text; names of the group's knobs inside a text become their numbers."""
    value = knob.value()
    if not isinstance(value, str):
        return value
    return re.sub(r"parent\.\w+", lambda m: f"{node._evaluated(m[0]):g}", value)


class FakeMenu:
    """A menu and its entries by path: "Nodes/sfumato/Matte"."""

    def __init__(self, session, path):
        self.session, self.path = session, path

    def addMenu(self, name, **more):
        TABLE.find("nuke.Menu", "addMenu").bind((self, name), more)
        return FakeMenu(self.session, f"{self.path}/{name}")

    def addCommand(self, name, command=None, **more):
        TABLE.find("nuke.Menu", "addCommand").bind((self, name, command), more)
        self.session.menus[f"{self.path}/{name}"] = command


KNOB_CLASSES = {cls._kind: cls for cls in vars(nuke_knobs).values() if isinstance(cls, type) and hasattr(cls, "_kind")}
assert nuke_boxes.KINDS.keys() <= KINDS.keys()
