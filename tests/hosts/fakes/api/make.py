"""Writes the tables of host calls from the MIT-licensed stub packages and our own readings of the documentation.

    python tests/hosts/fakes/api/make.py [--stubs FOLDER] [--unused | --calls]

For each NAME.wanted (one dotted name a line, # for remarks) it writes NAME.json with just those names. Signatures come
from the first of: overrides.json (each entry names the page it was read from), the stub packages below. A wanted name
that neither knows, or that the stubs know only as (*args, **kwargs), is an error: read the page, add an override.
FOLDER is where the wheels are unpacked; without it they are fetched with pip. --unused tells which wanted names neither
nuke/ nor maya/ nor the fakes mention; --calls writes host_calls.txt beside each site check: what our code uses today.
"""

import argparse
import ast
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[3]
PACKAGES = {"types-nuke": "13.2.8.0", "maya-stubs": "0.4.2", "types-maya-strict": "2025.0.6"}
NUKE_FILES = ("_nuke", "utils", "callbacks", "overrides", "executeInMain")
MODULES = {  # module -> (package, stub files within it)
    "nuke": ("types-nuke", [f"nuke-stubs/{n}.pyi" for n in NUKE_FILES]),
    "nuke.rotopaint": ("types-nuke", ["nuke-stubs/_curvelib.pyi", "nuke-stubs/_curveknob.pyi"]),
    "maya.cmds": ("maya-stubs", ["maya-stubs/cmds/__init__.pyi"]),
    "maya.utils": ("maya-stubs", ["maya-stubs/utils.pyi"]),
    "maya.mel": ("maya-stubs", ["maya-stubs/mel/__init__.pyi"]),
    "maya.api.OpenMaya": ("types-maya-strict", ["maya-stubs/api/OpenMaya.pyi"]),
    "maya.api.OpenMayaAnim": ("types-maya-strict", ["maya-stubs/api/OpenMayaAnim.pyi"]),
    "maya.api.OpenMayaUI": ("types-maya-strict", ["maya-stubs/api/OpenMayaUI.pyi"]),
}
OPAQUE = re.compile(r"^\((self, )?(/, )?\*args[^,]*, \*\*kwargs[^,)]*\)")


def unpacked(folder):
    """Every stub package below `folder`, fetched first if it is not there."""
    for package, version in PACKAGES.items():
        if not (folder / package).is_dir():
            fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, f"{package}=={version}"]
            subprocess.run([*map(str, fetch)], check=True)
            wheel = next(folder.glob(f"{package.replace('-', '_')}-*.whl"))
            zipfile.ZipFile(wheel).extractall(folder / package)
    return folder


def written(function):
    """The signature of a stub's function as text, with the noise of annotations that name nothing taken out."""
    a = function.args
    for part in filter(None, [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]):
        if part.annotation and ast.unparse(part.annotation) in {"Incomplete", "Unknown", "Any"}:
            part.annotation = None
    back = ast.unparse(function.returns) if function.returns else ""
    back = re.sub(r"^Optional\[(.*)\]$", r"\1 | None", back)
    return f"({ast.unparse(a)})" + ("" if back in {"", "Any", "Incomplete", "Unknown"} else f" -> {back}")


def is_function(node):
    return isinstance(node, ast.FunctionDef)


def members(body, owner, source, found, kinds):
    """Enter what a stub's module or class body declares into `found`, by dotted name."""
    for node in body:
        if is_function(node):
            name = f"{owner}.{node.name}"
            if node.name in {"__init__", "__new__"} and node.decorator_list:
                continue  # a class method named __init__: the stubs' word for "unknown"
            marks = {ast.unparse(mark).rpartition(".")[2] for mark in node.decorator_list}
            if marks & {"property", "setter"}:
                found.setdefault(name, {"kind": "attribute", "source": source})
                continue
            entry = found.setdefault(name, {"kind": kinds[0], "signatures": [], "source": source})
            if "overload" not in marks:
                entry["signatures"] = []
            entry["signatures"].append(written(node))
            if marks & {"staticmethod", "classmethod"}:
                entry["flags"] = ["static"] if "staticmethod" in marks else []
        elif isinstance(node, ast.ClassDef):
            inner = f"{owner}.{node.name}"
            bases = [ast.unparse(b) for b in node.bases if ast.unparse(b) not in {"object", "Exception"}]
            bases = [b if "." in b else f"{owner}.{b}" for b in bases if "[" not in b]
            found[inner] = {"kind": "class", "bases": bases, "source": source}
            members(node.body, inner, source, found, ("method", "attribute"))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            kind = ast.unparse(node.annotation)
            entry = {"kind": kinds[1], "source": source}
            if kind not in {"Incomplete", "Any", "Unknown"}:
                entry["type"] = kind.replace("ClassVar[", "").rstrip("]")
            found[f"{owner}.{node.target.id}"] = entry


