"""Nodes of the fake Nuke: classes with the knobs and defaults they really have, as far as anybody here touches them."""

import pathlib
import struct

from . import nuke_knobs as k
from . import strict
from .nuke_knobs import TABLE


def choice(*items):
    return k.EnumerationKnob, items


COMMON = {"name": k.StringKnob, "label": k.StringKnob, "help": k.StringKnob, "xpos": k.IntKnob, "ypos": k.IntKnob,
          "selected": k.BooleanKnob, "tile_color": k.IntKnob, "disable": k.BooleanKnob}  # fmt: skip
SWITCH = (k.BooleanKnob, True)
KINDS = {  # class -> number of inputs, knobs: class, or (class, default), or a choice
    "Dot": (1, {}),
    "NoOp": (1, {}),
    "Input": (0, {"number": k.IntKnob}),
    "Output": (1, {}),
    "Group": (0, {}),
    "Read": (0, {"file": k.FileKnob, "proxy": k.FileKnob, "first": (k.IntKnob, 1), "last": (k.IntKnob, 1),
                 "origfirst": (k.IntKnob, 1), "origlast": (k.IntKnob, 1), "before": choice("hold", "loop", "black"),
                 "after": choice("hold", "loop", "black"), "frame_mode": choice("expression", "start at", "offset"),
                 "frame": k.StringKnob, "on_error": choice("error", "black", "checkerboard", "nearest frame"),
                 "colorspace": (k.StringKnob, "default (linear)"), "premultiplied": k.BooleanKnob, "raw": k.BooleanKnob,
                 "auto_alpha": k.BooleanKnob, "reload": k.ScriptKnob,
                 "localizationPolicy": choice("on", "from auto-localize path", "on demand", "off")}),
    "Write": (1, {"file": k.FileKnob, "proxy": k.FileKnob, "file_type": choice(" ", "exr", "png"), "raw": k.BooleanKnob,
                  "channels": (k.StringKnob, "rgb"), "create_directories": k.BooleanKnob, "views": k.StringKnob}),
    "Switch": (9, {"which": k.DoubleKnob}),
    "Grade": (1, {"channels": (k.StringKnob, "rgb"), "blackpoint": k.DoubleKnob, "whitepoint": (k.DoubleKnob, 1.0),
                  "multiply": (k.DoubleKnob, 1.0), "gamma": (k.DoubleKnob, 1.0), "black_clamp": SWITCH,
                  "white_clamp": k.BooleanKnob}),
    "Dilate": (1, {"channels": (k.StringKnob, "all"), "size": k.DoubleKnob}),
    "FilterErode": (1, {"channels": (k.StringKnob, "all"), "size": k.DoubleKnob}),
    "Expression": (1, {f"expr{i}": k.StringKnob for i in range(4)}),
    "MergeExpression": (2, {f"expr{i}": k.StringKnob for i in range(4)}),
    "Copy": (2, {**{f"from{i}": (k.StringKnob, "none") for i in range(4)},
                 **{f"to{i}": (k.StringKnob, "none") for i in range(4)}}),
    "Crop": (1, {"box": (k.ArrayKnob, (0, 0, 0, 0)), "reformat": k.BooleanKnob, "crop": SWITCH}),
    "Unpremult": (1, {}),
    "Premult": (1, {}),
    "Viewer": (9, {}),
}  # fmt: skip
EXR = {  # knobs a Write has once its file type is exr
    "datatype": choice("16 bit half", "32 bit float"),
    "compression": choice("none", "Zip (1 scanline)", "Zip (16 scanlines)", "PIZ Wavelet (32 scanlines)"),
}


@strict.fakes(TABLE, "nuke.Node")
class Node:
    """A node lives in a group; the root is one."""

    def __init__(self, session, kind, group):
        self._session, self._kind, self._group = session, kind, group
        self._knobs, self._user, self._wires, self._tab = {}, [], {}, None
        for name, what in {**COMMON, **KINDS[kind][1]}.items():
            self._builtin(name, what)

    def _builtin(self, name, what):
        if isinstance(what, tuple) and what[0] is k.EnumerationKnob:
            knob = k.EnumerationKnob(name, name, list(what[1]))
        elif isinstance(what, tuple):
            knob = what[0](name)
            knob._value = knob._default = what[1]
        else:
            knob = what(name)
        knob._owner = self
        self._knobs[name] = knob

    def _evaluated(self, text):
        return k.evaluated(text, self)

    def _alive(self):
        if self._group is not None and self not in self._group._nodes:
            raise ValueError("A PythonObject is not attached to a node")

    def Class(self):
        self._alive()
        return self._kind

    def name(self):
        self._alive()
        return self._knobs["name"]._value

    def fullName(self):
        inner = self._group is not None and self._group._group is not None
        above = self._group.fullName() if inner else ""
        return f"{above}.{self.name()}" if above else self.name()

    def setName(self, name, uncollide=True, updateExpressions=False):
        taken = {node._knobs["name"]._value for node in self._group._nodes if node is not self}
        stem, number = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
        while uncollide and name in taken:
            number = str(int(number or 0) + 1)
            name = stem + number
        self._knobs["name"]._put(name)

    def knob(self, p, follow_link=False):
        self._alive()
        return self._knobs.get(p)

    def __getitem__(self, name):
        self._alive()
        if name not in self._knobs:
            raise NameError(f"knob {name} does not exist")
        return self._knobs[name]

    def __len__(self):
        return len(self._knobs)

    def knobs(self):
        return dict(self._knobs)

    def addKnob(self, knob):
        if knob._name in self._knobs:
            raise ValueError(f"{knob._name} is there already")
        knob._owner = self
        self._knobs[knob._name] = knob
        self._user.append(knob._name)
        self._session.touched()

    def inputs(self):
        return max(self._wires, default=-1) + 1

    def input(self, index):
        self._alive()
        return self._wires.get(index)

    def setInput(self, i, node):
        if i >= self.maxInputs():
            return False
        self._wires[i] = node
        if node is None:
            del self._wires[i]
        self._session.touched()
        return True

    def maxInputs(self):
        return KINDS[self._kind][0]

    def parent(self):
        return self._group

    def setXYpos(self, x, y):
        self._knobs["xpos"]._value, self._knobs["ypos"]._value = x, y

    def xpos(self):
        return self._knobs["xpos"]._value

    def ypos(self):
        return self._knobs["ypos"]._value

    def setSelected(self, selected):
        self._knobs["selected"]._value = selected

    def showControlPanel(self, forceFloat=False):
        self._session.panels.append(self)

    def frameRange(self):
        if self._kind == "Read":
            return FrameRange(self._knobs["first"]._value, self._knobs["last"]._value, 1)
        above = self.input(0)
        return above.frameRange() if above is not None else self._session.root.frameRange()

    def channels(self):
        if self._kind == "Read":
            return exr_channels(self._knobs["file"]._expanded(self._knobs["first"]._value, self._session.view))
        outside = self._kind == "Input"
        above = self._group.input(self._knobs["number"]._value) if outside else self.input(0)
        return above.channels() if above is not None else []

    def format(self):
        if self._kind == "Read":
            return Format(*exr_size(self._knobs["file"]._expanded(self._knobs["first"]._value, self._session.view)))
        above = self.input(0)
        return above.format() if above is not None else Format(64, 64, 1.0)


