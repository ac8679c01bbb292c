"""Every attribute name that host code may write on a value whose type the walk cannot tell.

Three shelves: the table of host calls, what Python's own values have, what our own code defines. A name on none of them
is a misspelling.
"""

import ast
import functools
import importlib
import importlib.machinery
import io
import pathlib
import sys

STANDARD = sys.stdlib_module_names
ROOT = pathlib.Path(__file__).resolve().parents[3]
VALUES = (str, bytes, int, float, bool, list, tuple, dict, set, frozenset, type, object, range, BaseException, property)
OBJECTS = {  # modules whose classes' instances turn up in host code
    "argparse", "collections", "datetime", "json", "logging", "os", "pathlib", "queue", "re", "shutil", "socket",
    "subprocess", "tempfile", "threading", "time", "traceback", "types", "zipfile", "functools", "contextlib",
    "importlib.metadata", "importlib.machinery", "importlib.util", "xml.etree.ElementTree", "ast", "platform",
    "hashlib",
}  # fmt: skip
ELSEWHERE = {"startfile", "windll", "kernel32", "STARTUPINFO", "STARTF_USESHOWWINDOW", "CREATE_NO_WINDOW"}  # Windows


@functools.cache
def pythons():
    """What values of Python's own types have."""
    names = set(ELSEWHERE)
    for kind in (*VALUES, io.TextIOWrapper, io.BytesIO, io.StringIO):
        names |= set(dir(kind))
    for module in OBJECTS:
        for thing in vars(importlib.import_module(module)).values():
            if isinstance(thing, type):
                names |= set(dir(thing))
    names |= set(dir(importlib.machinery.ModuleSpec("", None)))
    names |= {"returncode", "stdin", "stdout", "stderr", "pid", "args", "errno", "strerror", "filename", "lineno"}
    return frozenset(names | {"st_size", "st_mtime", "st_mode", "name", "path", "value", "msg", "text", "code"})


@functools.cache
def ours(*folders):
    """What any class, function or module of these folders (of the repository) defines or sets."""
    names = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            names |= {path.stem, path.parent.name} | defined(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(names)


@functools.cache
def registered(folder):
    """Commands that our own plug-in adds to maya.cmds: names that our code holds as text, prefixed as all of ours."""
    nodes = (n for p in (ROOT / folder).rglob("*.py") for n in ast.walk(ast.parse(p.read_text(encoding="utf-8"))))
    texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return frozenset(text for text in texts if text.startswith("sfumato") and text.isidentifier())


def defined(tree):
    """Names that a module's text brings into being: definitions, annotated fields, self.x = ..., tuple fields."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            names.add(node.name)
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                targets = inner.targets if isinstance(inner, ast.Assign) else [getattr(inner, "target", None)]
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names |= {node.attr} if getattr(node.value, "id", "") in {"self", "cls"} else set()
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            words = [word.value for word in node.args if isinstance(word, ast.Constant)]
            names |= {word.lstrip("-").replace("-", "_") for word in words if isinstance(word, str)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@functools.cache
def modules():
    """sfumato_plugins' own modules, by dotted name."""
    root = ROOT / "plugins"
    paths = [path.relative_to(root).with_suffix("") for path in (root / "sfumato_plugins").rglob("*.py")]
    return frozenset(".".join(path.parts) for path in paths)


def real(dotted, name):
    """Whether a module of the standard library, or of sfumato_plugins, really has `name`."""
    top = dotted.partition(".")[0]
    if top not in STANDARD and top != "sfumato_plugins":
        return True
    try:
        thing = importlib.import_module(dotted)
    except ImportError:
        return True  # another platform's, or newer than this Python
    if hasattr(thing, name) or name in ELSEWHERE:
        return True
    try:
        importlib.import_module(f"{dotted}.{name}")
    except ImportError:
        return False
    return True


def submodule(dotted, name):
    """ "posixpath" for ("os", "path"): the real name of a module that is an attribute of a module; '' for the rest."""
    top = dotted.partition(".")[0]
    if top not in STANDARD and top != "sfumato_plugins":
        return ""
    try:
        thing = getattr(importlib.import_module(dotted), name, None)
    except ImportError:
        return ""
    return getattr(thing, "__name__", "") if isinstance(thing, type(sys)) else ""
