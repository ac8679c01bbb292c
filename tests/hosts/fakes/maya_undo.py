"""Changes to the fake scene that can be taken back, and Maya's queue of them.

Every change is the swap of one field of one object. Taking it back demands to find what it left: an undo in the wrong
order, or over something that was changed behind the queue's back, is an error here, where Maya might merely be wrong.
"""

import contextlib


class Edits:
    """A list of swaps, done once, undone and done again as often as asked."""

    def __init__(self):
        self.swaps = []

    def swap(self, thing, field, value):
        old = getattr(thing, field)
        object.__setattr__(thing, field, value)
        self.swaps.append((thing, field, old, value))

    def undo(self):
        for thing, field, old, new in reversed(self.swaps):
            self.put(thing, field, new, old)

    def redo(self):
        for thing, field, old, new in self.swaps:
            self.put(thing, field, old, new)

    @staticmethod
    def put(thing, field, expected, value):
        found = getattr(thing, field)
        if found is not expected and found != expected:
            raise AssertionError(f"undo finds {field} of {thing} changed by something it does not know: {found!r}")
        object.__setattr__(thing, field, value)


class Queue:
    """What Ctrl+Z walks back. Commands append to it; the API does not."""

    def __init__(self):
        self.done, self.undone = [], []
        self.recording, self.depth, self.replaying = True, 0, False
        self.chunk = None

    def uses(self, name):
        """Whether a step of the queue, undone or not, belongs to this command."""
        return any(step[2] == name for _, steps in self.done + self.undone for step in steps)

    def record(self, name, undo, redo):
        if self.replaying or not self.recording:
            return
        self.undone.clear()
        if self.chunk is not None:
            self.chunk[1].append((undo, redo, name))
        else:
            self.done.append((name, [(undo, redo, name)]))

    @contextlib.contextmanager
    def command(self, name):
        """The changes of one command of Maya's own: all or none, and one step of the queue."""
        edits = Edits()
        try:
            yield edits
        except BaseException:
            edits.undo()
            raise
        if edits.swaps:
            self.record(name, edits.undo, edits.redo)

    def open(self, name):
        self.depth += 1
        if self.depth == 1:
            self.chunk = (name, [])

    def close(self):
        if not self.depth:
            raise RuntimeError("no undo chunk is open")
        self.depth -= 1
        if not self.depth:
            if self.chunk[1]:
                self.done.append(self.chunk)
            self.chunk = None

    def undo(self):
        self._walk(self.done, self.undone, 0)

    def redo(self):
        self._walk(self.undone, self.done, 1)

    def _walk(self, source, target, which):
        if self.depth:
            raise RuntimeError("an undo chunk is open")
        if not source:
            raise RuntimeError(f"There are no more commands to {'redo' if which else 'undo'}.")
        entry = source.pop()
        self.replaying = True
        try:
            for step in entry[1] if which else reversed(entry[1]):
                step[which]()
        finally:
            self.replaying = False
        target.append(entry)
