"""An artist's day in Maya, start to end: real engine processes and real files, the strict fake for Maya itself."""

import json
import os
import signal
import time

import pytest
from fakes import maya_faceboard
from fakes.maya import Maya
from fakes.maya_scene import LINEAR


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    """Settings, logs and temporary folder of nobody else."""
    monkeypatch.setenv("SFUMATO_SITE", str(tmp_path / "sfumato_site.toml"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("OCIO", raising=False)
    (tmp_path / "sfumato_site.toml").write_text(f'temporary = "{tmp_path.as_posix()}"\n')


def wait(maya, until, seconds=120):
    """Let Maya's event loop come round until something is so."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, maya.ui.read("sfumato_matte_status")
        maya.idle()
        time.sleep(0.01)


def fill(maya, shot, out, **more):
    given = {"plate": shot / "plate.####.exr", "trimap": shot / "trimap.####.exr", "matte": out / "M.####.exr"}
    for name, value in {**given, "frames": "1001-1004", "quality": "preview", "device": "cpu", **more}.items():
        maya.ui.type(f"sfumato_matte_{name}", str(value))


def status(maya):
    return maya.ui.read("sfumato_matte_status")


def test_a_day(tmp_path, monkeypatch, engine, tiny_shot):
    monkeypatch.setenv("SFUMATO_PYTHON", engine)
    with Maya(home=tmp_path).with_sfumato() as maya:
        out = tmp_path / "shots with space" / "matte"
        # a matte, from the panel
        maya.ui.press(maya.ui.entry("Shelves|sfumato", "Matte..."))
        fill(maya, tiny_shot, out)
        maya.ui.press("sfumato_matte_run")
        assert not maya.ui.find("sfumato_matte_run").flags["enable"]
        seen = set()
        wait(maya, lambda: seen.add(maya.ui.read("sfumato_matte_progress")) or status(maya).startswith("done"))
        assert status(maya).startswith("done: 4 computed")
        assert sorted(p.name for p in out.glob("*.exr")) == [f"M.100{n}.exr" for n in (1, 2, 3, 4)]
        assert max(seen) == 100
        # again: all is kept, by the same warm engine
        maya.ui.press("sfumato_matte_run")
        wait(maya, lambda: status(maya).startswith("done"))
        assert status(maya).startswith("done: 4 kept")
        maya.idle()
        assert not any(timer.isActive() for timer in maya.timers), "nothing ticks when nothing runs"
        # longer, and cancelled
        fill(maya, tiny_shot, out, quality="final", frames="1001-1012")
        maya.ui.press("sfumato_matte_run")
        wait(maya, lambda: maya.ui.read("sfumato_matte_progress") < 100 and "starting" not in status(maya))
        asked = time.monotonic()
        maya.ui.press("sfumato_matte_cancel")
        wait(maya, lambda: maya.ui.find("sfumato_matte_run").flags["enable"])
        print(f"cancelled after {time.monotonic() - asked:.2f} s: {status(maya)}")
        assert "kept" in status(maya) or "stopped" in status(maya)
        # curves onto the rig
        the_rig(maya, tmp_path)
        # markers back out
        the_markers(maya, tmp_path)
        maya.ui.press(maya.ui.entry("sfumatoMenu", "Release GPU"))
        with pytest.raises(RuntimeError, match="undo queue"):
            maya.cmds.unloadPlugin("sfumato_menu")
        maya.cmds.file(newFile=True, force=True)
        maya.cmds.unloadPlugin("sfumato_menu")
        assert not [path for path in maya.ui.elements if "sfumato" in path]
        assert maya.commands == {}


def the_rig(maya, folder):
    """52 curves of 500 keys through a control map onto a namespaced faceboard, undone and done again."""
    targets = maya_faceboard.build(maya)
    names = [f"c{at:02d}" for at in range(len(targets))]
    take = {**maya_faceboard.take(targets), "names": names, "about": {"take": "ab_010_t03"}}
    (folder / "take.json").write_text(json.dumps(take))
    lines = [{"control": name, "target": target} for name, target in zip(names, targets, strict=True)]
    (folder / "map.json").write_text(json.dumps({"schema": "sfumato.map/1", "controls": lines}))
    before = maya.snapshot()
    maya.ui.press(maya.ui.entry("sfumatoMenu", "Apply Curves..."))
    for name, value in {"file": folder / "take.json", "map": folder / "map.json", "namespace": "hero"}.items():
        maya.ui.type(f"sfumato_curves_{name}", str(value))
    maya.ui.press("sfumato_curves_check")
    assert "52 attributes can be written, 0 cannot" in maya.ui.read("sfumato_curves_list")[-1]
    maya.ui.press("sfumato_curves_apply")
    assert "applied: 52 attributes, 26000 keys on the layer sfumato" in maya.ui.read("sfumato_curves_list")[-1]
    after = maya.snapshot()
    for frame, row in ((1001, 0), (1250, 249), (1500, 499)):
        for column, target in enumerate(targets):
            found = maya.cmds.getAttr(f"hero:{target}", time=frame)
            assert found == pytest.approx(take["values"][row][column], abs=1e-9)
    between = maya.cmds.getAttr("hero:jaw_ctrl.rotateX", time=1250.25)
    jaw = [take["values"][row][targets.index("jaw_ctrl.rotateX")] for row in (249, 250)]
    assert between == pytest.approx(0.75 * jaw[0] + 0.25 * jaw[1], abs=1e-9)
    maya.cmds.undo()
    assert maya.snapshot() == before
    maya.cmds.redo()
    assert maya.snapshot() == after


def the_markers(maya, folder):
    for name in ("chin", "browL"):
        node = maya.commands_of_scene.make("transform", f"hero:{name}_mrk")
        curve = maya.commands_of_scene.make("animCurveTL", f"{name}_y")
        keys = [(maya.scene.ticks(1001), 0.0, LINEAR, LINEAR), (maya.scene.ticks(1011), 5.0, LINEAR, LINEAR)]
        object.__setattr__(curve, "keys", keys)
        node.attrs["translateY"].source = curve.attrs["output"]
    maya.cmds.select(["hero:chin_mrk", "hero:browL_mrk"])
    maya.ui.press(maya.ui.entry("Shelves|sfumato", "Export Markers..."))
    maya.ui.type("sfumato_markers_last", 1011.0)
    maya.ui.type("sfumato_markers_file", str(folder / "markers.json"))
    maya.ui.press("sfumato_markers_export")
    found = json.loads((folder / "markers.json").read_text())
    assert found["names"] == ["chin_mrk", "browL_mrk"]
    assert found["positions"][5][0] == pytest.approx([0, 2.5, 0])


def test_an_engine_that_dies_is_a_sentence_with_a_log(tmp_path, monkeypatch, engine, tiny_shot):
    monkeypatch.setenv("SFUMATO_PYTHON", engine)
    with Maya(home=tmp_path).with_sfumato() as maya:
        maya.ui.press(maya.ui.entry("sfumatoMenu", "Matte..."))
        fill(maya, tiny_shot, tmp_path / "out", quality="final", frames="1001-1012")
        maya.ui.press("sfumato_matte_run")
        wait(maya, lambda: "starting" not in status(maya))
        from sfumato_maya import work

        os.kill(work.session()._engine._child.pid, signal.SIGKILL)
        wait(maya, lambda: maya.ui.find("sfumato_matte_run").flags["enable"], 10)
        log = status(maya).rpartition("log: ")[2]
        assert os.path.isfile(log), status(maya)
        assert maya.said[-1][0] == "error"
        # and the next run has a new engine
        fill(maya, tiny_shot, tmp_path / "out", frames="1001")
        maya.ui.press("sfumato_matte_run")
        wait(maya, lambda: status(maya).startswith("done"))


def test_closing_the_window_lets_the_work_go_on(tmp_path, monkeypatch, engine, tiny_shot):
    monkeypatch.setenv("SFUMATO_PYTHON", engine)
    with Maya(home=tmp_path).with_sfumato() as maya:
        maya.ui.press(maya.ui.entry("sfumatoMenu", "Matte..."))
        fill(maya, tiny_shot, tmp_path / "out")
        maya.ui.press("sfumato_matte_run")
        maya.cmds.deleteUI("sfumato_matte")
        end = time.monotonic() + 60
        while len(list((tmp_path / "out").glob("*.exr"))) < 4:
            assert time.monotonic() < end
            maya.idle()
            time.sleep(0.02)


def test_without_a_window_a_script_waits_for_its_job(tmp_path, monkeypatch, engine, tiny_shot):
    monkeypatch.setenv("SFUMATO_PYTHON", engine)
    with Maya(gui=False, home=tmp_path).with_sfumato():
        from sfumato_maya import work

        inputs = {"plate": str(tiny_shot / "plate.####.exr"), "trimap": str(tiny_shot / "trimap.####.exr")}
        job = {
            "schema": "sfumato.job/1",
            "tool": "matte",
            "frames": "1001",
            "inputs": inputs,
            "outputs": {"matte": str(tmp_path / "M.####.exr")},
            "params": {"quality": "preview", "device": "cpu"},
        }
        heard = []
        work.session().run(job, heard.append)
        work.session().wait()
        assert heard[-1]["event"] == "done"
        assert (tmp_path / "M.1001.exr").is_file()

        def raises(message):
            raise ValueError("a control that is gone")

        work.session().run(job, raises)
        work.session().run(job, heard.append)
        work.session().wait()
        assert heard[-1]["event"] == "done"
        assert not work.session().busy
        work.close()
