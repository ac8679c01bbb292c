"""Our folders nuke/ and maya/ never stand where the host's own module should be, and never weigh a host down."""

import ast
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = sorted(p for folder in ("nuke", "maya", "plugins") for p in (ROOT / folder).rglob("*.py"))
PRINT = "import nuke; print(getattr(nuke, '__file__', None) or list(nuke.__path__)[0])"


@pytest.mark.parametrize("host", ["nuke", "maya"])
def test_a_host_folder_is_no_package(host):
    assert not (ROOT / host / "__init__.py").exists()
    assert not (ROOT / "tests" / host).exists()
    assert not (ROOT / "tests" / "hosts" / host).exists()


def test_beside_init_py_lies_nothing_that_another_plug_in_may_be_called():
    beside = {path.name for path in (ROOT / "nuke").iterdir() if path.name != "__pycache__"}
    assert all(name in {"init.py", "menu.py", "icons"} or name.startswith("sfumato") for name in beside), beside


def test_maya_finds_one_file_in_its_folder_and_it_is_a_module_file():
    assert [path.name for path in (ROOT / "maya").iterdir() if path.is_file()] == ["sfumato.mod"]
    scripts = {path.name for path in (ROOT / "maya" / "scripts").glob("*") if path.name != "__pycache__"}
    plugins = {path.name for path in (ROOT / "maya" / "plug-ins").glob("*.py")}
    assert all(name.startswith("sfumato") for name in scripts | plugins)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_host_and_plugin_code_is_written_for_python_3_9(path):
    ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 9))


def python(*words, path=(), cwd=ROOT):
    """Output or error's last line of an isolated Python with this sys.path in front."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environ.update(PYTHONPATH=os.pathsep.join(map(str, path)), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=cwd, env=environ, check=False)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def real_nuke(folder):
    """A package called nuke, as the host has one."""
    (folder / "nuke").mkdir(parents=True)
    (folder / "nuke" / "__init__.py").write_text("")
    return folder


def test_where_our_folder_is_taken_for_the_host_and_where_not(tmp_path):
    """The table of what `import nuke` gives; the first two lines are why nobody detects a host by importing it."""
    host = real_nuke(tmp_path / "host")
    ours = str(ROOT / "nuke")
    assert python("-c", PRINT) == ours
    assert python("-c", PRINT, path=[ROOT], cwd=tmp_path) == ours
    assert "ModuleNotFoundError" in python("-c", PRINT, cwd=tmp_path)
    assert "ModuleNotFoundError" in python("-c", PRINT, path=[ROOT / "plugins", ROOT / "nuke"], cwd=tmp_path)
    assert python("-c", PRINT, path=[ROOT, host], cwd=tmp_path) == str(host / "nuke" / "__init__.py")


def test_with_an_init_our_folder_would_hide_the_host(tmp_path):
    host, trap = real_nuke(tmp_path / "host"), real_nuke(tmp_path / "trap")
    assert python("-c", PRINT, path=[trap, host], cwd=tmp_path) == str(trap / "nuke" / "__init__.py")


@pytest.mark.parametrize("safe", [(), ("-P",)], ids=["pytest", "python -P -m pytest"])
def test_in_our_way_of_running_tests_import_nuke_fails(tmp_path, safe):
    if safe and sys.version_info < (3, 11):
        pytest.skip("-P came with Python 3.11")
    test = tmp_path / "test_it.py"
    test.write_text(
        "def test_it():\n    try:\n        import nuke\n    except ImportError:\n        return\n    assert 0\n"
    )
    entry = ("-m", "pytest") if safe else ("-c", "import sys, pytest; sys.path.remove(''); sys.exit(pytest.main())")
    words = [*safe, *entry, "-q", "-c", str(tmp_path / "none.ini"), "--import-mode=importlib", str(test)]
    (tmp_path / "none.ini").write_text("[pytest]\n")
    assert "1 passed" in python(*words)


def test_nothing_of_ours_asks_which_host_it_is_in_by_trying_an_import():
    wrong = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Try):
                tried = [n for n in node.body if isinstance(n, ast.Import)]
                wrong += [path for n in tried for a in n.names if a.name.partition(".")[0] in {"nuke", "maya"}]
    assert not wrong


HEAVY = {"torch", "numpy", "OpenImageIO", "PyOpenColorIO", "scipy", "sfumato", "yaml", "openjd", "PySide6", "PySide2"}


@pytest.mark.parametrize("host", ["nuke", "maya"])
@pytest.mark.parametrize("what", ["start-up", "everything"])
def test_a_host_imports_only_python_and_calls_nothing(host, what):
    """Stand-ins without behaviour: a call made while a module of ours is being imported would raise."""
    script = ROOT / "tests" / "hosts" / "importing.py"
    words = [host] if what == "start-up" else [host, what]
    done = subprocess.run([sys.executable, "-I", script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    print(f"{host}, {what}: {1000 * answer['seconds']:.0f} ms, {len(answer['modules'])} modules")
    assert answer["compiled"] == []
    assert answer["threads"] == 0
    assert not {name.partition(".")[0] for name in answer["modules"]} & HEAVY
