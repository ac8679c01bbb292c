"""The face panel in Maya: markers from the selection, frames to look at, keys fixed, the next stage, apply."""

import json

import pytest
from fakes.maya import Maya
from fakes.maya_scene import LINEAR


@pytest.fixture
def maya(tmp_path, monkeypatch):
    monkeypatch.delenv("OCIO", raising=False)
    with Maya(home=tmp_path).with_sfumato() as found:
        yield found


@pytest.fixture
def solved(tmp_path):
    """A folder as a solve leaves it."""
    folder = tmp_path / "v001"
    folder.mkdir()
    curves = {"schema": "sfumato.curves/1", "fps": 24, "frames": [1001, 1002, 1003], "names": ["jawOpen"],
              "values": [[0.0]] * 3}  # fmt: skip
    solve = {"schema": "sfumato.solve/1", "stage": "jaw", "controls": {"jawOpen": [0, 1]},
             "first": [[1002, "jaw 1.4 mm off"], [1003, "jawOpen at its limit"]]}  # fmt: skip
    (folder / "curves.json").write_text(json.dumps(curves))
    (folder / "solve.json").write_text(json.dumps(solve))
    return folder


@pytest.fixture
def panel(maya, solved):
    """The panel on that folder."""
    maya.ui.press(maya.ui.entry("Shelves|sfumato", "Face..."))
    maya.ui.type("sfumato_face_solve", str(solved))
    from sfumato_maya.panel import show

    show("face")._rows.refill()
    return maya.ui


def status(maya):
    return maya.ui.read("sfumato_face_status")


def chin(maya, name="hero:chin_mrk"):
    """A locator that moves."""
    node = maya.commands_of_scene.make("transform", name)
    curve = maya.commands_of_scene.make("animCurveTL", "chin_y")
    keys = [(maya.scene.ticks(1001), 0.0, LINEAR, LINEAR), (maya.scene.ticks(1011), 5.0, LINEAR, LINEAR)]
    object.__setattr__(curve, "keys", keys)
    node.attrs["translateY"].source = curve.attrs["output"]


def test_it_has_no_field_for_frames_because_a_take_is_one_piece(maya, panel):
    assert not maya.cmds.textFieldGrp("sfumato_face_frames", exists=True)
    panel.type("sfumato_face_markers", "/takes/t1.c3d")
    from sfumato_maya.panel import show

    job = show("face").job()
    assert job.outputs["solve"].endswith("v001/solve.json")
    assert job.inputs == {"markers": "/takes/t1.c3d"}


def test_selected_locators_become_the_take(maya, panel, solved):
    chin(maya)
    maya.cmds.select(["hero:chin_mrk"])
    panel.press("sfumato_face_markers_selected")
    path = panel.read("sfumato_face_markers")
    found = json.loads((solved / "selected.json").read_text())
    assert path == str(solved / "selected.json")
    span = [maya.cmds.playbackOptions(query=True, **{end: True}) for end in ("minTime", "maxTime")]
    assert (found["names"], [found["frames"][0], found["frames"][-1]]) == (["chin_mrk"], span)
    assert found["positions"][5][0] == pytest.approx([0, 2.5, 0])


def test_nothing_selected_is_a_sentence(maya, panel):
    maya.cmds.select(clear=True)
    panel.press("sfumato_face_markers_selected")
    assert "no marker is selected" in status(maya)


def test_frames_to_look_at_first_are_listed_and_a_click_goes_there(maya, panel):
    assert panel.read("sfumato_face_first") == ["1002   jaw 1.4 mm off", "1003   jawOpen at its limit"]
    maya.cmds.currentTime(1003)
    before = maya.snapshot()
    maya.cmds.currentTime(1001)
    panel.choose("sfumato_face_first", 2)
    assert maya.cmds.currentTime(query=True) == 1003
    assert maya.snapshot() == before, "looking changes nothing"


def test_a_key_is_fixed_at_the_current_frame_and_can_be_let_go(maya, panel, solved):
    maya.cmds.currentTime(1002)
    panel.type("sfumato_face_control", "jawOpen")
    panel.type("sfumato_face_value", 0.4)
    panel.press("sfumato_face_fix")
    assert json.loads((solved / "edits.json").read_text())["keys"] == [[1002, "jawOpen", 0.4, True]]
    assert panel.read("sfumato_face_keys") == ["1002   jawOpen 0.4   locked"]
    assert "run to solve what depends on it" in status(maya)
    panel.press("sfumato_face_free")
    assert json.loads((solved / "edits.json").read_text())["keys"] == []


@pytest.mark.parametrize(
    ("control", "frame", "value", "said"),
    [
        ("jawOpne", 1002, 0.4, "did you mean 'jawOpen'"),
        ("jawOpen", 5, 0.4, "no frame 5"),
        ("jawOpen", 1002, 7.0, "limits"),
    ],
)
def test_a_key_that_cannot_be_is_a_sentence_in_the_panel(maya, panel, solved, control, frame, value, said):
    maya.cmds.currentTime(frame)
    panel.type("sfumato_face_control", control)
    panel.type("sfumato_face_value", value)
    panel.press("sfumato_face_fix")
    assert said in status(maya)
    assert not (solved / "edits.json").exists()


def test_the_next_stage_is_the_one_after_what_the_folder_has(maya, panel, monkeypatch):
    from sfumato_maya.panel import show

    asked = []
    monkeypatch.setattr(show("face")._rows, "_run", lambda: asked.append(panel.read("sfumato_face_stage")))
    panel.press("sfumato_face_next")
    panel.type("sfumato_face_solve", "/nowhere/v002")
    panel.press("sfumato_face_next")
    assert asked == ["regions", "stabilise"]
    panel.type("sfumato_face_solve", "")
    panel.press("sfumato_face_next")
    assert "no folder is named" in status(maya)


def test_apply_opens_the_curves_panel_with_curves_and_map(maya, panel, solved):
    panel.type("sfumato_face_map", "/rigs/hero.json")
    panel.press("sfumato_face_apply")
    assert panel.read("sfumato_curves_file") == str(solved / "curves.json")
    assert panel.read("sfumato_curves_map") == "/rigs/hero.json"
    (solved / "curves.json").unlink()
    panel.press("sfumato_face_apply")
    assert "no curves are in" in status(maya)


def test_what_is_missing_is_said_before_an_engine_starts(maya, panel):
    panel.press("sfumato_face_run")
    assert "markers" in status(maya)
    assert "rig" in status(maya)
