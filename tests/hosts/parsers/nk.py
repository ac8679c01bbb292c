"""Nuke's text, read the way Nuke reads it: by Tcl, in a safe interpreter that can neither open files nor run programs.

`parse(text)` gives the nodes; a missing brace, a knob without a value, a group that is not closed, an unset variable or
a command that is none is a NukeTextError with Tcl's own words.
"""

from __future__ import annotations

import dataclasses
import re
import sys

CLASS = re.compile(r"[A-Z]\w*$")
COMMANDS = {"version", "define_window_layout_xml", "add_layer", "push", "stack", "end_group", "clone"}
NO_INPUT = {"Input", "Read", "Constant", "CheckerBoard2", "Root", "StickyNote", "BackdropNode", "Viewer"}


class NukeTextError(ValueError):
    """What Nuke would not take."""


@dataclasses.dataclass
class UserKnob:
    """One addUserKnob: its number, name, label, tooltip and the flags, items and range behind them."""

    number: int
    name: str = ""
    label: str = ""
    tooltip: str = ""
    text: str = ""
    items: tuple = ()
    range: tuple = ()
    flags: tuple = ()


@dataclasses.dataclass
class Node:
    """One node: knobs in the text's order, user knobs apart; nodes of a group inside it, `inputs` by node (or None)."""

    kind: str
    knobs: dict
    user: list
    inputs: list
    nodes: list = dataclasses.field(default_factory=list)

    @property
    def name(self):
        return self.knobs.get("name", "")

    def all(self):
        """This node and every one below it."""
        return [self, *(below for node in self.nodes for below in node.all())]


def _tkinter():
    """Tcl reads Nuke's text as Nuke does; a Python built without it skips the test that wants it."""
    try:
        import tkinter
    except ImportError:
        if "pytest" in sys.modules:
            sys.modules["pytest"].skip("this Python was built without Tcl, which reads Nuke's text")
        raise
    return tkinter


class Reader:
    """Collects what the safe interpreter's commands say."""

    def __init__(self):
        self.tcl = _tkinter().Tcl()
        self.tcl.eval("interp create -safe nk")
        for command in self.tcl.splitlist(self.tcl.eval("interp eval nk {info commands}")):
            if command not in {"set", "rename", "unknown"}:
                self.tcl.call("interp", "eval", "nk", ("rename", command, ""))
        self.problem = None
        self.top = Node("", {}, [], [])
        self.open, self.stacks = [self.top], [[]]
        for name in COMMANDS:
            self.tcl.createcommand(f"py_{name}", self.kept(getattr(self, name, lambda *_: "")))
            self.tcl.eval(f"interp alias nk {name} {{}} py_{name}")
        self.tcl.createcommand("py_node", self.kept(self.node))
        self.tcl.eval("interp alias nk unknown {} py_node")
        self.tcl.eval("interp eval nk {rename rename {}}")
        self.known = {}

    def kept(self, command):
        """The command, whose NukeTextError outlives the way through Tcl."""

        def call(*words):
            try:
                return command(*words)
            except (NukeTextError, ValueError) as problem:
                self.problem = self.problem or problem
                raise

        return call

    def node(self, kind, *bodies):
        if not CLASS.match(kind):
            raise NukeTextError(f"{kind!r} is neither a node nor a command of Nuke's text")
        if len(bodies) != 1:
            raise NukeTextError(f"{kind} takes one body in braces, not {len(bodies)}")
        words = self.tcl.splitlist(bodies[0])
        if len(words) % 2:
            raise NukeTextError(f"{kind}: a knob without a value, near {words[-1]!r}")
        pairs = list(zip(words[::2], words[1::2], strict=True))
        user = [self.user_knob(value) for name, value in pairs if name == "addUserKnob"]
        knobs = {name: value for name, value in pairs if name != "addUserKnob"}
        made = Node(kind, knobs, user, [])
        self.wire(made)
        self.open[-1].nodes.append(made)
        if kind in {"Group", "LiveGroup"}:
            self.open.append(made)
            self.stacks.append([])
        return ""

    def wire(self, node):
        """Take the node's inputs off the stack, as many as it says, and put the node there."""
        said = node.knobs.get("inputs", "0" if node.kind in NO_INPUT else "1")
        stack = self.stacks[-1]
        for _ in range(sum(int(part) for part in said.split("+"))):
            node.inputs.append(stack.pop() if stack else None)
        if node.kind != "Root":
            stack.append(node)
            self.known[str(id(node))] = node

    def user_knob(self, text):
        words = list(self.tcl.splitlist(text))
        if not words or not words[0].isdigit():
            raise NukeTextError(f"addUserKnob {{{text}}} does not start with a number")
        knob = UserKnob(int(words.pop(0)), words.pop(0) if words else "")
        flags = []
        while words:
            word = words.pop(0)
            if word in {"l", "t", "T"} and words:
                setattr(knob, {"l": "label", "t": "tooltip", "T": "text"}[word], words.pop(0))
            elif word == "M" and words:
                knob.items = self.tcl.splitlist(words.pop(0))
            elif word == "R" and len(words) > 1:
                knob.range = float(words.pop(0)), float(words.pop(0))
            elif word == "n" or re.match(r"[+-][A-Z_]+$", word) or re.match(r"-?\d+$", word):
                flags.append(word)
            else:
                raise NukeTextError(f"addUserKnob {knob.name}: {word!r} is no part of it")
        knob.flags = tuple(flags)
        return knob

    def push(self, word):
        self.stacks[-1].append(self.known.get(word))
        return ""

    def stack(self, depth):
        there = self.stacks[-1]
        if int(depth) >= len(there):
            raise NukeTextError(f"[stack {depth}] reaches below the {len(there)} nodes on the stack")
        return str(id(there[-1 - int(depth)]))

    def end_group(self):
        if len(self.open) == 1:
            raise NukeTextError("end_group without a Group")
        self.open.pop()
        self.stacks.pop()
        return ""


def parse(text):
    """The nodes of a script, gizmo or pasted text, outermost first."""
    tkinter = _tkinter()
    reader = Reader()
    try:
        reader.tcl.call("interp", "eval", "nk", text)
    except tkinter.TclError as problem:
        raise NukeTextError(str(reader.problem or problem)) from problem
    if len(reader.open) > 1:
        raise NukeTextError(f"{reader.open[-1].name or reader.open[-1].kind} is not closed by end_group")
    return reader.top.nodes
