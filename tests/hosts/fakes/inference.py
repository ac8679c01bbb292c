"""What a value in host code may be, as far as imports, annotations, constructors, return types and loops tell."""

import ast
import re
from typing import NamedTuple

from . import vocabulary
from .table import Table

HOSTS = {"nuke", "nukescripts", "maya", "PySide2", "PySide6", "shiboken2", "shiboken6"}
TABLES = ("nuke", "maya_cmds", "maya_api", "qt")


class Value(NamedTuple):
    """kind: module, class, object, list or dict of objects, function, returns (a function of ours), python, ?."""

    kind: str
    name: str = ""


UNKNOWN = Value("?")


class Types:
    """The table of host calls, asked about values and expressions."""

    def __init__(self, table=None):
        self.table = table or Table.load(*TABLES)
        self.methods, self.below, self.named = {}, {}, {}
        for name, entry in self.table.entries.items():
            if entry.kind == "class":
                self.named.setdefault(name.rpartition(".")[2], []).append(name)
            if entry.kind in {"method", "attribute"}:
                self.methods.setdefault(name.rpartition(".")[2], []).append(entry)
            for base in entry.bases:
                self.below.setdefault(base, []).append(name)

    def called(self, func, scopes):
        """The entries that a call may mean, [] where that is nobody's business; and the one name, if it is certain."""
        values = self.infer(func, scopes)
        entries = [self.table.entries[v.name] for v in values if v.kind == "function"]
        for value in values:
            if value.kind == "class":
                made = self.table.find(value.name, "__init__")
                entries += [made] if made else []
        if isinstance(func, ast.Attribute):
            owners = self.infer(func.value, scopes)
            for owner in owners:
                entries += [e for e in self.entries(owner, func.attr) if e.kind == "method"]
            if UNKNOWN in owners:
                if func.attr in self.words:
                    return [], ""
                entries += [e for e in self.methods.get(func.attr, ()) if e.kind == "method"]
        elif UNKNOWN in values:
            return [], ""
        return entries, entries[0].name if len(entries) == 1 else ""

    def entries(self, value, name):
        """The entries that `name` may be on such a value: of its class, the bases, and of what derives from it."""
        if value.kind not in {"module", "class", "object"}:
            return []
        found = [self.table.find(value.name, name)]
        queue = list(self.below.get(value.name, ())) if value.kind == "object" else []
        while queue:
            kind = queue.pop()
            found.append(self.table.find(kind, name))
            queue += self.below.get(kind, ())
        return [entry for entry in found if entry]

    def infer(self, node, scopes):
        """Every Value that an expression may have."""
        if isinstance(node, ast.Name):
            for scope in reversed(scopes):
                if node.id in scope.names:
                    return scope.names[node.id]
        elif isinstance(node, ast.Attribute):
            return self.member(node, scopes)
        elif isinstance(node, ast.Call):
            return self.result(node, scopes)
        elif isinstance(node, ast.Subscript):
            return frozenset(v for owner in self.infer(node.value, scopes) for v in self.item(owner)) or {UNKNOWN}
        elif isinstance(node, (ast.List, ast.Tuple)):
            inner = {value for part in node.elts for value in self.infer(part, scopes)}
            return frozenset(Value("list", v.name) if v.kind == "object" else UNKNOWN for v in inner) or {UNKNOWN}
        elif isinstance(node, (ast.IfExp, ast.BoolOp)):
            parts = [node.body, node.orelse] if isinstance(node, ast.IfExp) else node.values
            return frozenset(value for part in parts for value in self.infer(part, scopes))
        elif isinstance(node, (ast.NamedExpr, ast.Await, ast.Starred)):
            return self.infer(node.value, scopes)
        elif isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp)):
            inner = self.infer(node.elt, scopes)
            return frozenset(Value("list", v.name) if v.kind == "object" else UNKNOWN for v in inner)
        return {UNKNOWN}

    def member(self, node, scopes):
        made = set()
        for owner in self.infer(node.value, scopes):
            if owner.kind == "python":
                inner = vocabulary.submodule(owner.name, node.attr)
                made.add(Value("python", inner) if inner else UNKNOWN)
            for entry in self.entries(owner, node.attr):
                if entry.kind in {"module", "class", "function"}:
                    made.add(Value(entry.kind, entry.name))
                elif entry.kind in {"attribute", "constant"}:
                    made |= self.typed(entry.type, entry)
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            for scope in reversed(scopes):
                made |= scope.selfs.get(node.attr, set())
        return frozenset(made) or {UNKNOWN}

    def result(self, node, scopes):
        entries, _ = self.called(node.func, scopes)
        made = set()
        for value in self.infer(node.func, scopes):
            if value.kind == "class" or value.kind == "returns":
                made.add(Value("object", value.name))
        for entry in entries:
            if not entry.name.endswith("__init__"):
                made |= self.typed(entry.returns(), entry)
        return frozenset(made) or {UNKNOWN}

    def item(self, owner):
        if owner.kind in {"list", "dict"}:
            return {Value("object", owner.name)}
        return {v for e in self.entries(owner, "__getitem__") for v in self.typed(e.returns(), e)} or {UNKNOWN}

    def typed(self, text, near=None):
        """The values that a written type allows; names without a module are looked for where `near` is."""
        text = text.strip("'\" ")
        for wrap in ("Optional[", "ClassVar["):
            if text.startswith(wrap):
                text = text[len(wrap) : -1]
        text = re.sub(r"\s*\|\s*None|None\s*\|\s*", "", text)
        kind = "object"
        for wrap, inner in (("List[", "list"), ("list[", "list"), ("Sequence[", "list"), ("Iterable[", "list")):
            if text.startswith(wrap):
                text, kind = text[len(wrap) : -1], inner
        if text.startswith(("Dict[str, ", "dict[str, ")):
            text, kind = text[10:-1], "dict"
        text = text.strip("'\" ")
        for home in ("", *(parents(near.name) if near else ())):
            name = f"{home}.{text}" if home else text
            if name in self.table.entries and self.table.entries[name].kind == "class":
                return {Value(kind, name)}
        return {UNKNOWN}


def parents(name):
    words = name.split(".")
    return [".".join(words[:i]) for i in range(len(words) - 1, 0, -1)]
