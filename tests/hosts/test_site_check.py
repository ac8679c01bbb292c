"""The report that a customer runs once: on the fakes it says what works, and what does not, without ever raising."""

import pathlib
import runpy
import subprocess
import sys

import pytest
from fakes import nuke_knobs, nuke_nodes, strict
from fakes.maya import Maya
from fakes.nuke import Nuke

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "nuke"), str(ROOT / "maya" / "scripts")])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("OCIO", raising=False)


def lines(said):
    """{what: (state, note)} of a printed report."""
    rows = [line[2:] for line in said.splitlines() if line[:2] == "  " and line[4:6] == "  "]
    return {row[4:32].strip(): (row[:2], row[33:]) for row in rows}


def has_error(node):
    return not pathlib.Path(node["file"].evaluate(1)).is_file()


@pytest.fixture
def nuke(engine, monkeypatch):
    """A terminal, with what a site check asks of Nuke beyond what the tool itself does."""
    classes = {"Menu": strict.fakes(nuke_knobs.TABLE, "nuke.Menu")(type("Menu", (), {}))}
    for module in (nuke_nodes, nuke_knobs):
        for cls in vars(module).values():
            name = getattr(cls, "__strict__", (None, ""))[1]
            if isinstance(cls, type) and name.startswith("nuke."):
                classes[name.partition(".")[2]] = cls
    monkeypatch.setattr(nuke_nodes.Node, "hasError", has_error)
    with Nuke(gui=False, engine=engine) as session:
        strict.give(session.module, **{n: c for n, c in classes.items() if nuke_knobs.TABLE.find("nuke", n)})
        delete = session.root._nodes.remove
        paths = [str(ROOT / "nuke")]
        strict.give(session.module, NUKE_VERSION_STRING="15.1v5", pluginPath=lambda: paths, delete=delete)
        session.paths = paths
        yield session


@pytest.fixture
def maya(tmp_path):
    """A mayapy that knows its version and its modules, and can start a new scene."""
    with Maya(gui=False, home=tmp_path) as session:
        about = session.behaviours["about"]
        session.found = ["sfumato"]
        strict.give(
            session.cmds,
            about=lambda **asked: "2025" if {"version", "apiVersion"} & set(asked) else about(**asked),
            moduleInfo=lambda **asked: session.found if "listModules" in asked else str(ROOT / "maya" / "sfumato.mod"),
        )
        yield session


def test_in_nuke_everything_works_and_nothing_is_left(nuke, capsys, tmp_path, monkeypatch, engine):
    from sfumato_nuke import site_check

    monkeypatch.setenv("SFUMATO_PYTHON", engine)
    code = site_check.main()
    said = capsys.readouterr().out
    found = lines(said)
    assert code == 0, said
    assert found["Nuke"] == ("ok", "15.1v5 in a terminal")
    assert found["a matte node"][1].endswith("nodes inside")
    assert found["the engine says hello"][1].split()[1] == "ms;"
    assert found["Nuke reads the matte"][1].startswith("64 x 64, ")
    assert nuke.root._nodes == []
    assert not list(tmp_path.glob("sfumato-site-check-*"))


def test_in_maya_everything_works(maya, capsys, monkeypatch, engine):
    from sfumato_maya import site_check

    monkeypatch.setenv("SFUMATO_PYTHON", engine)
    code = site_check.main()
    said = capsys.readouterr().out
    assert code == 0, said
    assert lines(said)["curves, in one undo step"][1].startswith("1 attributes, 3 keys")
    assert lines(said)["curves, on a layer"][1].startswith("2 attributes, 6 keys on the layer sfumato")
    assert lines(said)["markers, out of a scene"][1] == "between frames too, and the timeline stays"
    assert maya.plugins == {}


@pytest.fixture
def no_engine(monkeypatch, tmp_path):
    from sfumato_plugins import engine_python

    monkeypatch.setenv("SFUMATO_PYTHON", str(tmp_path / "nowhere"))
    monkeypatch.setattr(engine_python, "_installed_beside", lambda: "")


@pytest.mark.usefixtures("no_engine")
def test_what_is_missing_is_a_line_each_and_exit_1(nuke, capsys):
    from sfumato_nuke import site_check

    nuke.paths.clear()
    strict.give(nuke.module, NUKE_VERSION_STRING="12.0v1")
    nuke.module.__dict__["_behaviours"].pop("Int_Knob")
    code = site_check.main()
    found = lines(capsys.readouterr().out)
    assert code == 1
    assert found["the engine's Python"][0] == "NO"
    assert "NUKE_PATH" in found["init.py was run"][1]
    assert found["calls that sfumato makes"][1].endswith("missing: nuke.Int_Knob")
    assert found["a tiny matte"][0] == "--"


@pytest.mark.usefixtures("no_engine", "nuke")
def test_as_a_program_it_leaves_with_its_exit_code():
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "nuke" / "sfumato_nuke" / "site_check.py"), run_name="__main__")
    assert ended.value.code == 1


@pytest.mark.usefixtures("no_engine")
def test_a_maya_that_cannot_write_keys_says_so(maya, capsys):
    from sfumato_maya import site_check

    def locked(*_, **__):
        raise RuntimeError("This licence cannot create nodes")

    strict.give(maya.cmds, createNode=locked)
    maya.found.clear()
    code = site_check.main()
    found = lines(capsys.readouterr().out)
    assert code == 1
    assert "This licence cannot create nodes" in found["curves, in one undo step"][1]
    assert "MAYA_MODULE_PATH" in found["the module is known"][1]
    assert found["the plug-in unloads"][0] == "ok"


def test_an_artists_open_scene_is_not_touched(tmp_path, capsys):
    with Maya(gui=True, home=tmp_path) as session:
        from sfumato_maya import site_check

        assert site_check.main() == 2
        assert "mayapy" in capsys.readouterr().out
        assert strict.calls(session.cmds) == [("about", (), {"batch": True})]


@pytest.mark.parametrize("host", ["nuke", "maya"])
def test_the_calls_it_asks_for_are_those_that_our_code_makes_today(host):
    from fakes.api import make

    there = (ROOT / make.CALLS[host] / "host_calls.txt").read_text(encoding="utf-8")
    assert there == make.calls(host), "run tests/hosts/fakes/api/make.py --calls"


@pytest.mark.parametrize(
    ("path", "host"), [("nuke/sfumato_nuke", "nuke -t"), ("maya/scripts/sfumato_maya", "mayapy")], ids=["nuke", "maya"]
)
def test_in_another_python_it_says_where_it_belongs(path, host):
    script = ROOT / path / "site_check.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.count("\n") == 1
    assert f"{host} {script}" in done.stdout
