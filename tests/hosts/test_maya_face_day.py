"""A facial animator's day in Maya: locators to curves in stages, a key fixed, applied in one undo, undone.

Real engine processes and real files; the strict fake stands for Maya itself.
"""

import json
import subprocess
import time

import pytest
from fakes.maya import Maya
from fakes.maya_scene import LINEAR

FRAMES = 30
MAKE = """
import json, sys
from sfumato.face.demo_performance import demo_performance
from sfumato.face.demo_rig import demo_rig
from sfumato.face.rig_files import save_rig
rig = demo_rig(40, 44)
truth, markers, _ = demo_performance(rig, 3, int(sys.argv[2]))
save_rig(rig, sys.argv[1] + "/head.npz")
positions = [[None if p[0] != p[0] else p for p in row] for row in markers.positions.tolist()]
json.dump({"names": list(markers.names), "positions": positions, "jaw": truth.of("jawOpen").tolist()},
          open(sys.argv[1] + "/scene.json", "w"))
"""


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    """Settings, logs and temporary folder of nobody else."""
    monkeypatch.setenv("SFUMATO_SITE", str(tmp_path / "sfumato_site.toml"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("OCIO", raising=False)
    (tmp_path / "sfumato_site.toml").write_text(f'temporary = "{tmp_path.as_posix()}"\n')


@pytest.fixture(scope="session")
def head(engine, tmp_path_factory):
    """A folder with a head of ours and a performance of it."""
    folder = tmp_path_factory.mktemp("face")
    done = subprocess.run([engine, "-c", MAKE, str(folder), str(FRAMES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def wait(maya, until, seconds=180):
    """Let Maya's event loop come round until something is so."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, status(maya)
        maya.idle()
        time.sleep(0.01)


def status(maya):
    return maya.ui.read("sfumato_face_status")


def locators(maya, scene):
    """The take as a tracker's locators in the scene, hidden where they were not seen."""
    names = []
    for column, name in enumerate(scene["names"]):
        node = maya.commands_of_scene.make("transform", f"hero:{name}")
        for axis, letter in enumerate("XYZ"):
            curve = maya.commands_of_scene.make("animCurveTL", f"{name}_{letter}")
            places = [(row, p[column]) for row, p in enumerate(scene["positions"]) if p[column]]
            keys = [(maya.scene.ticks(1001 + row), p[axis], LINEAR, LINEAR) for row, p in places]
            object.__setattr__(curve, "keys", keys)
            node.attrs[f"translate{letter}"].source = curve.attrs["output"]
        names.append(node.name)
    return names


def puppet(maya, controls):
    """What animators key: a board with a slider for each control."""
    board = maya.commands_of_scene.make("transform", "hero:board")
    for name in controls:
        maya.cmds.addAttr(board.name, longName=name, attributeType="double", minValue=0.0, maxValue=1.0)
    maya.queue.done.clear()


def test_a_day(tmp_path, monkeypatch, engine, head):
    monkeypatch.setenv("SFUMATO_PYTHON", engine)
    scene = json.loads((head / "scene.json").read_text())
    out = tmp_path / "solves" / "v001"
    with Maya(home=tmp_path).with_sfumato() as maya:
        ui = maya.ui
        names = locators(maya, scene)
        ui.press(ui.entry("Shelves|sfumato", "Face..."))
        for name, value in {"solve": out, "rig": head / "head.npz", "stage": "jaw"}.items():
            ui.type(f"sfumato_face_{name}", str(value))
        # the tracker's locators become the take
        maya.cmds.select(names)
        ui.press("sfumato_face_markers_selected")
        assert f"{len(names)} markers" in status(maya)
        # as far as the jaw; it is seen while it runs
        ui.press("sfumato_face_run")
        assert not ui.find("sfumato_face_run").flags["enable"]
        wait(maya, lambda: status(maya).startswith("done"))
        first = json.loads((out / "jaw.json").read_text())
        assert "jawOpen" in first["names"]
        # look: frames to look at first, and a click goes there
        assert ui.read("sfumato_face_first")
        ui.choose("sfumato_face_first", 1)
        # fix a key of the jaw where it is wide open, and run the stages after it
        frame = 1001 + max(range(FRAMES), key=lambda row: scene["jaw"][row])
        maya.cmds.currentTime(frame)
        ui.type("sfumato_face_control", "jawOpen")
        ui.type("sfumato_face_value", 0.3125)
        ui.press("sfumato_face_fix")
        assert ui.read("sfumato_face_keys") == [f"{frame}   jawOpen 0.3125   locked"]
        for stage in ("regions", "finetune"):
            ui.press("sfumato_face_next")
            assert ui.read("sfumato_face_stage") == stage
            wait(maya, lambda: status(maya).startswith("done"))
        curves = json.loads((out / "curves.json").read_text())
        jaw = [row[curves["names"].index("jawOpen")] for row in curves["values"]]
        assert jaw[frame - 1001] == 0.3125, "a locked key is bit-exact through every stage"
        assert [frame, "jawOpen"] in curves["locked"]
        # onto the puppet in one undo
        puppet(maya, curves["names"])
        lines = [{"control": name, "target": f"board.{name}"} for name in curves["names"]]
        (tmp_path / "map.json").write_text(json.dumps({"schema": "sfumato.map/1", "controls": lines}))
        ui.type("sfumato_face_map", str(tmp_path / "map.json"))
        before = maya.snapshot()
        ui.press("sfumato_face_apply")
        ui.type("sfumato_curves_namespace", "hero")
        ui.press("sfumato_curves_apply")
        assert "applied" in ui.read("sfumato_curves_list")[-1]
        assert maya.cmds.getAttr("hero:board.jawOpen", time=frame) == pytest.approx(0.3125, abs=1e-9)
        maya.cmds.undo()
        assert maya.snapshot() == before
        maya.cmds.redo()
        # again: all is kept
        ui.press("sfumato_face_run")
        wait(maya, lambda: status(maya).startswith("done"))
        assert status(maya).startswith("done: 1 kept")
