"""The module as Maya reads it: the .mod, the plug-in that comes and goes, the installer, mayapy, what it costs."""

import ast
import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import pytest
from fakes import maya_faceboard, strict
from fakes.maya import Maya
from parsers import mod

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULE = ROOT / "maya"


@pytest.fixture
def maya(tmp_path):
    with Maya(home=tmp_path) as found:
        found.module(MODULE / "sfumato.mod")
        yield found


def shown(maya):
    """The menu and the shelf, and the labels in them."""
    return {
        part: [
            e.flags.get("label") for e in maya.ui.elements.values() if e.parent.endswith(part) and "label" in e.flags
        ]
        for part in ("sfumatoMenu", "Shelves|sfumato")
    }


def test_the_module_file_parses_and_is_alone_in_its_folder():
    (module,) = mod.parse((MODULE / "sfumato.mod").read_text(encoding="utf-8"))
    assert (module.name, module.path) == ("sfumato", ".")
    assert module.variables == [("PYTHONPATH", "+:=", "../plugins")]
    assert (MODULE / "../plugins/sfumato_plugins/__init__.py").is_file()
    assert [p.name for p in MODULE.iterdir() if p.is_file()] == ["sfumato.mod"], "Maya parses every file there"
    assert all(folder in {"plug-ins", "scripts", "install", "icons"} for folder in folders(MODULE))


def folders(path):
    return {p.name for p in path.iterdir() if p.is_dir() and p.name != "__pycache__"}


def test_every_file_is_written_for_python_3_9():
    for path in MODULE.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 9))


def test_loading_makes_menu_and_shelf_and_unloading_takes_them(maya):
    before = dict(maya.ui.elements)
    maya.cmds.loadPlugin("sfumato_menu")
    assert maya.ui.elements == before, "not before Maya's window is there"
    maya.idle()
    tools = ["Matte...", "Edit...", "Invert...", "Place...", "Trail...", "Face..."]
    labels = [*tools, "Apply Curves...", "Control Map...", "Export Boxes...", "Export Markers..."]
    assert shown(maya) == {"sfumatoMenu": [*labels, "Release GPU"], "Shelves|sfumato": labels}
    assert all(
        e.flags["annotation"]
        for e in maya.ui.elements.values()
        if e.kind in ("menuItem", "shelfButton")
        if e.flags.get("label")
    )
    assert "sfumatoApplyCurves" in maya.commands
    maya.cmds.unloadPlugin("sfumato_menu")
    assert (maya.ui.elements, maya.commands, maya.callbacks) == (before, {}, {})


def test_it_comes_and_goes_as_often_as_asked(maya):
    for _ in range(3):
        maya.cmds.loadPlugin("sfumato_menu")
        maya.idle()
        assert shown(maya)["sfumatoMenu"]
        maya.cmds.unloadPlugin("sfumato_menu")
        assert not shown(maya)["sfumatoMenu"]


def test_unloaded_before_the_window_came_leaves_no_menu_later(maya):
    maya.cmds.loadPlugin("sfumato_menu")
    maya.cmds.unloadPlugin("sfumato_menu")
    maya.idle()
    assert not shown(maya)["sfumatoMenu"]


def test_a_shelf_that_maya_saved_last_time_is_replaced(maya):
    maya.cmds.shelfLayout("sfumato", parent="MayaWindow|Shelves")
    maya.cmds.shelfButton(label="old", parent="sfumato")
    maya.cmds.loadPlugin("sfumato_menu")
    maya.idle()
    assert "old" not in shown(maya)["Shelves|sfumato"]


