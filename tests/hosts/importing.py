"""Imports our host code in a fresh process, as a host does at start-up, with nothing behind the host's names.

    python tests/hosts/importing.py nuke|maya [MODULE...]      one JSON object: seconds, modules, compiled, threads

Without modules: what a host imports when it starts (menu.py; the plug-in). `compiled` lists compiled modules from
outside Python itself.
"""

import importlib
import importlib.machinery
import json
import pathlib
import pkgutil
import runpy
import sys
import sysconfig
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDERS = {"nuke": ROOT / "nuke", "maya": ROOT / "maya" / "scripts"}
MAYA = ("api", "cmds", "mel", "utils", "standalone", "api.OpenMaya", "api.OpenMayaAnim")
PARTS = {
    "nuke": ["nuke", "nuke.nodes"],
    "maya": ["maya", *(f"maya.{part}" for part in MAYA)],
}


class Anything:
    """Behind nuke.GUI and nuke.menu(...) while menu.py runs: takes what it is given."""

    def __call__(self, *_, **__):
        return self

    def __getattr__(self, name):
        return self


def stand_ins(host):
    """Bare strict modules of the host, under their names."""
    sys.path.append(str(HERE))
    from fakes import strict

    table = strict.Table.load("nuke", "maya_cmds", "maya_api", "qt")
    classes = {}
    for name, entry in table.entries.items():
        module, _, short = name.rpartition(".")
        if entry.kind == "class" and module in (*PARTS[host], "PySide6.QtCore"):
            constants = {
                member: number for number, member in enumerate(sorted(table.members(name))) if member[0] == "k"
            }
            made = strict.fakes(table, name)(type(short, (), constants))  # ours derive from it, and read its constants
            classes.setdefault(module, {})[short] = made
    for module in (*PARTS[host], "PySide6", "PySide6.QtCore"):
        sys.modules[module] = strict.module(module, table, classes.get(module, {}))
    if host == "nuke":
        given = {**classes["nuke"], "GUI": True, "env": {"gui": True}, "NUKE_VERSION_MAJOR": 16}
        given.update({name: Anything() for name in ("menu", "toolbar", "addOnScriptClose", "addOnScriptLoad")})
        sys.modules["nuke"] = strict.module("nuke", table, given)


def names(host):
    """Every module of ours for this host."""
    package = f"sfumato_{host}"
    found = pkgutil.walk_packages([str(FOLDERS[host] / package)], f"{package}.")
    return [package, *(module.name for module in found)]


def compiled(before):
    """Extension modules that came since, from outside Python's own folders."""
    own = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib")}
    found = []
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        outside = "site-packages" in file or not any(file.startswith(folder) for folder in own)
        if outside and file.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
            found.append(name)
    return sorted(found)


def main(host, wanted):
    sys.path += [str(FOLDERS[host]), str(ROOT / "plugins")]
    stand_ins(host)
    before, threads, start = set(sys.modules), threading.active_count(), time.perf_counter()
    if wanted == ["everything"]:
        wanted = names(host)
    for name in wanted:
        importlib.import_module(name)
    if not wanted and host == "nuke":
        runpy.run_path(str(FOLDERS[host] / "init.py"))
        runpy.run_path(str(FOLDERS[host] / "menu.py"))
    if not wanted and host == "maya":
        for path in sorted((ROOT / "maya" / "plug-ins").glob("*.py")):
            runpy.run_path(str(path), run_name=path.stem)
    seconds = time.perf_counter() - start
    new = sorted(set(sys.modules) - before)
    answer = {"seconds": seconds, "modules": new, "compiled": compiled(before)}
    print(json.dumps({**answer, "threads": threading.active_count() - threads}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
