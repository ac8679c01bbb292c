"""An edit and an inversion in Nuke, drawn from their declarations: real processes, real files, a stand-in for Nuke."""

import json
import pathlib

import pytest
from fakes.nuke import Nuke

pytestmark = pytest.mark.usefixtures("nuke_machine")


@pytest.fixture
def session():
    with Nuke() as session:
        from sfumato_nuke.menu import install

        install()
        yield session


def made(session, label, number=1):
    session.choose(f"Nodes/sfumato/{label}")
    return session.root.node(f"sfumato_{label.lower()}{number}")


def test_an_edit_node_has_a_knob_for_every_parameter_and_an_arrow_for_every_picture(session):
    import sfumato_plugins

    node = made(session, "Edit")
    kinds = {"edit_source": "String_Knob", "edit_target": "String_Knob", "edit_gamma": "String_Knob",
             "edit_model": "File_Knob", "edit_record": "File_Knob", "edit_steps": "Int_Knob",
             "edit_strength": "Double_Knob", "edit_attention": "Enumeration_Knob",
             "edit_layers_delta": "Boolean_Knob"}  # fmt: skip
    assert {name: node[name].Class() for name in kinds} == kinds
    for parameter in sfumato_plugins.tool("edit").parameters:
        if parameter.name != "layers":
            assert node.knob(f"edit_{parameter.name}") is not None
    assert [node.node(name)["number"].value() for name in ("plate", "mask")] == [0, 1]
    assert node.node("record") is None
    assert node["show"].values() == ["result", "plate", "this frame"]
    assert "Generative: yes" in node["about"].value()


def test_knobs_become_parameters_of_their_own_kind(session):
    from sfumato_nuke.knobs import parameters

    import sfumato_plugins

    node, tool = made(session, "Edit"), sfumato_plugins.tool("edit")
    assert parameters(node, tool) == {}
    for name, value in {
        "source": "a ball",
        "gamma": "0.96",
        "steps": 20,
        "strength": 0.5,
        "layers_mask": False,
    }.items():
        node[f"edit_{name}"].setValue(value)
    found = parameters(node, tool)
    assert found == {"source": "a ball", "gamma": 0.96, "steps": 20, "strength": 0.5, "layers": ["delta"]}
    assert [p.where for p in tool.parameter_problems(found)] == ["params.target"]


def test_an_invert_node_lets_its_plate_through_and_has_nothing_to_show(session):
    node = made(session, "Invert")
    assert node.knob("show") is None
    assert node.knob("solve_frame") is None
    assert node.node("result") is None
    assert node["result_file"].Class() == "File_Knob"
    assert node.node("Output1").input(0) is node.node("plate")


@pytest.fixture
def day(session, engine, tiny_shot, tiny_model, tmp_path, monkeypatch):
    """day("Edit") is such a node with a plate and a mask, on frames 1001-1002 of a saved script."""
    monkeypatch.setenv("SFUMATO_PYTHON", engine)
    script = tmp_path / "shots" / "comp.nk"
    script.parent.mkdir()

    def wired(label):
        node = made(session, label)
        node.setInput(0, session.read(tiny_shot / "plate.####.exr", 1001, 1012))
        node.setInput(1, session.read(tiny_shot / "truth.####.exr", 1001, 1012))
        for name, value in {"source": "a red ball on grass", "target": "a blue ball on grass", "steps": 5}.items():
            if node.knob(f"{label.lower()}_{name}"):
                node[f"{label.lower()}_{name}"].setValue(value)
        node[f"{label.lower()}_model"].setValue(tiny_model.as_posix())
        node["range_from"].setValue("frames below")
        node["frames"].setValue("1001-1002")
        session.save(script)
        return node

    return wired


def ran(session, node, button="run_here"):
    """Press a button and let time pass until nothing runs."""
    from sfumato_nuke.watch import WATCH

    session.press(node, button)
    session.pump(lambda: not WATCH.runs)
    return node["status"].value()


def test_an_artist_inverts_once_and_edits_from_the_record(session, day, tmp_path):
    inverting = day("Invert")
    assert ran(session, inverting) == "v001, up to date"
    record = inverting["result_file"].value()
    assert record.endswith("/sfumato_invert1/v001/sfumato_invert1_v001.####.safetensors")

    node = day("Edit")
    node["edit_target"].setValue("")
    session.press(node, "run_here")
    assert "params.target: is missing" in session.messages.pop()
    node["edit_target"].setValue("a blue ball on grass")
    node["edit_record"].setValue(record)
    assert ran(session, node) == "v001, up to date", session.messages
    assert f"record: {record}" in node["inputs_told"].value()
    pattern = node.node("result")["file"].value()
    assert pathlib.Path(pattern.replace("####", "1002")).is_file()
    result = json.loads(pathlib.Path(pattern.replace(".####.exr", ".result.json")).read_text())
    assert [frame["stats"]["calls_up"] for frame in result["frames"]] == [0, 0]
    assert result["generative"] == "yes"
    assert "licence apache-2.0" in result["trained_weights"]

    node["edit_record"].setValue("")
    session.press(node, "update_status")
    assert node["status"].value() == "v001, settings changed since"

    # One frame, whole although the viewer has a region: a model that sees less makes another edit
    session.viewer = session.make("Viewer")
    session.viewer._roi = {"x": 40.0, "y": 10.0, "r": 120.0, "t": 80.0}
    session.frame = 1002
    assert ran(session, node, "solve_frame") == "frame 1002"
    assert node["show"].value() == "this frame"

    node["farm_target"].setValue("commands")
    session.save(tmp_path / "shots" / "comp.nk")
    session.press(node, "send_to_farm")
    assert node["status"].value().startswith("written for commands"), session.messages
    (listed,) = (tmp_path / "shots").rglob("*.commands.txt")
    assert "--frames=1001-1002" in listed.read_text()
    assert not session.messages
