"""The table of host calls: what exists, and with which signature, as the stubs and the documentation say.

`Table.load("nuke")` reads api/nuke.json, which api/make.py wrote. Names are dotted in full: `nuke.Node.knob`,
`maya.cmds.setKeyframe`, `maya.api.OpenMayaAnim.MFnAnimCurve.addKeys`.
"""

import ast
import difflib
import functools
import inspect
import json
import pathlib

API = pathlib.Path(__file__).parent / "api"


class Entry:
    """One function, constant, class, method or attribute of a host."""

    def __init__(self, name, kind, signatures=(), bases=(), flags=(), source="", type=""):
        self.name, self.kind, self.bases, self.source, self.type = name, kind, tuple(bases), source, type
        self.signatures, self.flags = tuple(signatures), frozenset(flags)

    def bind(self, args, kwargs):
        """Raise TypeError unless one of the signatures takes these arguments."""
        problems = []
        for text in self.signatures:
            try:
                signature(text).bind(*args, **kwargs)
                return
            except TypeError as problem:
                problems.append(f"{problem} in {self.name}{text}")
        raise TypeError(f"{self.name}: " + "; ".join(problems))

    def returns(self):
        """The type that every signature agrees on, as written in the table; '' where they do not or none is given."""
        found = {text.rpartition(" -> ")[2] for text in self.signatures if " -> " in text}
        return found.pop() if len(found) == 1 else ""


@functools.cache
def signature(text):
    """inspect.Signature of "(self, name: str = ..., *, query: bool = ...) -> str"."""
    a = ast.parse(f"def f{text}: ...").body[0].args
    kinds = inspect.Parameter
    plain = [(p, kinds.POSITIONAL_ONLY) for p in a.posonlyargs] + [(p, kinds.POSITIONAL_OR_KEYWORD) for p in a.args]
    first = len(plain) - len(a.defaults)
    made = [kinds(p.arg, kind, default=kinds.empty if i < first else ...) for i, (p, kind) in enumerate(plain)]
    made += [kinds(a.vararg.arg, kinds.VAR_POSITIONAL)] if a.vararg else []
    for p, default in zip(a.kwonlyargs, a.kw_defaults, strict=True):
        made.append(kinds(p.arg, kinds.KEYWORD_ONLY, default=kinds.empty if default is None else ...))
    made += [kinds(a.kwarg.arg, kinds.VAR_KEYWORD)] if a.kwarg else []
    return inspect.Signature(made)


class Table:
    """Every host name that our code may use, by its dotted name."""

    def __init__(self, entries):
        self.entries = {entry.name: entry for entry in entries}
        self.modules = {name for name, entry in self.entries.items() if entry.kind == "module"}

    @classmethod
    @functools.cache
    def load(cls, *names):
        """The tables of these names in one: Table.load("maya_cmds", "maya_api")."""
        entries = []
        for name in names:
            for dotted, fields in json.loads((API / f"{name}.json").read_text(encoding="utf-8"))["names"].items():
                entries.append(Entry(dotted, **fields))
        return cls(entries)

    def find(self, owner, name):
        """The entry of `owner.name`, looked for in the bases of a class too; None where there is none."""
        found = self.entries.get(f"{owner}.{name}")
        if found is None and owner in self.entries:
            for base in self.entries[owner].bases:
                found = found or self.find(base, name)
        return found

    def members(self, owner):
        """Every name that `owner` or a base of it has."""
        own = {name.rpartition(".")[2] for name in self.entries if name.rpartition(".")[0] == owner}
        bases = self.entries[owner].bases if owner in self.entries else ()
        return own.union(*(self.members(base) for base in bases))

    def refuse(self, owner, name):
        """The AttributeError for a name that the host does not have, or that the table lacks."""
        near = difflib.get_close_matches(name, self.members(owner), 3)
        hint = f"; near it: {', '.join(near)}" if near else ""
        return AttributeError(f"{owner} has no {name!r} in the table of host calls{hint}")
