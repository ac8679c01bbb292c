"""Maya's panels, used as a person uses them: typed into, pressed, read."""

import json

import pytest
from fakes import maya_faceboard
from fakes.maya import Maya


@pytest.fixture
def maya(tmp_path, monkeypatch):
    monkeypatch.delenv("OCIO", raising=False)
    with Maya(home=tmp_path).with_sfumato() as found:
        yield found


@pytest.fixture
def rig(maya, tmp_path):
    """A faceboard, a take for it and a control map, as files."""
    maya.targets = maya_faceboard.build(maya)
    take = maya_faceboard.take([target.replace(".", "_") for target in maya.targets], 10)
    (tmp_path / "take.json").write_text(json.dumps(take))
    lines = [{"control": target.replace(".", "_"), "target": target} for target in maya.targets]
    (tmp_path / "map.json").write_text(json.dumps({"schema": "sfumato.map/1", "controls": lines}))
    return tmp_path


def open_curves(maya, rig, **more):
    maya.ui.press(maya.ui.entry("sfumatoMenu", "Apply Curves..."))
    given = {"file": str(rig / "take.json"), "map": str(rig / "map.json"), "namespace": "hero", **more}
    for name, text in given.items():
        maya.ui.type(f"sfumato_curves_{name}", text)


def listed(maya):
    return "\n".join(maya.ui.read("sfumato_curves_list"))


# the tool panel


KINDS = {
    "Choice": "optionMenuGrp",
    "Switch": "checkBoxGrp",
    "Number": "floatSliderGrp",
    "Whole": "intSliderGrp",
    "Several": "checkBox",
    "Prompt": "textFieldGrp",
    "Factors": "textFieldGrp",
    "NumberOr": "textFieldGrp",
    "Text": "textFieldGrp",
    "Boxes": "textFieldGrp",
    "PictureSize": "textFieldGrp",
    "ModelFolder": "textFieldButtonGrp",
}


@pytest.mark.parametrize("label", ["Matte", "Edit", "Invert", "Place", "Trail", "Face"])
def test_every_parameter_has_a_control_of_its_kind_with_a_label_and_a_help(maya, label):
    import sfumato_plugins
    from sfumato_plugins.parameters import Number

    tool = sfumato_plugins.tool(label.lower())
    maya.ui.press(maya.ui.entry("Shelves|sfumato", f"{label}..."))
    for parameter in tool.parameters:
        name = f"sfumato_{tool.name}_{parameter.name}"
        if type(parameter).__name__ == "Several":
            assert all(maya.ui.find(f"{name}_{option}").kind == "checkBox" for option in parameter.options)
            continue
        element = maya.ui.find(name)
        wide = isinstance(parameter, Number) and parameter.high - parameter.low > 1000
        assert element.kind == ("floatFieldGrp" if wide else KINDS[type(parameter).__name__])
        assert element.flags["annotation"] == parameter.help
        assert parameter.label in (element.flags["label"], element.flags.get("label1"))
    for images in (*tool.inputs, *tool.outputs):
        assert images.help in maya.ui.find(f"sfumato_{tool.name}_{images.name}").flags["annotation"]


def test_any_kind_of_parameter_can_be_drawn_and_read_back(maya):
    from sfumato_maya import controls

    from sfumato_plugins.parameters import Choice, ModelFolder, Number, NumberOr, Prompt, Several, Switch, Text, Whole

    cmds = maya.cmds
    cmds.window("w")
    cmds.columnLayout()
    kinds = [
        Whole("a", "A", "h", 3, low=0, high=10),
        Whole("b", "B", "h", 3, high=10**6),
        Number("c", "C", "h", 0.5),
        Number("d", "D", "h", 5.0, high=1e9),
        Choice("e", "E", "h", "two", options=("one", "two")),
        Several("f", "F", "h", ("x",), options=("x", "y")),
        Text("g", "G", "h", "words"),
        Switch("i", "I", "h", True),
        Prompt("j", "J", "h", ""),
        ModelFolder("k", "K", "h", "embedded"),
        NumberOr("l", "L", "h", "auto", options=("auto",)),
    ]
    read = {parameter.name: controls.draw_parameter(parameter, "w") for parameter in kinds}
    assert {n: r() for n, r in read.items()} == {
        **{"a": 3, "b": 3, "c": 0.5, "d": 5.0, "e": "two", "f": ["x"], "g": "words", "i": True},
        **{"j": "", "k": "embedded", "l": "auto"},
    }
    for name, value in {"j": "a ball", "k": "/m", "l": "0.5"}.items():
        maya.ui.type(f"w_{name}", value)
    assert [read.pop(name)() for name in ("j", "k", "l")] == ["a ball", "/m", 0.5]
    for name, value in {"a": 7, "b": 8, "c": 0.1, "d": 2.0, "e": "one", "f_y": True, "g": "", "i": False}.items():
        maya.ui.type(f"w_{name}", value)
    assert [r() for r in read.values()] == [7, 8, 0.1, 2.0, "one", ["x", "y"], "", False]


