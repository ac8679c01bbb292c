"""Place and Trail as nodes in Nuke: boxes baked into their knobs, real processes, real files, a stand-in for Nuke."""

import json
import pathlib

import pytest
from fakes.nuke import Nuke
from fakes.nuke_nodes import Format

pytestmark = pytest.mark.usefixtures("nuke_machine")


@pytest.fixture
def session():
    with Nuke() as session:
        from sfumato_nuke.menu import install

        install()
        session.root["first_frame"].setValue(1001)
        session.root["last_frame"].setValue(1003)
        yield session


@pytest.fixture
def ball(session):
    """A Transform that crosses the picture, labelled with its words; selected."""
    plate = session.make("Reformat")
    plate._format = Format(1920, 1080, 1.0)
    node = session.make("Transform", plate)
    node["label"].setValue("red ball")
    node["scale"]._move(0.5)
    node["translate"]._move({1001: 0, 1003: 960}, 270)
    return node


def made(session, label):
    session.choose(f"Nodes/sfumato/{label}")
    return session.root.node(f"sfumato_{label.lower()}1")


def ran(session, node, button="run_here"):
    from sfumato_nuke.watch import WATCH

    session.press(node, button)
    session.pump(lambda: not WATCH.runs)
    return node["status"].value()


def test_a_node_without_arrows_has_a_knob_for_every_parameter_and_its_own_range(session):
    import sfumato_plugins

    for label in ("Place", "Trail"):
        node, tool = made(session, label), sfumato_plugins.tool(label.lower())
        assert node.maxInputs() == 0
        assert node["range_from"].values() == ["its own", "script", "frames below"]
        assert node["show"].values() == ["result", "this frame"]
        assert node.knob("plate_bits") is None
        for parameter in tool.parameters:
            assert node.knob(f"{tool.name}_{parameter.name}") is not None or parameter.name == "layers"
        assert node.node("view").input(0) is node.node("nothing")
        assert node.node("view")["which"].value() == 0


def test_boxes_of_this_frame_become_words_and_a_clips_become_a_track(session, ball, tmp_path):
    place, trail = made(session, "Place"), made(session, "Trail")
    ball.setSelected(True)
    session.frame = 1002
    session.press(place, "bake_boxes")
    assert place["place_box"].value() == "red ball:0.25,0.25,0.75,0.75"
    session.press(trail, "bake_boxes")
    assert "never been saved" in session.messages.pop()
    session.save(tmp_path / "comp.nk")
    ball.setSelected(False)
    trail["trail_prompt"].setValue("a red ball on grass")
    trail["boxes_of"].setValue(ball.name())
    session.press(trail, "bake_boxes")
    path = tmp_path / "sfumato" / "sfumato_trail1.track.json"
    assert trail["trail_track"].value() == path.as_posix()
    track = json.loads(path.read_text())
    assert (track["start"], track["count"], track["prompts"]) == (1001, 3, [[1001, "a red ball on grass"]])
    trail["boxes_of"].setValue("Gone1")
    session.press(trail, "bake_boxes")
    assert "the script has no node Gone1" in session.messages.pop()
    trail["boxes_of"].setValue("")
    session.press(trail, "bake_boxes")
    assert "no node is named or selected" in session.messages.pop()
    assert not session.messages


def test_an_artist_places_a_ball_and_lets_it_cross(session, ball, engine, tmp_path, monkeypatch):
    monkeypatch.setenv("SFUMATO_PYTHON", engine)
    place, trail = made(session, "Place"), made(session, "Trail")
    session.save(tmp_path / "comp.nk")
    ball.setSelected(True)
    session.frame = 1002
    for node in (place, trail):
        tool = "place" if node is place else "trail"
        values = {"prompt": "a red ball on grass", "model": "embedded_micro", "steps": 4, "method": "fast"}
        for name, value in values.items():
            node[f"{tool}_{name}"].setValue(value)
    session.press(trail, "run_here")
    assert "no track is named" in session.messages.pop()
    for node, frames in ((place, [1]), (trail, [1001, 1002, 1003])):
        session.press(node, "bake_boxes")
        assert ran(session, node) == "v001, up to date", session.messages
        pattern = node.node("result")["file"].value()
        assert [
            f for f in (1, *range(1001, 1004)) if pathlib.Path(pattern.replace("####", f"{f:04d}")).is_file()
        ] == frames
        assert node.node("view")["which"].value() == 1
        result = json.loads(pathlib.Path(pattern.replace(".####.exr", ".result.json")).read_text())
        assert result["frames"][0]["stats"]["objects"]["red ball"]["asked"]
    place["place_box"].setValue("green cone:0,0,1,1")
    session.press(place, "run_here")
    from sfumato_nuke.watch import WATCH

    session.pump(lambda: not WATCH.runs)
    assert "is not in the prompt" in place["last_error"].value()
    trail["farm_target"].setValue("commands")
    session.save(tmp_path / "comp.nk")
    session.press(trail, "send_to_farm")
    assert trail["status"].value().startswith("written for commands"), session.messages
    (listed,) = tmp_path.rglob("*.commands.txt")
    assert "--frames=1001-1003" in listed.read_text()
