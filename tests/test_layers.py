"""hosts -> plugins -> engine, and never back. The one test that keeps the architecture honest."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEAVY = {"torch", "numpy", "OpenImageIO", "PyOpenColorIO", "safetensors", "pymatting", "scipy", "sfumato"}
FORBIDDEN = {  # folder -> top-level modules it may not import anywhere, not even inside a function
    "engine": {"nuke", "maya", "sfumato_plugins", "sfumato_nuke", "sfumato_maya"},
    "plugins": {"nuke", "maya", "sfumato_nuke", "sfumato_maya"},
    "nuke": {"maya", "sfumato_maya"} | HEAVY,
    "maya": {"nuke", "sfumato_nuke"} | HEAVY,
}
GLOBAL_RANDOM = {  # what draws from a random state nobody passed in
    "torch": {"manual_seed", "seed"},
    "random": {"random", "seed", "uniform", "randint", "choice", "shuffle", "gauss"},
}


def sources(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def dotted(node):
    """("os", "environ") for `os.environ`, () for anything less plain."""
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return (*inner, node.attr) if inner else ()
    return (node.id,) if isinstance(node, ast.Name) else ()


def habits(tree):
    """What engine code must not do: print, leave, look at the environment, use the global random state."""
    for node in ast.walk(tree):
        name = dotted(node.func) if isinstance(node, ast.Call) else dotted(node)
        if isinstance(node, ast.Call) and name in {("print",), ("input",), ("exit",), ("quit",)}:
            yield f"{name[0]}()", node.lineno
        if name[:2] in {("os", "environ"), ("os", "getenv"), ("os", "putenv"), ("sys", "exit"), ("os", "_exit")}:
            yield ".".join(name[:2]), node.lineno
        if isinstance(node, ast.Call) and len(name) == 2 and name[1] in GLOBAL_RANDOM.get(name[0], ()):
            yield ".".join(name), node.lineno
        if name[:2] == ("np", "random") and name[2:] not in {(), ("Generator",), ("default_rng",)}:
            yield ".".join(name), node.lineno
        draws = name in {("torch", kind) for kind in ("rand", "randn", "randint", "randperm", "normal", "bernoulli")}
        if isinstance(node, ast.Call) and draws and "generator" not in {k.arg for k in node.keywords}:
            yield ".".join(name) + " without generator=", node.lineno


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_layer_imports_only_downwards(folder):
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(folder)
        for name in imported(ast.parse(path.read_text()))
        if name in FORBIDDEN[folder]
    }
    assert not wrong


def test_the_engine_is_quiet_and_knows_no_environment():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} uses {what}"
        for path in sources("engine")
        for what, line in habits(ast.parse(path.read_text()))
    ]
    assert not wrong


@pytest.mark.parametrize(
    "line", ["print(1)", "sys.exit(2)", "os.environ['A']", "os.getenv('A')", "torch.manual_seed(1)", "torch.rand(3)"]
)
def test_a_bad_habit_would_be_seen(line):
    assert list(habits(ast.parse(line)))


def test_only_color_knows_opencolorio_and_only_io_opens_image_files():
    colour, files = set(), set()
    for path in sources("engine"):
        tree = ast.parse(path.read_text())
        colour |= {path.stem} if "PyOpenColorIO" in imported(tree) else set()
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        files |= {path.stem} if used & {"ImageInput", "ImageOutput"} else set()
    assert (colour, files) == ({"color"}, {"header", "io"})


@pytest.mark.parametrize("folder", ["nuke", "maya"])
def test_a_host_folder_never_becomes_a_package(folder):
    assert not (ROOT / folder / "__init__.py").exists(), f"{folder}/__init__.py would hide the host's own module"
    assert not (ROOT / "tests" / folder).exists(), f"tests/{folder} would be imported as the host"


def test_plugins_are_written_for_python_3_9():
    for path in sources("plugins"):
        ast.parse(path.read_text(), filename=str(path), feature_version=(3, 9))


def test_tool_declarations_import_without_the_engine():
    code = f"""
import sys, pkgutil, importlib
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {HEAVY!r}: raise ImportError('heavy import at module level: ' + name)
sys.meta_path.insert(0, Block())
sys.path.insert(0, {str(ROOT / "plugins")!r})
import sfumato_plugins
for m in pkgutil.walk_packages(sfumato_plugins.__path__, 'sfumato_plugins.'):
    if not m.name.endswith('__main__'): importlib.import_module(m.name)
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