def test_a_number_that_was_not_touched_is_its_default_to_the_last_digit(maya):
    from sfumato_maya import controls

    from sfumato_plugins.parameters import Number

    maya.cmds.window("w")
    maya.cmds.columnLayout()
    read = controls.draw_parameter(Number("n", "N", "h", 0.123456789), "w")
    maya.ui.type("w_n", 0.1235)  # what a field with four places gives back
    assert read() == 0.123456789
    maya.ui.type("w_n", 0.2)
    assert read() == 0.2


def test_the_job_holds_only_what_was_changed(maya, tmp_path):
    from sfumato_maya import panel

    maya.ui.press(maya.ui.entry("sfumatoMenu", "Matte..."))
    for name, value in {"plate": "p.####.exr", "matte": "m.####.exr", "frames": "1-3", "quality": "final"}.items():
        maya.ui.type(f"sfumato_matte_{name}", value)
    maya.ui.type("sfumato_matte_layers_bg", False)
    job = panel.show("matte").job()
    assert job.params == {"quality": "final", "layers": ["fg", "confidence"]}
    assert job.inputs["plate"] == f"{tmp_path}/p.####.exr", "relative to Maya's project"
    assert (job.frames, job.seed, job.color) == ((1, 2, 3), 0, {})


def test_the_file_button_turns_one_frame_into_the_sequence(maya):
    from sfumato_maya.controls import pattern_of

    maya.ui.press(maya.ui.entry("sfumatoMenu", "Matte..."))
    maya.ui.answers.append(["/shots/ab_010/plate.1001.exr"])
    maya.ui.press("sfumato_matte_plate")
    assert maya.ui.read("sfumato_matte_plate") == "/shots/ab_010/plate.####.exr"
    maya.ui.press("sfumato_matte_plate")
    assert maya.ui.read("sfumato_matte_plate") == "/shots/ab_010/plate.####.exr", "dismissed: as it was"
    assert pattern_of("/v002/key.png") == "/v002/key.png"
    assert pattern_of("/a/plate_v002_0012.exr") == "/a/plate_v002_####.exr"


def test_what_is_wrong_with_a_job_is_said_and_no_engine_is_started(maya, tmp_path):
    maya.ui.press(maya.ui.entry("sfumatoMenu", "Matte..."))
    maya.ui.type("sfumato_matte_plate", str(tmp_path / "p.####.exr"))
    maya.ui.type("sfumato_matte_matte", str(tmp_path / "m.####.png"))
    maya.ui.type("sfumato_matte_frames", "1-2")
    maya.ui.press("sfumato_matte_run")
    said = maya.ui.read("sfumato_matte_status")
    assert "nothing says where the edge is" in said
    assert "m.####.png is not an EXR" in said
    assert "not one file is there" in said
    for field, text, part in (("seed", "x", "no whole number"), ("frames", "9-1", "runs backwards")):
        maya.ui.type(f"sfumato_matte_{field}", text)
        maya.ui.press("sfumato_matte_run")
        assert part in maya.ui.read("sfumato_matte_status")
        maya.ui.type(f"sfumato_matte_{field}", {"seed": "0", "frames": "1-2"}[field])
    assert not any(timer.isActive() for timer in maya.timers if maya.idle() is None)


