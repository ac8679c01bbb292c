"""Curves onto a namespaced faceboard: exact values, one undo step, and nothing left behind when something fails."""

import math

import pytest
from fakes import maya_faceboard, strict
from fakes.maya import Maya
from fakes.maya_undo import Edits

STICKS = {
    "schema": "sfumato.map/1",
    "controls": [
        {"control": "jawOpen", "target": "jaw_ctrl.rotateX", "scale": 25, "limits": [0, 25]},
        {"control": "mouthLeft", "target": "mouth_ctrl.translateX"},
        {"control": "mouthRight", "target": "mouth_ctrl.translateX", "scale": -1},
        {"control": "browUp", "target": "face_bs.browUp"},
        {"control": "lipPress", "target": "face_bs.lipPress", "scale": 0.5, "offset": 0.1},
    ],
}


@pytest.fixture
def maya(tmp_path):
    with Maya(home=tmp_path).with_sfumato() as found:
        found.targets = maya_faceboard.build(found)
        yield found


@pytest.fixture
def apply(maya):
    """apply(names, rows, ...) with our real code; imported only now, while Maya is there."""
    from sfumato_maya.apply import apply

    from sfumato_plugins import control_map, curves

    def call(names=None, rows=None, frames=None, fps=24.0, mapped=None, namespace="hero", **more):
        data = maya_faceboard.take(maya.targets)
        if names:
            frames = frames or [1001 + at for at in range(len(rows))]
            data = {**data, "fps": fps, "frames": frames, "names": names, "values": rows}
        found = control_map.read(mapped) if mapped else None
        return apply(curves.read(data), found, namespace, **more)

    return call


def refused(call, *args, **more):
    from sfumato_plugins.errors import JobError

    with pytest.raises(JobError) as caught:
        call(*args, **more)
    return str(caught.value)


def value(maya, name, frame):
    return maya.cmds.getAttr(f"hero:{name}", time=frame)


def test_52_curves_of_500_keys_land_exactly_and_one_undo_takes_them_back(maya, apply):
    before = maya.snapshot()
    done = apply()
    after = maya.snapshot()
    assert (len(done.attributes), done.keys, done.left_out, done.notes) == (52, 26000, (), ())
    take = maya_faceboard.take(maya.targets)
    for row in (0, 1, 250, 499):
        for column, target in enumerate(maya.targets):
            assert value(maya, target, 1001 + row) == pytest.approx(take["values"][row][column], abs=1e-12)
            half = 1001.5 + row
            if row < 499:
                between = (take["values"][row][column] + take["values"][row + 1][column]) / 2
                assert value(maya, target, half) == pytest.approx(between, abs=1e-12), "linear between frames"
    assert [name for name, _ in maya.queue.done] == ["sfumato apply curves"]
    maya.cmds.undo()
    assert maya.snapshot() == before
    maya.cmds.redo()
    assert maya.snapshot() == after
    maya.cmds.undo()
    assert maya.snapshot() == before


def test_curves_have_the_type_of_what_they_drive_and_a_name_that_says_it(maya, apply):
    apply()
    kinds = {node.name: node.kind for node in maya.scene.nodes if node.kind.startswith("animCurve")}
    assert len(kinds) == 52
    assert kinds["sfumato_hero_jaw_ctrl_rotateX"] == "animCurveTA"
    assert kinds["sfumato_hero_mouth_ctrl_translateX"] == "animCurveTL"
    assert kinds["sfumato_hero_face_bs_lipPress"] == "animCurveTU"
    assert not [node for node in maya.scene.nodes if node.kind == "unitConversion"]
    keys = next(node.keys for node in maya.scene.nodes if node.name == "sfumato_hero_jaw_ctrl_rotateX")
    assert {key[2:] for key in keys} == {(2, 2)}, "linear on both sides"


