"""The names that a function, class or module of host code binds, each with every value that it may have there."""

import ast
import re

from . import vocabulary
from .inference import HOSTS, UNKNOWN, Value

SEQUENCES = {"reversed", "sorted", "list", "tuple", "set", "iter"}


class Scope:
    """One function, class or module; Scope.names: name -> values, Scope.selfs: the same for self.name in methods."""

    def __init__(self, walk, body, outer, node=None):
        self.walk, self.names, self.selfs = walk, {}, {}
        self.around = [*outer, self]
        if node is not None and hasattr(node, "args"):
            self.parameters(node, outer)
        for _ in range(2):  # what a later line says about an earlier one
            for statement in body:
                self.gather(statement)

    def parameters(self, node, outer):
        a = node.args
        for part in filter(None, [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]):
            inside = outer and part.arg == "self" and [v for s in outer[-1:] for v in s.names.get("self class", ())]
            values = frozenset(inside or self.annotated(part.annotation))
            if values == {UNKNOWN} and part.arg == "node" and getattr(part.annotation, "id", "") == "Any":
                values = frozenset({Value("object", "nuke.Node")})  # the one name that is a node wherever it is open
            self.names[part.arg] = values

    def annotated(self, annotation):
        """The values of an annotation, its aliases resolved: `om.MPlug`, "nuke.Node", Optional[List[nuke.Node]]."""
        if annotation is None:
            return {UNKNOWN}
        text = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
        if not isinstance(text, str):
            return {UNKNOWN}

        def spelt(match):
            for scope in reversed(self.around):
                for value in scope.names.get(match[1], ()):
                    if value.kind in {"module", "class"}:
                        return value.name + (match[2] or "")
            return match[0]

        return self.walk.typed(re.sub(r"\b([A-Za-z_]\w*)((?:\.\w+)*)", spelt, text))

    def add(self, name, values):
        self.names[name] = frozenset(self.names.get(name, frozenset()) | frozenset(values))

    def gather(self, node):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            back = self.annotated(node.returns) - {UNKNOWN}
            self.add(node.name, {Value("returns", v.name) for v in back if v.kind == "object"} or {UNKNOWN})
            self.selves(node)
            return
        if isinstance(node, ast.ClassDef):
            self.add(node.name, {UNKNOWN})
            return
        if isinstance(node, ast.Lambda):
            return
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imported(node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                values = self.stands_for(target, node.value) or self.walk.infer(node.value, self.around)
                self.bind(target, values, node.value)
        elif isinstance(node, ast.AnnAssign):
            self.bind(node.target, self.annotated(node.annotation))
        elif isinstance(node, (ast.NamedExpr, ast.AugAssign)):
            self.bind(node.target, self.walk.infer(node.value, self.around))
        elif isinstance(node, (ast.For, ast.comprehension)):
            columns = self.columns(node.iter) if isinstance(node.target, ast.Tuple) else []
            for part, values in zip(node.target.elts, columns, strict=False) if columns else ():
                self.bind(part, values)
            if not columns:
                self.bind(node.target, self.items(node.iter))
        elif isinstance(node, ast.With):
            for item in node.items:
                if item.optional_vars is not None:
                    self.bind(item.optional_vars, self.walk.infer(item.context_expr, self.around))
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self.add(node.name, {UNKNOWN})
        for child in ast.iter_child_nodes(node):
            self.gather(child)

    def stands_for(self, target, value):
        """`Node = Any`: a host's class, under its own name, for type checkers that have no stubs of the host."""
        if isinstance(target, ast.Name) and getattr(value, "id", "") == "Any" and len(self.around) == 1:
            return {Value("class", name) for name in self.walk.named.get(target.id, ())}
        return set()

    def items(self, node):
        """What a loop over this expression gives one by one."""
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return {value for part in node.elts for value in self.walk.infer(part, self.around)}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SEQUENCES and node.args:
            return self.items(node.args[0])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values":
            return {v for owner in self.walk.infer(node.func.value, self.around) for v in self.walk.item(owner)}
        return {Value("object", v.name) if v.kind == "list" else UNKNOWN for v in self.walk.infer(node, self.around)}

    def columns(self, node):
        """What a loop over zip(), enumerate() or a dictionary's items() gives, column by column; [] for others."""
        if not isinstance(node, ast.Call) or any(isinstance(part, ast.Starred) for part in node.args):
            return []
        name = getattr(node.func, "id", "")
        if name in {"sorted", "reversed", "list"} and node.args:
            return self.columns(node.args[0])
        if name == "enumerate" and node.args:
            return [{UNKNOWN}, self.items(node.args[0])]
        if name == "zip":
            return [self.items(part) for part in node.args]
        if getattr(node.func, "attr", "") == "items":
            owners = self.walk.infer(node.func.value, self.around)
            return [{UNKNOWN}, {Value("object", v.name) if v.kind == "dict" else UNKNOWN for v in owners}]
        return []

    def bind(self, target, values, source=None):
        if isinstance(target, ast.Name):
            self.add(target.id, values)
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = source.elts if isinstance(source, (ast.Tuple, ast.List)) else [None] * len(target.elts)
            for part, value in zip(target.elts, parts):  # noqa: B905 - a star shortens one of them
                self.bind(part, self.walk.infer(value, self.around) if value is not None else {UNKNOWN}, value)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, {UNKNOWN})

    def selves(self, function):
        """self.name = ... in a method, seen from the class around it."""
        inner = Scope(self.walk, function.body, self.around, function)
        for node in ast.walk(function):
            targets = node.targets if isinstance(node, ast.Assign) else []
            values = self.walk.infer(node.value, inner.around) if targets else set()
            if isinstance(node, ast.AnnAssign):
                targets, values = [node.target], inner.annotated(node.annotation)
            for target in targets:
                if isinstance(target, ast.Attribute) and getattr(target.value, "id", "") == "self":
                    self.selfs.setdefault(target.attr, set()).update(values)

    def imported(self, node):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                dotted = alias.name if alias.asname else top
                kind = "module" if top in HOSTS else "python" if top in vocabulary.STANDARD else "?"
                self.add(alias.asname or top, {Value(kind, dotted) if kind != "?" else UNKNOWN})
            return
        for alias in node.names:
            name = alias.asname or alias.name
            entry = None if node.level else self.walk.table.find(node.module, alias.name)
            if entry is not None and entry.kind in {"module", "class", "function"}:
                self.add(name, {Value(entry.kind, entry.name)})
            elif not node.level and f"{node.module}.{alias.name}" in vocabulary.modules():
                self.add(name, {Value("python", f"{node.module}.{alias.name}")})
            else:
                self.add(name, {UNKNOWN})