def test_an_engine_that_is_not_there_is_a_sentence_in_the_panel(maya, tmp_path, monkeypatch):
    monkeypatch.setenv("SFUMATO_PYTHON", str(tmp_path / "gone" / "python"))
    for name in ("p", "t"):
        (tmp_path / f"{name}.0001.exr").write_bytes(b"")
    maya.ui.press(maya.ui.entry("sfumatoMenu", "Matte..."))
    for name, text in {"plate": "p.####.exr", "trimap": "t.####.exr", "matte": "m.####.exr"}.items():
        maya.ui.type(f"sfumato_matte_{name}", str(tmp_path / text))
    maya.ui.press("sfumato_matte_run")
    assert "there is no Python at" in maya.ui.read("sfumato_matte_status")
    maya.idle()
    assert not any(timer.isActive() for timer in maya.timers), "nothing ticks for nothing"


def test_mayas_colour_config_goes_into_the_job(maya, tmp_path, monkeypatch):
    from sfumato_maya import colour

    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "config.ocio").write_text("")
    monkeypatch.setenv("MAYA_LOCATION", str(tmp_path))
    maya.state.colour = (True, "<MAYA_RESOURCES>/config.ocio")
    assert colour.config() == str(tmp_path / "resources" / "config.ocio").replace("\\", "/") or colour.config()
    maya.state.colour = (False, "<MAYA_RESOURCES>/config.ocio")
    assert colour.config() == ""
    maya.state.colour = (True, "/gone/config.ocio")
    assert colour.config() == ""


def test_the_sites_device_is_the_panels_unless_the_artist_says_otherwise(maya, tmp_path, monkeypatch):
    from sfumato_maya import panel

    (tmp_path / "site.toml").write_text('device = "cpu"')
    monkeypatch.setenv("SFUMATO_SITE", str(tmp_path / "site.toml"))
    maya.ui.press(maya.ui.entry("sfumatoMenu", "Matte..."))
    maya.ui.type("sfumato_matte_frames", "1")
    assert panel.show("matte").job().params == {"device": "cpu"}
    maya.ui.type("sfumato_matte_device", "cuda")
    assert panel.show("matte").job().params == {"device": "cuda"}


# the curves panel


def test_check_says_what_would_happen_and_changes_nothing(maya, rig):
    maya.cmds.setAttr("hero:face_ctrl.slider03", lock=True)
    before = maya.snapshot()
    open_curves(maya, rig)
    maya.ui.press("sfumato_curves_check")
    assert "hero:face_ctrl.slider03: is locked" in listed(maya)
    assert "51 attributes can be written, 1 cannot; frames 1001 to 1010" in listed(maya)
    assert maya.snapshot() == before


def test_apply_asks_before_it_leaves_anything_out(maya, rig):
    maya.cmds.setAttr("hero:face_ctrl.slider03", lock=True)
    before = maya.snapshot()
    open_curves(maya, rig)
    maya.ui.answers.append("Cancel")
    maya.ui.press("sfumato_curves_apply")
    assert "Write the other 51?" in maya.ui.dialogs[-1]["message"]
    assert maya.snapshot() == before
    maya.ui.answers.append("Write the others")
    maya.ui.press("sfumato_curves_apply")
    assert "applied: 51 attributes, 510 keys on the layer sfumato, 1 left out" in listed(maya)
    maya.cmds.undo()
    assert maya.snapshot() == before


def test_apply_without_anything_in_the_way_asks_nothing(maya, rig):
    open_curves(maya, rig, start="1")
    maya.ui.press("sfumato_curves_apply")
    assert maya.ui.dialogs == []
    assert "applied: 52 attributes" in listed(maya)
    assert maya.said[-1][0] == "info"
    node = next(node for node in maya.scene.nodes if node.kind == "animCurveTA")
    assert maya.scene.frames(node.keys[0][0]) == 1


def test_the_panel_says_what_is_wrong_with_its_own_fields(maya, rig):
    maya.ui.press(maya.ui.entry("sfumatoMenu", "Apply Curves..."))
    maya.ui.press("sfumato_curves_apply")
    assert "no curves file is chosen" in listed(maya)
    open_curves(maya, rig, start="soon")
    maya.ui.press("sfumato_curves_check")
    assert "'soon' is no frame" in listed(maya)
    open_curves(maya, rig, start="", map="")
    maya.ui.press("sfumato_curves_apply")
    assert "give a control map" in listed(maya)
    open_curves(maya, rig, file=str(rig / "gone.json"))
    maya.ui.press("sfumato_curves_check")
    assert "cannot be read" in listed(maya)