def test_what_was_animated_stays_below_the_layer_and_shows_when_it_is_muted(maya, apply):
    apply(["mouth_ctrl.translateX"], [[0.25], [0.5]], layer=None)
    assert value(maya, "mouth_ctrl.translateX", 1002) == 0.5
    done = apply(["mouth_ctrl.translateX"], [[-0.75], [-0.5]])
    assert value(maya, "mouth_ctrl.translateX", 1002) == -0.5
    with maya.queue.command("mute") as edits:
        maya.layers.change(edits, maya.layers.layer(done.layer), mute=True)
    assert value(maya, "mouth_ctrl.translateX", 1002) == 0.5


def test_a_control_map_scales_offsets_and_joins_two_sides_of_a_slider(maya, apply):
    names = ["jawOpen", "mouthLeft", "mouthRight", "browUp", "lipPress"]
    rows = [[0, 0.4, 0, 0, 0.2], [0.5, 0, 0.3, 1, 1], [1, 0, 1, 0, 0]]
    done = apply(names, rows, mapped=STICKS)
    assert len(done.attributes) == 4
    assert [value(maya, "jaw_ctrl.rotateX", f) for f in (1001, 1002, 1003)] == pytest.approx([0, 12.5, 25])
    assert [value(maya, "mouth_ctrl.translateX", f) for f in (1001, 1002, 1003)] == pytest.approx([0.4, -0.3, -1])
    assert value(maya, "face_bs.lipPress", 1001) == pytest.approx(0.2)
    assert value(maya, "face_bs.w[7]", 1002) == pytest.approx(0.6), "the alias is element 7: there are holes before it"


@pytest.mark.parametrize(
    ("fps", "unit", "start", "expected"),
    [
        (24.0, "film", None, (1001, 1002, 1003)),
        (48.0, "film", None, (1001, 1001.5, 1002)),
        (120.0, "film", 1, (1, 1.2, 1.4)),
        (24.0, "pal", 100, (100, 100 + 25 / 24, 100 + 50 / 24)),
        (23.976, "23.976fps", None, (1001, 1002, 1003)),
        (59.94, "29.97fps", 1001, (1001, 1001.5, 1002)),
    ],
)
def test_seconds_stay_seconds_whatever_the_rates(maya, apply, fps, unit, start, expected):
    maya.cmds.currentUnit(time=unit)
    apply(["face_ctrl.slider00"], [[0.0], [1.0], [0.5]], fps=fps, start=start)
    node = next(node for node in maya.scene.nodes if node.kind == "animCurveTU")
    assert [maya.scene.frames(key[0]) for key in node.keys] == pytest.approx(expected, abs=1e-6)
    assert value(maya, "face_ctrl.slider00", expected[1]) == pytest.approx(1.0, abs=1e-6)


def test_samples_between_frames_are_kept(maya, apply):
    apply(["face_ctrl.slider00"], [[0.0], [1.0], [0.0]], frames=[1001, 1001.25, 1002])
    assert value(maya, "face_ctrl.slider00", 1001.25) == pytest.approx(1)
    assert value(maya, "face_ctrl.slider00", 1001.125) == pytest.approx(0.5)


def test_values_are_degrees_and_centimetres_whatever_the_units_of_the_scene(maya, apply):
    maya.cmds.currentUnit(linear="m", angle="rad")
    apply(["jaw_ctrl.rotateX", "mouth_ctrl.translateX"], [[30.0, 0.5]])
    assert value(maya, "jaw_ctrl.rotateX", 1001) == pytest.approx(math.radians(30))
    assert value(maya, "mouth_ctrl.translateX", 1001) == pytest.approx(0.005)


BAD = ["face_ctrl.slider00", "face_ctrl.slider01", "face_ctrl.slider02", "face_ctrl.slidr03", "nose_ctrl.tx", "a_bs.x"]


def spoil(maya):
    """One attribute locked, one driven by another node, one by its compound, and names that are not there."""
    maya.cmds.setAttr("hero:face_ctrl.slider01", lock=True)
    maya.cmds.connectAttr("hero:brow_ctrl.translateZ", "hero:face_ctrl.slider02")
    maya.cmds.setAttr("hero:eyes_ctrl.translate", lock=True)
    maya.queue.done.clear()


