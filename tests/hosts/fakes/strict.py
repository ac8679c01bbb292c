"""Host modules that accept only what the table of host calls knows, on the main thread, in the mode they are in.

    table = strict.Table.load("nuke")
    behaviours = {"toNode": lambda name: ..., "GUI": True, "Node": Node}        # or an object with these attributes
    nuke = strict.module("nuke", table, behaviours, gui=True)

    @strict.fakes(table, "nuke.Node")
    class Node: ...             # its public methods are bound to the table's; its own state has _underscored names

Unknown name: AttributeError. Unknown flag, wrong arity: TypeError. Nothing behind a known name: NotImplementedError.
Touched off the main thread: WrongThread, but for the calls documented to be made there. A call that only the graphical
host has, made in a terminal: RuntimeError.
"""

import contextlib
import functools
import sys
import threading
import types

from .table import Entry, Table

__all__ = ["Entry", "Table", "WrongThread", "calls", "fakes", "give", "installed", "module", "register"]

DUNDERS = {"__init__", "__repr__", "__eq__", "__hash__", "__new__", "__init_subclass__", "__class_getitem__"}


class WrongThread(RuntimeError):  # noqa: N818 - what happened, not what it is
    """A host was touched off its main thread, or a call that waits for the main thread was made on it."""


def guard(entry):
    main = threading.current_thread() is threading.main_thread()
    if main and "off_main" in entry.flags:
        raise WrongThread(f"{entry.name} on the main thread waits for itself: the host hangs")
    if not main and not entry.flags & {"off_main", "any_thread"}:
        raise WrongThread(f"{entry.name} touched from thread {threading.current_thread().name!r}")


def module(name, table, behaviours=None, *, gui=True):
    """A module object over the table; behaviours: a mapping, or an object, by the names right of `name.`.

    A behaviour that the table does not know is an AttributeError here: a fake must not invent.
    """
    if name not in table.modules:
        raise ValueError(f"the table has no module {name}; it has {', '.join(sorted(table.modules))}")
    given = behaviours if isinstance(behaviours, dict) else vars_of(behaviours)
    for key in given:
        if table.find(name, key) is None:
            raise table.refuse(name, key)
    return StrictModule(name, table, given, gui)


def vars_of(behaviours):
    return {key: getattr(behaviours, key) for key in dir(behaviours or ()) if behaviours and not key.startswith("_")}


def calls(fake):
    """[(name, args, kwargs)] of every call that reached this module's functions, in order."""
    return object.__getattribute__(fake, "_calls")


def register(fake, name, behaviour, signature="(*args, **kwargs)"):
    """Give the module a command that a plug-in brought along; None as behaviour takes it away again."""
    own = object.__getattribute__(fake, "__dict__")
    own["_registered"].pop(name, None)
    own["_behaviours"].pop(name, None)
    if behaviour is not None:
        own["_registered"][name] = Entry(f"{fake.__name__}.{name}", "function", [signature])
        own["_behaviours"][name] = behaviour


def give(fake, **behaviours):
    """More behaviours for a module that is there already; they must be in the table too."""
    own = object.__getattribute__(fake, "__dict__")
    for name, behaviour in behaviours.items():
        if own["_table"].find(fake.__name__, name) is None:
            raise own["_table"].refuse(fake.__name__, name)
        own["_behaviours"][name] = behaviour