def test_a_plug_in_that_fails_to_load_leaves_no_command(maya, monkeypatch):
    messages = maya.modules["maya.api.OpenMaya"].MSceneMessage
    monkeypatch.setattr(messages, "addCallback", staticmethod(lambda *_: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        maya.cmds.loadPlugin("sfumato_menu")
    assert maya.commands == {}


def test_every_entry_of_menu_and_shelf_opens_its_panel_and_unloading_closes_them(maya):
    maya.cmds.loadPlugin("sfumato_menu")
    maya.idle()
    before = set(maya.ui.elements)
    for part in ("sfumatoMenu", "Shelves|sfumato"):
        for label, window in (("Matte...", "sfumato_matte"), ("Apply Curves...", "sfumato_curves")):
            maya.ui.press(maya.ui.entry(part, label))
            assert maya.ui.find(window).flags["visible"]
        for label, window in (("Control Map...", "sfumato_map"), ("Export Markers...", "sfumato_markers")):
            maya.ui.press(maya.ui.entry(part, label))
            assert maya.ui.find(window).flags["visible"]
    maya.cmds.unloadPlugin("sfumato_menu")
    assert set(maya.ui.elements) < before


def test_without_a_window_there_is_a_command_and_nothing_to_see(tmp_path):
    with Maya(gui=False, home=tmp_path) as maya:
        maya.module(MODULE / "sfumato.mod")
        maya.cmds.loadPlugin("sfumato_menu")
        assert "sfumatoApplyCurves" in maya.commands
        assert not maya.deferred
        maya.cmds.unloadPlugin("sfumato_menu")


def test_loaded_by_its_path_alone_it_finds_its_own_files(tmp_path):
    with Maya(home=tmp_path) as maya:
        sys.path[:] = [folder for folder in sys.path if pathlib.Path(folder) != ROOT / "plugins"]
        maya.cmds.loadPlugin(str(MODULE / "plug-ins" / "sfumato_menu.py"))
        maya.idle()
        assert shown(maya)["sfumatoMenu"]


def dropped(maya):
    """What Maya does with a file that is dragged into its viewport."""
    path = MODULE / "install" / "drag_sfumato_into_maya.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    module.onMayaDroppedPythonFile(object())
    return maya.ui.dialogs[-1]["message"]


@pytest.mark.parametrize("suffix", ["", ".py"])
def test_the_installer_writes_a_module_file_that_parses_and_loads_us_at_every_start(tmp_path, suffix):
    with Maya(home=tmp_path) as maya:
        maya.plugin_suffix = suffix  # what Maya calls a Python plug-in depends on its version
        said = dropped(maya)
        assert str(tmp_path / "modules" / "sfumato.mod") in said
        (module,) = mod.parse((tmp_path / "modules" / "sfumato.mod").read_text(encoding="utf-8"))
        assert pathlib.Path(module.path) == MODULE
        assert [p.name for p in (tmp_path / "modules").iterdir()] == ["sfumato.mod"]
        assert maya.state.saved_autoload == {f"sfumato_menu{suffix}": True}
        maya.idle()
        assert shown(maya)["sfumatoMenu"]
        assert "drag_sfumato_into_maya" not in sys.modules, "so that it can be dropped again"
        assert dropped(maya) == said


def test_a_module_without_its_plugins_folder_says_what_belongs_where(tmp_path):
    import shutil

    shutil.copytree(MODULE, tmp_path / "maya")
    with Maya(home=tmp_path) as maya:
        sys.path[:] = [folder for folder in sys.path if pathlib.Path(folder) != ROOT / "plugins"]
        kept = {name: sys.modules.pop(name) for name in tuple(sys.modules) if name.startswith("sfumato_plugins")}
        try:
            with pytest.raises(ImportError):
                maya.cmds.loadPlugin(str(tmp_path / "maya" / "plug-ins" / "sfumato_menu.py"))
        finally:
            sys.modules.update(kept)
        assert "belong side by side" in maya.said[-1][1]


def test_the_version_is_the_same_everywhere():
    (module,) = mod.parse((MODULE / "sfumato.mod").read_text(encoding="utf-8"))
    here = re.search(r'^VERSION = "(.*)"$', (MODULE / "plug-ins/sfumato_menu.py").read_text(), re.M)[1]
    engine = re.search(r'^__version__ = "(.*)"$', (ROOT / "engine/sfumato/__init__.py").read_text(), re.M)[1]
    assert module.version == here == engine


def test_the_installer_says_why_it_could_not(tmp_path):
    (tmp_path / "modules").write_text("a file where the folder should be")
    with Maya(home=tmp_path) as maya:
        assert dropped(maya).startswith("sfumato is not installed: ")


def headless(*words):
    spec = importlib.util.spec_from_file_location("headless", MODULE / "scripts" / "sfumato_maya" / "headless.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(list(map(str, words)))


@pytest.fixture
def batch(tmp_path):
    """A mayapy that has not read any module file, with one scene to open."""
    with Maya(gui=False, home=tmp_path) as maya:
        maya.scenes["ab_010.ma"] = lambda: maya_faceboard.build(maya)
        yield maya


def test_mayapy_applies_curves_and_saves(batch, tmp_path, capsys):
    with Maya(gui=False) as other:
        targets = maya_faceboard.build(other)
    (tmp_path / "take.json").write_text(json.dumps(maya_faceboard.take(targets, 20)))
    out = str(tmp_path / "out.ma")
    assert headless("apply", "ab_010.ma", tmp_path / "take.json", "--namespace", "hero", "--save", out) == 0
    assert batch.state.saved == [(out, "mayaAscii")]
    assert "52 attributes, 1040 keys on the layer sfumato" in capsys.readouterr().out
    assert headless("apply", "ab_010.ma", tmp_path / "take.json", "--save", out, "--namespace", "x") == 2
    assert "namespace x" in capsys.readouterr().err
    assert headless("apply", "gone.ma", tmp_path / "take.json", "--save", out) == 3
    assert headless("apply", "ab_010.ma", tmp_path / "gone.json", "--save", out) == 3


def test_mayapy_writes_markers(batch, tmp_path):
    out = tmp_path / "m.json"
    assert headless("markers", "ab_010.ma", out, "--nodes", "hero:*_ctrl", "--frames", "1001-1010") == 0
    assert len(json.loads(out.read_text())["names"]) == 5


def test_mayapy_says_which_markers_are_not_there_and_what_cannot_be_written(batch, tmp_path, capsys):
    words = ("markers", "ab_010.ma", tmp_path / "nowhere" / "m.json", "--frames", "1001", "--nodes")
    assert headless(*words, "gone", "lost_*") == 2
    assert "is called gone or lost_*" in capsys.readouterr().err
    assert headless(*words, "hero:*_ctrl") == 2
    assert "m.json" in capsys.readouterr().err


def test_our_own_folder_does_not_hide_other_peoples_modules(batch):
    sys.path.insert(0, str(MODULE / "scripts" / "sfumato_maya"))
    headless("markers", "ab_010.ma", "/nowhere/x.json", "--nodes", "gone", "--frames", "1")
    assert str(MODULE / "scripts" / "sfumato_maya") not in sys.path


COST = """
import sys, time
sys.path[:0] = [{hosts!r}]
from fakes.maya import Maya
before = set(sys.modules)
with Maya() as maya:
    maya.module({mod!r})
    started = time.process_time()  # what it costs, not what else this machine is doing
    maya.cmds.loadPlugin("sfumato_menu")
    maya.idle()
    spent = time.process_time() - started
    new = {{name: getattr(sys.modules[name], "__file__", None) or "" for name in set(sys.modules) - before}}
compiled = [name for name, file in new.items() if file.endswith((".so", ".pyd")) and "lib-dynload" not in file]
print(spent, len(new), compiled)
"""


def test_loading_costs_little_and_brings_no_compiled_module():
    code = COST.format(hosts=str(ROOT / "tests" / "hosts"), mod=str(MODULE / "sfumato.mod"))
    runs = [
        subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.split(
            None, 2
        )
        for _ in range(3)
    ]
    best = min(float(spent) for spent, _, _ in runs)
    print(f"plug-in, menu and shelf: {1000 * best:.0f} ms, {runs[0][1]} modules")
    assert runs[0][2].strip() == "[]"
    assert best < 0.5, "a bound for hangs; the number to look at is printed"


def test_the_fake_refuses_other_threads_unknown_flags_and_batch_windows(maya, tmp_path):
    import threading

    caught = []

    def elsewhere():
        try:
            maya.cmds.ls()
        except strict.WrongThread as problem:
            caught.append(problem)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert caught
    with pytest.raises(TypeError):
        maya.cmds.ls(sl=True)
    with Maya(gui=False) as batch, pytest.raises(RuntimeError, match="graphical"):
        batch.cmds.window("w")
