"""Knobs of the fake Nuke: a class for each kind, with values, expressions, flags, and an undo entry for a change."""

import re

from . import expressions, strict
from .table import Table

TABLE = Table.load("nuke")
FLAGS = {"STARTLINE": 0x1000, "INVISIBLE": 0x400, "DO_NOT_WRITE": 0x200, "DISABLED": 0x80, "ENDLINE": 0x2000}
NUMBERS = {"Tab_Knob": 20, "Text_Knob": 26, "String_Knob": 1, "File_Knob": 2, "Int_Knob": 3, "Enumeration_Knob": 4,
           "Boolean_Knob": 6, "Double_Knob": 7, "PyScript_Knob": 22}  # fmt: skip


@strict.fakes(TABLE, "nuke.Knob")
class Knob:
    """A knob is of no node until it is added to one."""

    _kind, _first = "Knob", None

    def __init__(self, name, label=""):
        self._name, self._label, self._tooltip = name, label or name, ""
        self._value = self._default = self._first
        self._expression, self._keys, self._flags = None, {}, 0
        self._enabled, self._visible, self._owner = True, True, None
        self._range = self._items = None

    def _put(self, value):
        if self._owner is not None:
            self._owner._session._changed(self, self._value)
        self._value = value
        if self._owner is not None:
            self._owner._session.was_set(self)

    def name(self):
        return self._name

    def label(self):
        return self._label

    def tooltip(self):
        return self._tooltip

    def node(self):
        return self._owner

    def Class(self):
        return self._kind

    def setTooltip(self, tooltip):
        self._tooltip = tooltip

    def setLabel(self, label):
        self._label = label

    def setFlag(self, flag):
        self._flags |= flag

    def clearFlag(self, flag):
        self._flags &= ~flag

    def getFlag(self, flag):
        return bool(self._flags & flag)

    def setEnabled(self, enabled):
        self._enabled = bool(enabled)

    def enabled(self):
        return self._enabled

    def setVisible(self, visible):
        self._visible = bool(visible)

    def visible(self):
        return self._visible

    def setExpression(self, expression, index=-1, view=None):
        self._owner._evaluated(expression)  # Nuke refuses what it cannot read
        self._expression = expression
        return True

    def hasExpression(self, index=-1):
        return self._expression is not None

    def isAnimated(self, channel=-1):
        return bool(self._keys)

    def setAnimated(self, channel=-1):
        self._keys.setdefault(self._owner._session.frame, self._value)
        return True

    def clearAnimated(self, channel=-1):
        self._keys = {}
        return True

    def setValueAt(self, val, time, index=0, view=None):
        self._keys[time] = self._taken(val)
        return True

    def setValue(self, val, chan=0):
        self._expression = None
        self._put(self._taken(val))
        return True

    def _taken(self, value):
        return value

    def value(self, index=0):
        if self._expression is not None:
            return self._owner._evaluated(self._expression)
        return self._keys.get(self._owner._session.frame, self._value) if self._keys else self._value

    def getValue(self, channel=0):
        return self.value()

    def getValueAt(self, frame, index=0, view=None):
        session = self._owner._session
        before, session.frame = session.frame, frame
        try:
            return self.value()
        finally:
            session.frame = before

    def toScript(self, quote=True, context=None):
        return f"{{{{{self._expression}}}}}" if self._expression else str(self._value)


def numeric(kind):
    """Knobs of numbers take numbers, or several of them."""

    def taken(self, value):
        several = isinstance(value, (list, tuple))
        if not all(isinstance(v, (int, float)) for v in (value if several else (value,))):
            raise TypeError(f"{self._name}: {value!r} is no number")
        return tuple(value) if several else kind(value)

    return taken


@strict.fakes(TABLE, "nuke.Array_Knob")
class ArrayKnob(Knob):
    _kind, _first = "Array_Knob", 0.0
    _taken = numeric(float)

    def __init__(self, name, label=""):
        super().__init__(name, label)

    def setRange(self, low, high):
        self._range = (low, high)

    def min(self):
        return self._range[0]

    def max(self):
        return self._range[1]

    def defaultValue(self):
        return self._default


@strict.fakes(TABLE, "nuke.Int_Knob")
class IntKnob(ArrayKnob):
    _kind, _first = "Int_Knob", 0
    _taken = numeric(int)

    def __init__(self, name, label=""):
        super().__init__(name, label)


@strict.fakes(TABLE, "nuke.Double_Knob")
class DoubleKnob(ArrayKnob):
    _kind = "Double_Knob"

    def __init__(self, name, label=""):
        super().__init__(name, label)


@strict.fakes(TABLE, "nuke.Boolean_Knob")
class BooleanKnob(ArrayKnob):
    _kind, _first = "Boolean_Knob", False

    def __init__(self, name, label=""):
        super().__init__(name, label)

    def _taken(self, value):
        if not isinstance(value, (bool, int)):
            raise TypeError(f"{self._name}: {value!r} is neither true nor false")
        return bool(value)