def test_layers_of_the_scene_are_offered_and_used(maya, rig):
    maya.cmds.animLayer("face_v002", override=True)
    open_curves(maya, rig)
    assert maya.ui.find("sfumato_curves_layer").items == ["a new layer", "face_v002", "no layer: key the controls"]
    maya.ui.type("sfumato_curves_layer", "face_v002")
    maya.ui.press("sfumato_curves_apply")
    assert "on the layer face_v002" in listed(maya)
    maya.cmds.undo()
    maya.cmds.animLayer("face_v003", override=True)
    maya.ui.press(maya.ui.entry("sfumatoMenu", "Apply Curves..."))
    assert "face_v003" in maya.ui.find("sfumato_curves_layer").items, "as the scene is now"
    assert maya.ui.read("sfumato_curves_layer") == "face_v002", "and what was chosen stays"
    maya.ui.type("sfumato_curves_layer", "no layer: key the controls")
    maya.ui.press("sfumato_curves_apply")
    assert listed(maya).endswith("applied: 52 attributes, 520 keys")
    assert not [node for node in maya.scene.nodes if node.kind.startswith("animBlendNode")]


# the editor of control maps


def open_editor(maya, rig, map_name="map.json"):
    open_curves(maya, rig, map=str(rig / map_name))
    maya.ui.press("sfumato_curves_edit")


def test_a_map_is_made_from_names_alone(maya, rig):
    from sfumato_plugins import control_map

    open_editor(maya, rig, "new.json")
    assert len(maya.ui.read("sfumato_map_list")) == 52
    maya.cmds.select([node.name for node in maya.scene.nodes if node.name.startswith("hero:")])
    maya.ui.press("sfumato_map_match_names")
    assert "52 targets found, 0 lines without one" in maya.ui.read("sfumato_map_status")
    maya.ui.press("sfumato_map_save")
    made = control_map.load(str(rig / "new.json"))
    assert {link.target for link in made.links} == set(maya.targets), "blend shape aliases too, without a namespace"


def test_a_two_way_slider_is_made_by_hand(maya, rig):
    from sfumato_plugins import control_map

    open_editor(maya, rig)
    maya.ui.choose("sfumato_map_list", 41)
    maya.ui.type("sfumato_map_target", "mouth_ctrl.translateX")
    maya.ui.type("sfumato_map_limits", "-1 1")
    maya.ui.press("sfumato_map_add")
    maya.ui.type("sfumato_map_control", "mouthRight")
    maya.cmds.select("hero:mouth_ctrl")
    maya.ui.marked = ["tx"]
    maya.ui.press("sfumato_map_from_selection")
    assert maya.ui.read("sfumato_map_list")[41] == "mouthRight  ->  mouth_ctrl.translateX   x -1"
    maya.ui.type("sfumato_map_scale", "two")
    assert "not taken over" in maya.ui.read("sfumato_map_status")
    maya.ui.press("sfumato_map_save")
    lines = control_map.load(str(rig / "map.json")).links
    assert (lines[41].control, lines[41].scale) == ("mouthRight", -1)
    assert lines[40].limits == (-1, 1)
    maya.ui.press("sfumato_map_remove")
    assert len(maya.ui.read("sfumato_map_list")) == 52


def test_a_map_that_cannot_be_read_is_not_saved_over(maya, rig):
    (rig / "map.json").write_text('{"schema": "sfumato.map/1", "controls": [{"control": "a"')
    open_editor(maya, rig)
    assert "is not JSON" in maya.ui.read("sfumato_map_status")
    maya.ui.press("sfumato_map_save")
    assert "nothing is saved" in maya.ui.read("sfumato_map_status")
    assert (rig / "map.json").read_text().endswith('"a"')


def test_a_map_that_contradicts_itself_is_not_written_over_a_good_one(maya, rig):
    before = (rig / "map.json").read_text()
    open_editor(maya, rig)
    maya.ui.choose("sfumato_map_list", 1)
    maya.ui.type("sfumato_map_limits", "0 1")
    maya.ui.press("sfumato_map_add")
    maya.ui.type("sfumato_map_target", "face_ctrl.slider00")
    maya.ui.type("sfumato_map_limits", "0 2")
    maya.ui.press("sfumato_map_save")
    assert "not saved" in maya.ui.read("sfumato_map_status")
    assert "drives face_ctrl.slider00 twice" in maya.ui.read("sfumato_map_status")
    assert (rig / "map.json").read_text() == before
