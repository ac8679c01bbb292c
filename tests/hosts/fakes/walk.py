"""A walk over host code without running it: every host name must be in the table, every host call must bind.

What a value is, is inferred as far as imports, annotations, constructors, return types and loops tell; several
assignments to a name make several candidates, and one that fits is enough. Where nothing is known about a value, its
attribute must at least be in the vocabulary, and a method that only hosts have must bind to one of theirs.
"""

import ast
import re
import textwrap

from . import vocabulary
from .inference import HOSTS, UNKNOWN, Types, Value
from .scope import Scope
from .table import signature

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


class Walk(Types):
    """walk = Walk(table); walk.problems(text, "nuke/menu.py") -> ["nuke/menu.py:3: nuke has no 'cretaeNode'..."]."""

    def __init__(self, table=None, *, folders=("nuke", "maya", "plugins")):
        super().__init__(table)
        self.words = self.shelf = vocabulary.pythons() | vocabulary.ours(*folders)
        self.commands = vocabulary.registered("maya")
        self.used = set()

    def problems(self, text, where):
        """Every host name or call in `text` that the table does not know, as `where:line: what`."""
        return self.walked(ast.parse(text, filename=where), where)

    def walked(self, tree, where):
        """problems() of a tree."""
        self.found, self.seen, self.where = [], 0, where
        self.words = self.shelf | vocabulary.defined(tree)
        self.visit(tree.body, [Scope(self, tree.body, [])])
        return self.found

    def report(self, node, what):
        self.found.append(f"{self.where}:{node.lineno + self.shift}: {what}")

    shift = 0

    # -- going through the text ---------------------------------------------------------------------------------------

    def visit(self, body, scopes):
        for node in body:
            self.node(node, scopes)

    def node(self, node, scopes):
        if isinstance(node, SCOPES):
            inner = node.body if isinstance(node.body, list) else [node.body]
            for outside in (*getattr(node, "decorator_list", ()), *getattr(node, "bases", ())):
                self.node(outside, scopes)
            if hasattr(node, "args"):
                self.node(node.args, scopes)
            if getattr(node, "returns", None):
                self.node(node.returns, scopes)
            return self.visit(inner, [*scopes, Scope(self, inner, scopes, node)])
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imports(node)
        elif isinstance(node, ast.Attribute):
            self.attribute(node, scopes)
        elif isinstance(node, ast.Call):
            self.call(node, scopes)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.frozen(node)
        self.visit(ast.iter_child_nodes(node), scopes)
        return None

    def imports(self, node):
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            if node.level:
                return
            parent = node.module
            for name in names:
                if parent.partition(".")[0] in HOSTS:
                    self.seen += 1
                    entry = self.table.find(parent, name)
                    self.used |= {entry.name} if entry else set()
                    if entry is None:
                        self.report(node, str(self.table.refuse(parent, name)))
                elif not vocabulary.real(parent, name):
                    self.report(node, f"{parent} has no {name!r}")
            return
        for name in names:
            if name.partition(".")[0] in HOSTS:
                self.seen += 1
                if name not in self.table.modules:
                    self.report(node, f"no module {name!r} in the table of host calls")

    def frozen(self, node):
        """Code kept as text, for a button or a menu."""
        text = textwrap.dedent(node.value)
        if not re.search(r"\b(nuke|cmds|sfumato_nuke|sfumato_maya)\.\w+\(", text):
            return
        try:
            tree = ast.parse(text)
        except SyntaxError:
            return  # a sentence
        shift, self.shift = self.shift, self.shift + node.lineno - 1
        known = "import nuke\nimport maya.cmds as cmds\n"  # a button's and a menu item's text finds these
        self.visit(tree.body, [Scope(self, ast.parse(known).body, []), Scope(self, tree.body, [])])
        self.shift = shift

    # -- checking -----------------------------------------------------------------------------------------------------

    def attribute(self, node, scopes):
        values = self.infer(node.value, scopes)
        hosts = [value for value in values if value.kind in {"module", "class", "object"}]
        self.seen += bool(hosts)
        known = [entry for value in hosts for entry in self.entries(value, node.attr)]
        only = self.methods.get(node.attr, []) if UNKNOWN in values and node.attr not in self.words else []
        self.used |= {entry.name for entry in known[:1] or (only if len(only) == 1 else [])}
        if known:
            store = isinstance(node.ctx, (ast.Store, ast.Del))
            if store and not any(e.kind == "attribute" for v in hosts for e in self.entries(v, node.attr)):
                self.report(node, f"{ast.unparse(node)} cannot be assigned")
            return
        if Value("module", "maya.cmds") in values and node.attr in self.commands:
            return
        if hosts and UNKNOWN not in values:
            self.report(node, str(self.table.refuse(hosts[0].name, node.attr)))
        elif UNKNOWN in values and node.attr not in self.words and node.attr not in self.methods:
            self.report(node, f"no value known here has {node.attr!r}: {ast.unparse(node)}")
        for value in values:
            if value.kind == "python" and not vocabulary.real(value.name, node.attr):
                self.report(node, f"{value.name} has no {node.attr!r}")

    def call(self, node, scopes):
        entries, certain = self.called(node.func, scopes)
        if entries:
            self.seen += 1
            if not any(binds(entry, node) for entry in entries):
                shown = " or ".join(sorted({f"{e.name}{s}" for e in entries for s in e.signatures}))
                self.report(node, f"{ast.unparse(node)[:80]} does not fit {shown[:300]}")
        if certain == "nuke.createNode" and node.args and isinstance(node.args[0], ast.Constant):
            kind = node.args[0].value
            if self.table.find("nuke.nodes", kind) is None:
                self.report(node, f"no node class {kind!r} in the table")


def binds(entry, node):
    """Whether the call's arguments fit; what * and ** bring is trusted, but not the names written out beside them."""
    args = [None] * sum(not isinstance(a, ast.Starred) for a in node.args)
    kwargs = {keyword.arg: None for keyword in node.keywords if keyword.arg}
    open_ended = len(args) < len(node.args) or len(kwargs) < len(node.keywords)
    own = [None] if entry.kind == "method" and "static" not in entry.flags else []
    for text in entry.signatures:
        bind = signature(text).bind_partial if open_ended else signature(text).bind
        try:
            bind(*own, *args, **kwargs)
            return True
        except TypeError:
            continue
    return False