def known(folder):
    """Every name of the stubs, then our overrides on top."""
    found = {}
    for module, (package, files) in MODULES.items():
        found[module] = {"kind": "module", "source": f"{package} {PACKAGES[package]}"}
        for file in files:
            tree = ast.parse((folder / package / file).read_text(encoding="utf-8"))
            members(tree.body, module, found[module]["source"], found, ("function", "constant"))
    for page in json.loads((HERE / "overrides.json").read_text(encoding="utf-8")):
        for name, change in page["names"].items():
            for spelt in (name, name.replace("PySide6", "PySide2")):  # what we use of them is the same
                text = json.dumps(change).replace(name.partition(".")[0], spelt.partition(".")[0])
                found.setdefault(spelt, {}).update(json.loads(text), source=page["page"])
    for name in list(found):
        for parent in parents(name):
            found.setdefault(parent, {"kind": "module", "source": "package"})
    return found


def parents(name):
    words = name.split(".")
    return [".".join(words[:i]) for i in range(1, len(words))]


def home(name, found):
    """The name as the base class that has it spells it; '' where no base has it."""
    owner, _, last = name.rpartition(".")
    for base in found.get(owner, {}).get("bases", ()):
        there = f"{base}.{last}" if f"{base}.{last}" in found else home(f"{base}.{last}", found)
        if there:
            return there
    return ""


def inherited(name, found):
    """A stub often repeats a method as (*args, **kwargs) that its base class knows better."""
    owner, _, last = name.rpartition(".")
    for base in found.get(owner, {}).get("bases", ()):
        if f"{base}.{last}" in found:
            entry = inherited(f"{base}.{last}", found)
            if entry.get("signatures") and not all(OPAQUE.match(s) for s in entry["signatures"]):
                return entry
    return found[name]


def wanted(path):
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return sorted({line for line in lines if line})


def table(names, found):
    """The wanted entries and the classes and modules around them; and what stands in the way."""
    chosen, problems = {}, []
    queue = list(names)
    while queue:
        name = queue.pop()
        if name in chosen:
            continue
        if name not in found and home(name, found):
            queue.append(home(name, found))
            continue
        if name not in found:
            problems.append(f"{name}: unknown to the stubs and to overrides.json")
            continue
        entry = found[name]
        if entry.get("signatures") and all(OPAQUE.match(s) for s in entry["signatures"]):
            entry = inherited(name, found)
            if all(OPAQUE.match(s) for s in entry["signatures"]) and not entry["source"].startswith("https:"):
                problems.append(f"{name}: the stubs know only {entry['signatures'][0]}; read the page, add an override")
        chosen[name] = entry
        queue += [*parents(name), *entry.get("bases", ())]
    return chosen, problems


def unused(names):
    """The names whose last word neither our host code nor the fakes and their tests write anywhere."""
    folders = ("nuke", "maya", "tests/hosts")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if HERE not in path.parents]
    words = set(re.findall(r"\w+", "\n".join(path.read_text(encoding="utf-8") for path in paths)))
    return [name for name in names if name.rpartition(".")[2] not in words]


CALLS = {"nuke": "nuke/sfumato_nuke", "maya": "maya/scripts/sfumato_maya"}
ABOUT = "# Host names that sfumato uses here, for site_check.py; written by tests/hosts/fakes/api/make.py --calls\n"


def calls(host):
    """The text of a host's host_calls.txt, as our code is today."""
    sys.path[:0] = [str(ROOT / "tests" / "hosts"), str(ROOT / "plugins")]
    from fakes.walk import Walk

    walk = Walk()
    for path in sorted((ROOT / host).rglob("*.py")):
        walk.problems(path.read_text(encoding="utf-8"), str(path))
    names = sorted({name.replace("PySide2", "PySide6") for name in walk.used})
    entries = [walk.table.entries[name] for name in names if walk.table.entries[name].kind != "module"]
    entries = [entry for entry in entries if not entry.name.startswith("PySide") or entry.kind == "class"]
    return ABOUT + "".join(f"{e.name}{'  # window' if 'gui' in e.flags else ''}\n" for e in entries)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stubs", type=pathlib.Path)
    parser.add_argument("--unused", action="store_true")
    parser.add_argument("--calls", action="store_true")
    options = parser.parse_args()
    if options.unused:
        return print("\n".join(name for path in HERE.glob("*.wanted") for name in unused(wanted(path))))
    if options.calls:
        for host, folder in CALLS.items():
            (ROOT / folder / "host_calls.txt").write_text(calls(host), encoding="utf-8")
        return None
    with tempfile.TemporaryDirectory() as scratch:
        found = known(unpacked(options.stubs or pathlib.Path(scratch)))
    failed = False
    for path in sorted(HERE.glob("*.wanted")):
        chosen, problems = table(wanted(path), found)
        about = "Made by make.py; do not edit. Signatures of MIT-licensed stubs: see NOTICES.md."
        text = json.dumps({"about": about, "names": dict(sorted(chosen.items()))}, indent=1)
        path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        print(f"{path.stem}: {len(chosen)} names" + "".join(f"\n  {problem}" for problem in sorted(problems)))
        failed = failed or bool(problems)
    return sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