def test_everything_in_the_way_is_listed_and_nothing_is_written(maya, apply):
    spoil(maya)
    before = maya.snapshot()
    said = refused(apply, [*BAD, "eyes_ctrl.translateX"], [[0.5] * 7])
    assert "hero:face_ctrl.slider01: is locked" in said
    assert "hero:eyes_ctrl.translateX: is locked" in said, "its compound is"
    assert "hero:face_ctrl.slider02: is connected: hero:brow_ctrl.translateZ drives it" in said
    assert "has no attribute slidr03\n  did you mean 'slider03'?" in said
    assert "there is no hero:nose_ctrl in the scene" in said
    assert "face_ctrl.slider00" not in said
    assert maya.snapshot() == before
    assert maya.queue.done == []


def test_the_rest_is_written_where_that_is_asked_for(maya, apply):
    spoil(maya)
    done = apply(BAD, [[0.5] * 6], partial=True)
    assert done.attributes == ("hero:face_ctrl.slider00",)
    assert len(done.left_out) == 5
    assert value(maya, "face_ctrl.slider00", 1001) == 0.5


def test_nothing_to_write_is_an_error_also_when_the_rest_would_do(maya, apply):
    spoil(maya)
    assert "is locked" in refused(apply, ["face_ctrl.slider01"], [[0.5]], partial=True)


def test_clamped_values_are_listed_and_held(maya, apply):
    done = apply(["face_ctrl.slider00", "mouth_ctrl.translateX"], [[1.5, -3], [0.5, 0], [-1, 0.5]])
    said = "\n".join(map(str, done.notes))
    assert "hero:face_ctrl.slider00: 2 of 3 frames are held to 0 to 1; the furthest is -1" in said
    assert "hero:mouth_ctrl.translateX: 1 of 3 frames are held to -1 to 1; the furthest is -3" in said
    assert [value(maya, "face_ctrl.slider00", f) for f in (1001, 1002, 1003)] == [1, 0.5, 0]
    assert value(maya, "mouth_ctrl.translateX", 1001) == -1


def test_rotation_limits_are_degrees(maya, apply):
    jaw = maya.scene.find("hero:jaw_ctrl")[0]
    jaw.attrs["maxRotXLimit"].value, jaw.attrs["maxRotXLimitEnable"].value = math.radians(20), True
    done = apply(["jaw_ctrl.rotateX"], [[45.0]])
    assert "held to -inf to 20; the furthest is 45" in str(done.notes[0])
    assert value(maya, "jaw_ctrl.rotateX", 1001) == pytest.approx(20)


def test_an_attribute_named_twice_is_refused(maya, apply):
    said = refused(apply, ["jaw_ctrl.rotateX", "jaw_ctrl.rx"], [[1, 2]])
    assert "hero:jaw_ctrl.rx: is the attribute hero:jaw_ctrl.rotateX by another name" in said


def test_a_wrong_namespace_is_one_sentence_that_names_the_right_one(maya, apply):
    said = refused(apply, namespace="villain")
    assert "not one of 6 nodes of the rig is in the scene in the namespace villain" in said
    assert "namespace: hero" in said
    assert said.count("\n") == 1


def test_two_nodes_of_one_name_are_not_guessed_between(maya, apply):
    maya.commands_of_scene.make("transform", "hero:jaw_ctrl", maya.scene.find("hero:mouth_ctrl")[0])
    said = refused(apply, ["jaw_ctrl.rotateX", "face_ctrl.slider00"], [[1, 1]])
    assert "2 nodes are called hero:jaw_ctrl\n  write a path: |hero:faceboard|hero:jaw_ctrl" in said
    apply(["faceboard|jaw_ctrl.rotateX"], [[7]])
    assert maya.cmds.getAttr("|hero:faceboard|hero:jaw_ctrl.rotateX", time=1001) == pytest.approx(7)