@strict.fakes(TABLE, "nuke.Group")
class Group(Node):
    """Nodes made while it is open are its own."""

    def __init__(self, session, kind, group):
        super().__init__(session, kind, group)
        self._nodes = []

    def __enter__(self):
        self._session.open.append(self)
        return self

    def __exit__(self, type, value, traceback):
        self._session.open.pop()

    def begin(self):
        return self.__enter__()

    def end(self):
        self._session.open.pop()

    def node(self, s):
        self._alive()
        return next((one for one in self._nodes if one.name() == s), None)

    def nodes(self):
        return list(self._nodes)

    def maxInputs(self):
        return sum(node._kind == "Input" for node in self._nodes)


@strict.fakes(TABLE, "nuke.Root")
class Root(Group):
    """The script: its settings, its name, whether it has changes that are not saved."""

    def __init__(self, session):
        super().__init__(session, "Group", None)
        self._kind, self._changed = "Root", False
        knobs = {
            "proxy": k.BooleanKnob, "first_frame": (k.IntKnob, 1), "last_frame": (k.IntKnob, 100),
            "colorManagement": choice("Nuke", "OCIO"), "workingSpaceLUT": (k.StringKnob, "linear"),
            "OCIO_config": (k.StringKnob, "nuke-default"), "customOCIOConfigPath": k.FileKnob,
        }  # fmt: skip
        for name, what in knobs.items():
            self._builtin(name, what)

    def name(self):
        return self._session.script or "Root"

    def modified(self):
        return self._changed

    def setModified(self, modified):
        self._changed = modified

    def proxy(self):
        return self._knobs["proxy"]._value

    def fps(self):
        return 24

    def firstFrame(self):
        return self._knobs["first_frame"]._value

    def lastFrame(self):
        return self._knobs["last_frame"]._value

    def frameRange(self):
        return FrameRange(self.firstFrame(), self.lastFrame(), 1)


@strict.fakes(TABLE, "nuke.Viewer")
class Viewer(Node):
    def __init__(self, session, kind, group):
        super().__init__(session, kind, group)
        self._roi = None

    def roi(self):
        return self._roi

    def roiEnabled(self):
        return self._roi is not None


@strict.fakes(TABLE, "nuke.ViewerWindow")
class ViewerWindow:
    def __init__(self, viewer):
        self._viewer = viewer

    def node(self):
        return self._viewer


@strict.fakes(TABLE, "nuke.FrameRange")
class FrameRange:
    def __init__(self, first, last, increment):
        self._first, self._last, self._step = first, last, increment

    def first(self):
        return self._first

    def last(self):
        return self._last

    def increment(self):
        return self._step


@strict.fakes(TABLE, "nuke.Format")
class Format:
    def __init__(self, width, height, aspect):
        self._width, self._height, self._aspect = width, height, aspect

    def width(self):
        return self._width

    def height(self):
        return self._height

    def pixelAspect(self):
        return self._aspect


def exr_size(path):
    """What Nuke takes a Read's format from; the root's format where there is no file."""
    try:
        head = pathlib.Path(path).read_bytes()[:65536]
        at = head.index(b"displayWindow\0box2i\0") + 24
        left, top, right, bottom = struct.unpack("<4i", head[at : at + 16])
        at = head.index(b"pixelAspectRatio\0float\0") + 27
        return right - left + 1, bottom - top + 1, struct.unpack("<f", head[at : at + 4])[0]
    except (OSError, ValueError):
        return 64, 64, 1.0


def exr_channels(path):
    """The channels of a file under Nuke's names; all four where it cannot be read."""
    try:
        head = pathlib.Path(path).read_bytes()[:65536]
        at = head.index(b"channels\0chlist\0") + 16
        found, at = [], at + 4
        while head[at]:
            end = head.index(b"\0", at)
            found.append(head[at:end].decode())
            at = end + 17
    except (OSError, ValueError):
        found = ["R", "G", "B", "A"]
    long = {"R": "rgba.red", "G": "rgba.green", "B": "rgba.blue", "A": "rgba.alpha", "Y": "rgba.red"}
    return [long.get(name, name) for name in found]


CLASSES = {"Group": Group, "Viewer": Viewer}
