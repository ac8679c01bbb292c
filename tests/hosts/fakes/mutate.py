"""Mistakes on purpose: every place where host code names or calls its host, and ways to get it wrong there.

A site is found by what the text says: a name reached from a host module, a value that is known to be the host's, or, on
a value nobody can tell, a name that only a host's class has. Code kept as text in strings is left alone.
"""

import ast
import inspect
import keyword
import random
from typing import Any, NamedTuple

from .inference import HOSTS, UNKNOWN
from .table import signature
from .walk import Walk, binds

KINDS = ("name", "flag", "arity")


class Site(NamedTuple):
    """Where: the file, the line and the node; what: name, flag or arity; which flag; what the call may mean."""

    path: str
    line: int
    kind: str
    node: Any
    which: int = 0
    entries: tuple = ()


class Sites(Walk):
    """sites = Sites(table); sites.of(tree, "nuke/menu.py") -> every Site in it."""

    def of(self, tree, path):
        self.path, self.sites = path, []
        self.walked(tree, path)
        return self.sites

    def attribute(self, node, scopes):
        values = self.infer(node.value, scopes)
        host = any(v.kind in {"module", "class", "object"} for v in values)
        only = UNKNOWN in values and node.attr in self.methods and node.attr not in self.words
        if host or only:
            self.sites.append(Site(self.path, node.lineno, "name", node))

    def imports(self, node):
        for i, alias in enumerate(node.names if isinstance(node, ast.ImportFrom) and not node.level else ()):
            if alias.name and node.module.partition(".")[0] in HOSTS:
                self.sites.append(Site(self.path, node.lineno, "name", node, i))

    def call(self, node, scopes):
        entries, _ = self.called(node.func, scopes)
        kinds = [p.kind for e in entries for text in e.signatures for p in signature(text).parameters.values()]
        if not entries or any(isinstance(a, ast.Starred) for a in node.args):
            return
        for i, word in enumerate(node.keywords):
            if word.arg and inspect.Parameter.VAR_KEYWORD not in kinds:
                self.sites.append(Site(self.path, node.lineno, "flag", node, i, tuple(entries)))
        if inspect.Parameter.VAR_POSITIONAL not in kinds:
            self.sites.append(Site(self.path, node.lineno, "arity", node, 0, tuple(entries)))

    def frozen(self, node):
        pass


def misspelt(word, chance, taken):
    """The word with two letters swapped, one doubled or one dropped, as fingers do; never one of `taken`."""
    while True:
        at = chance.randrange(len(word) - 1) if len(word) > 1 else 0
        swapped = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
        bad = chance.choice([swapped, word[: at + 1] + word[at:], word[:at] + word[at + 1 :] or "x"])
        if bad != word and bad not in taken and bad.isidentifier() and not keyword.iskeyword(bad):
            return bad


def spoil(site, chance, taken):
    """Change the site's node; gives what was done, as text, and a function that undoes it."""
    node = site.node
    if site.kind == "arity":
        before = list(node.args)
        node.args = before[:-1]
        drop = before and chance.random() < 0.5 and not any(binds(entry, node) for entry in site.entries)
        node.args = node.args if drop else before
        while not drop and any(binds(entry, node) for entry in site.entries):
            node.args = [*node.args, ast.Constant(None)]
        done = "an argument dropped" if drop else f"{len(node.args) - len(before)} more"
        return f"{done}: {ast.unparse(node)[:60]}", lambda: setattr(node, "args", before)
    if site.kind == "flag":
        holder, field = node.keywords[site.which], "arg"
    elif isinstance(node, ast.ImportFrom):
        holder, field = node.names[site.which], "name"
    else:
        holder, field = node, "attr"
    before = getattr(holder, field)
    flags = {name for entry in site.entries for text in entry.signatures for name in signature(text).parameters}
    setattr(holder, field, misspelt(before, chance, flags | taken))
    return f"{before} -> {getattr(holder, field)}", lambda: setattr(holder, field, before)


def sample(sites, count, seed):
    """`count` sites, the kinds in turn so that each is tried, no site twice."""
    chance = random.Random(seed)
    heaps = {kind: sorted((s for s in sites if s.kind == kind), key=lambda s: s[:3]) for kind in KINDS}
    for heap in heaps.values():
        chance.shuffle(heap)
    chosen = []
    while len(chosen) < count and any(heaps.values()):
        for kind in KINDS:
            if heaps[kind] and len(chosen) < count:
                chosen.append(heaps[kind].pop())
    return chosen