def test_applying_again_to_the_same_layer_replaces_the_range_and_keeps_the_rest(maya, apply):
    first = apply(["face_ctrl.slider00"], [[0.1]] * 10, layer="face_v001")
    assert first.layer == "face_v001"
    before = maya.snapshot()
    again = apply(
        ["face_ctrl.slider00", "face_ctrl.slider05"], [[0.9, 0.2]] * 3, frames=[1004, 1005, 1006], layer="face_v001"
    )
    assert again.layer == "face_v001"
    assert len([node for node in maya.scene.nodes if node.kind == "animLayer"]) == 2, "the base and ours"
    found = [value(maya, "face_ctrl.slider00", frame) for frame in range(1001, 1011)]
    assert found == pytest.approx([0.1] * 3 + [0.9] * 3 + [0.1] * 4)
    maya.cmds.undo()
    assert maya.snapshot() == before


def test_a_second_new_layer_lies_over_the_first(maya, apply):
    assert apply(["face_ctrl.slider00"], [[0.1]]).layer == "sfumato"
    assert apply(["face_ctrl.slider00"], [[0.7]]).layer == "sfumato1"
    assert value(maya, "face_ctrl.slider00", 1001) == pytest.approx(0.7)
    maya.cmds.undo()
    assert value(maya, "face_ctrl.slider00", 1001) == pytest.approx(0.1)


def test_layers_that_cannot_take_keys_are_refused(maya, apply):
    apply(["face_ctrl.slider00"], [[0.1]], layer="face_v001")
    assert "choose a layer" in refused(apply, ["face_ctrl.slider00"], [[0.2]], layer=None)
    maya.cmds.animLayer("face_v001", edit=True, lock=True)
    assert "is a locked layer" in refused(apply, ["face_ctrl.slider00"], [[0.2]], layer="face_v001")
    maya.cmds.animLayer("face_v001", edit=True, lock=False, override=False)
    assert "is an additive layer" in refused(apply, ["face_ctrl.slider00"], [[0.2]], layer="face_v001")
    assert "is no animation layer" in refused(apply, ["face_ctrl.slider00"], [[0.2]], layer="hero:jaw_ctrl")


def test_a_curve_that_drives_something_else_too_is_not_written_over(maya, apply):
    apply(["face_ctrl.slider00"], [[0.1]], layer=None)
    maya.cmds.connectAttr("hero_face_ctrl_slider00.output", "hero:face_ctrl.slider01")
    said = refused(apply, ["face_ctrl.slider00"], [[0.2]], layer=None)
    assert "shares its curve with hero:face_ctrl.slider01" in said
    apply(["face_ctrl.slider00"], [[0.2]])
    assert value(maya, "face_ctrl.slider01", 1001) == pytest.approx(0.1)


def test_switches_time_and_selection_are_as_the_artist_left_them(maya, apply):
    maya.cmds.select("hero:jaw_ctrl")
    maya.cmds.currentTime(1017)
    maya.queue.done.clear()
    seen = []
    maya.behaviours["sfumatoApplyCurves"] = spy(maya, seen)
    apply()
    assert seen == [(False, "off", False, True)], "while keys are written, all of it rests"
    state = maya.state
    assert (state.autokey, state.evaluation, state.cycles, state.suspended) == (True, "parallel", True, False)
    assert maya.cmds.currentTime(query=True) == 1017
    assert maya.cmds.ls(selection=True) == ["hero:jaw_ctrl"]
    maya.cmds.undo()
    assert maya.queue.done == [], "switching them back and forth is no step of the artist's"


def spy(maya, seen):
    command, state = maya.commands["sfumatoApplyCurves"], maya.state

    def call(*args, **flags):
        seen.append((state.autokey, state.evaluation, state.cycles, state.suspended))
        return command(*args, **flags)

    return call