@strict.fakes(TABLE, "nuke.Enumeration_Knob")
class EnumerationKnob(ArrayKnob):
    """A word out of a list; expressions and getValue see its number."""

    _kind = "Enumeration_Knob"

    def __init__(self, name, label, items):
        super().__init__(name, label)
        self._items = [str(item) for item in items]
        self._value = self._default = self._items[0]

    def _taken(self, value):
        if isinstance(value, int) and not isinstance(value, bool):
            return self._items[value]
        if value not in self._items:
            raise ValueError(f"{self._name}: {value!r} is not one of {self._items}")
        return value

    def getValue(self, channel=0):
        return float(self._items.index(self.value()))

    def values(self):
        return list(self._items)


@strict.fakes(TABLE, "nuke.String_Knob")
class StringKnob(Knob):
    _kind, _first = "String_Knob", ""

    def __init__(self, name, label="", value=""):
        super().__init__(name, label)
        self._value = value

    def _taken(self, value):
        if not isinstance(value, str):
            raise TypeError(f"{self._name}: {value!r} is no text")
        return value


@strict.fakes(TABLE, "nuke.EvalString_Knob")
class EvalStringKnob(StringKnob):
    _kind = "EvalString_Knob"

    def __init__(self, name, label="", value=""):
        super().__init__(name, label, value)

    def evaluate(self, time=None):
        return self._expanded(self._owner._session.frame if time is None else int(time), self._owner._session.view)

    def _expanded(self, frame, view, numbers=True):
        text = self._value
        for command in re.findall(r"\[[^\]]*\]", text):
            text = text.replace(command, self._owner._session.tcl(command[1:-1], frame))
        text = text.replace("%V", view).replace("%v", view[:1])
        if numbers:
            text = re.sub(r"#+", lambda m: f"{frame:0{len(m[0])}d}", text)
            text = re.sub(r"%0?(\d*)d", lambda m: f"{frame:0{int(m[1] or 1)}d}", text)
        return text


@strict.fakes(TABLE, "nuke.File_Knob")
class FileKnob(EvalStringKnob):
    _kind = "File_Knob"

    def __init__(self, name, label=""):
        super().__init__(name, label)


@strict.fakes(TABLE, "nuke.Script_Knob")
class ScriptKnob(StringKnob):
    _kind = "Script_Knob"

    def __init__(self, name, label="", command=""):
        super().__init__(name, label, command)

    def command(self):
        return self._value

    def execute(self):
        self._owner._session.executed(self)


@strict.fakes(TABLE, "nuke.PyScript_Knob")
class PyScriptKnob(ScriptKnob):
    _kind = "PyScript_Knob"

    def __init__(self, name, label="", command=""):
        super().__init__(name, label, command)


@strict.fakes(TABLE, "nuke.Text_Knob")
class TextKnob(StringKnob):
    _kind = "Text_Knob"

    def __init__(self, name, label="", value=""):
        super().__init__(name, label, value)


@strict.fakes(TABLE, "nuke.Tab_Knob")
class TabKnob(Knob):
    _kind = "Tab_Knob"

    def __init__(self, name, label=""):
        super().__init__(name, label)


def scalar(knob):
    """A knob as an expression sees it."""
    value = knob.value()
    return knob._items.index(value) if isinstance(knob, EnumerationKnob) else float(value)


def evaluated(text, owner):
    """An expression of a node's knob: parent.NAME, NAME, [exists parent.inputN], $gui, frame, NODE.KNOB.x."""

    def names(word):
        session = owner._session
        if word == "$gui":
            return int(session.gui)
        exists = re.fullmatch(r"\[exists parent\.input(\d+)\]", word)
        if exists:
            return int(owner._group.input(int(exists[1])) is not None)
        if word in ("frame", "t"):
            return session.frame
        if (far := elsewhere(word, owner)) is not None:
            return far(session.frame)
        place, _, knob = word.rpartition(".")
        found = {"parent": owner._group, "": owner}.get(place)
        if found is None or knob not in found._knobs:
            raise RuntimeError(f"Nothing is named {word!r}")
        return scalar(found._knobs[knob])

    class AtFrames(dict):
        """Functions, and knobs of other nodes, which are functions of the frame."""

        def __missing__(self, word):
            return elsewhere(word, owner)

        def __contains__(self, word):
            return super().__contains__(word) or elsewhere(word, owner) is not None

    return expressions.evaluate(text, names, functions=AtFrames(max=max, min=min, abs=abs))


def elsewhere(word, owner):
    """A knob's part, or a bbox's edge, of another node beside the owner, as a function of the frame; None else."""
    name, *rest = word.split(".")
    node = owner._group.node(name) if owner._group is not None else None
    if node is None or not rest:
        return None
    if rest[0] == "bbox":
        from .nuke_boxes import bbox_edge

        return lambda frame: bbox_edge(node, rest[1], frame)
    knob = node._knobs.get(rest[0])
    part = knob._names.index(rest[1]) if len(rest) > 1 else 0
    return lambda frame: knob.getValueAt(frame, part)