class StrictModule(types.ModuleType):
    """Never made by hand: see module()."""

    def __init__(self, name, table, behaviours, gui):
        super().__init__(name)
        hidden = {
            "_table": table,
            "_behaviours": behaviours,
            "_gui": gui,
            "_calls": [],
            "_registered": {},
            "__path__": [],
        }
        self.__dict__.update(hidden, __file__=f"<strict fake of {name}>")

    def __getattr__(self, name):
        owner, table = self.__name__, self._table
        if name in self._registered:
            return self._function(self._registered[name], name)
        entry = None if name.startswith("__") else table.find(owner, name)
        if entry is None:
            raise table.refuse(owner, name)
        if entry.kind == "module" and sys.modules.get(entry.name):
            return sys.modules[entry.name]
        if entry.kind != "function":
            guard(entry)
        if "gui" in entry.flags and not self._gui:
            raise RuntimeError(f"{entry.name} needs the graphical host; this one runs in a terminal")
        if entry.kind == "function":
            return self._function(entry, name)
        if name not in self._behaviours:
            raise NotImplementedError(f"the fake knows {entry.name} and has no behaviour for it")
        return self._behaviours[name]

    def _function(self, entry, name):
        def call(*args, **kwargs):
            guard(entry)
            entry.bind(args, kwargs)
            self._calls.append((name, args, kwargs))
            if name not in self._behaviours:
                raise NotImplementedError(f"the fake knows {entry.name} and has no behaviour for it")
            return self._behaviours[name](*args, **kwargs)

        call.__name__ = name
        return call

    def __setattr__(self, name, value):
        if name.startswith("__") or name in self._table.modules or isinstance(value, types.ModuleType):
            return super().__setattr__(name, value)  # the import system's own bookkeeping
        raise AttributeError(f"nothing is kept on the host's module: {self.__name__}.{name} = {value!r}")

    def __dir__(self):
        return sorted(self._table.members(self.__name__))


def fakes(table, name):
    """Class decorator: this class stands in for the host's class of that name, and shows nothing else in public."""
    if name not in table.entries or table.entries[name].kind != "class":
        raise table.refuse(*name.rsplit(".", 1))

    def wrap(cls):
        for key, value in list(vars(cls).items()):
            entry = table.find(name, key)
            if key.startswith("_") and (not key.endswith("__") or (key in DUNDERS and entry is None)):
                continue
            if entry is None and (callable(value) or isinstance(value, (property, staticmethod, classmethod))):
                raise table.refuse(name, key)
            if isinstance(value, (staticmethod, classmethod)):
                setattr(cls, key, type(value)(bound(entry, value.__func__, isinstance(value, classmethod))))
            elif isinstance(value, types.FunctionType):
                setattr(cls, key, bound(entry, value, True))
        for key in table.members(name):
            entry = table.find(name, key)
            if entry.kind == "method" and not hasattr(cls, key):
                setattr(cls, key, bound(entry, missing(entry), True))
        cls.__strict__ = (table, name)
        cls.__getattribute__, cls.__setattr__, cls.__getattr__ = looked_up, assigned, unknown
        return cls

    return wrap


def missing(entry):
    def call(*_, **__):
        raise NotImplementedError(f"the fake knows {entry.name} and has no behaviour for it")

    return call


def bound(entry, function, drops_self):
    @functools.wraps(function)
    def call(*args, **kwargs):
        guard(entry)
        given = args[1:] if drops_self and "static" in entry.flags else args
        entry.bind(given, kwargs)
        return function(*args, **kwargs)

    return call


def looked_up(self, name):
    if not name.startswith("_"):
        table, owner = type(self).__strict__
        entry = table.find(owner, name)
        if entry is None and "__strict__" in vars(type(self)):
            raise table.refuse(owner, name)
        if entry is not None:
            guard(entry)
    return object.__getattribute__(self, name)


def unknown(self, name):
    table, owner = type(self).__strict__
    if name.startswith("_") or table.find(owner, name) is None:
        raise table.refuse(owner, name)
    raise NotImplementedError(f"the fake knows {owner}.{name} and has no behaviour for it")


def assigned(self, name, value):
    if not name.startswith("_"):
        table, owner = type(self).__strict__
        entry = table.find(owner, name)
        ours = entry is None and "__strict__" not in vars(type(self))  # a subclass in our code keeps what it likes
        if not ours and (entry is None or entry.kind != "attribute"):
            raise AttributeError(f"{owner} has no attribute {name!r} to set")
        if not ours:
            guard(entry)
    object.__setattr__(self, name, value)


@contextlib.contextmanager
def installed(modules, *, forget=("sfumato_nuke", "sfumato_maya")):
    """While it lasts, `import NAME` gives these; our own host packages are imported afresh and forgotten after."""
    kept = {name: sys.modules.get(name) for name in modules}
    drop(forget)
    sys.modules.update(modules)
    try:
        yield modules
    finally:
        drop(forget)
        for name, module_ in kept.items():
            sys.modules.pop(name, None)
            if module_ is not None:
                sys.modules[name] = module_


def drop(names):
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]