def broken(maya, monkeypatch, place):
    """Make one host call fail once it has been reached, as a full disk or a bad node would."""
    if place == "keys":
        target, name, after = maya.modules["maya.api.OpenMayaAnim"].MFnAnimCurve, "addKeys", 30
    elif place == "nodes":
        target, name, after = maya.modules["maya.api.OpenMaya"].MDGModifier, "connect", 30
    else:
        target, name, after = maya.layers, "join", 30
    real, count = getattr(target, name), []

    def fail(*args, **flags):
        count.append(1)
        if len(count) > after:
            raise RuntimeError(f"{place} failed")
        return real(*args, **flags)

    monkeypatch.setattr(target, name, fail)


FAILURES = [(place, layer) for place in ("keys", "nodes", "layer") for layer in ("", "face_v001", None)]


@pytest.mark.parametrize(("place", "layer"), [pair for pair in FAILURES if pair != ("layer", None)])
def test_a_failure_in_the_middle_leaves_nothing_behind(maya, apply, monkeypatch, place, layer):
    if layer:
        apply(["face_ctrl.slider00"], [[0.1]] * 10, layer=layer)
    maya.cmds.select("hero:jaw_ctrl")
    before, steps = maya.snapshot(), len(maya.queue.done)
    broken(maya, monkeypatch, place)
    with pytest.raises(RuntimeError, match=f"{place} failed"):
        apply(layer=layer)
    assert maya.snapshot() == before
    assert maya.queue.depth == 0, "no undo chunk is open"
    monkeypatch.undo()
    while len(maya.queue.done) > steps:
        maya.cmds.undo()
    assert maya.snapshot() == before, "whatever step is left changes nothing"


def test_a_rotation_that_nobody_keys_is_not_covered_by_its_sister(maya, apply):
    maya.layers.rotations_together = True
    apply(["jaw_ctrl.rotateX"], [[5.0]])
    assert value(maya, "jaw_ctrl.rotateX", 1001) == pytest.approx(5)
    maya.cmds.undo()
    apply(["jaw_ctrl.rotateZ"], [[1.0], [2.0]], layer=None)
    before = maya.snapshot()
    said = refused(apply, ["jaw_ctrl.rotateX"], [[5.0]])
    assert "jaw_ctrl.rotateZ: is animated, and joins the layer with its sisters" in said
    assert maya.snapshot() == before
    apply(["jaw_ctrl.rotateX", "jaw_ctrl.rotateZ"], [[5.0, 1.0]])
    assert value(maya, "jaw_ctrl.rotateZ", 1001) == pytest.approx(1)


def test_the_command_itself_takes_a_file_and_undoes(maya, tmp_path):
    from sfumato_plugins import curves

    path = str(tmp_path / "take.json")
    data = maya_faceboard.take([f"hero:{target}" for target in maya.targets[-6:]], 20)
    curves.read(data).save(path)
    before = maya.snapshot()
    assert maya.cmds.sfumatoApplyCurves(path, start=1) == 120
    assert value(maya, "jaw_ctrl.rotateX", 1) == pytest.approx(data["values"][0][0])
    maya.cmds.undo()
    assert maya.snapshot() == before
    with pytest.raises(RuntimeError, match="cannot be read"):
        maya.cmds.sfumatoApplyCurves(str(tmp_path / "gone.json"))
    with pytest.raises(TypeError, match="strt"):
        maya.cmds.sfumatoApplyCurves(path, strt=1)


def test_nothing_is_changed_by_looking(maya):
    from sfumato_maya.plan import make_plan

    from sfumato_plugins import curves

    spoil(maya)
    before, calls = maya.snapshot(), len(strict.calls(maya.cmds))
    plan = make_plan(curves.read(maya_faceboard.take(maya.targets)), None, "hero")
    assert (len(plan.writes), len(plan.stops)) == (48, 4)
    assert maya.snapshot() == before
    looks = {"ls", "listAttr", "nodeType", "objExists"}
    assert {name for name, _, flags in strict.calls(maya.cmds)[calls:] if not flags.get("query")} <= looks


def test_an_undo_that_finds_something_else_is_an_error_in_the_fake(maya):
    edits = Edits()
    edits.swap(maya.state, "autokey", False)
    maya.state.autokey = "changed behind its back"
    with pytest.raises(AssertionError, match="autokey"):
        edits.undo()
