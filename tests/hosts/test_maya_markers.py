"""Markers out of a Maya scene: world space, centimetres, Y up, and the timeline does not move."""

import math
import os

import pytest
from fakes import strict
from fakes.maya import Maya
from fakes.maya_scene import LINEAR

FILM = 24


@pytest.fixture
def maya(tmp_path):
    with Maya(home=tmp_path).with_sfumato() as found:
        yield found


def key(maya, attribute, *pairs):
    """Keys of (frame, value in the API's units), linear."""
    attr = maya.scene.attr(attribute)
    curve = maya.commands_of_scene.make("animCurveTL", attribute.replace(".", "_").replace("|", "_"))
    object.__setattr__(curve, "keys", [(maya.scene.ticks(f), v, LINEAR, LINEAR) for f, v in pairs])
    attr.source = curve.attrs["output"]


def marker(maya, name, parent=None, kind="transform", shape=True):
    node = maya.commands_of_scene.make(kind, name, parent)
    if shape and kind == "transform":
        maya.commands_of_scene.make("locator", f"{name}Shape", node)
    return node


def sample(frames, nodes=()):
    from sfumato_maya.markers import sample

    return sample(frames, nodes)


def test_positions_follow_the_parents_and_fall_between_frames(maya):
    head = marker(maya, "hero:head", shape=False)
    chin = marker(maya, "hero:chin", head)
    key(maya, "hero:head.translateX", (1001, 0.0), (1003, 10.0))
    head.attrs["rotateZ"].value = math.radians(90)
    chin.attrs["translateX"].value = 2.0
    found = sample([1001, 1001.5, 1003], ["hero:chin"])
    assert (found.names, found.fps) == (("chin",), FILM)
    for place, x in zip((row[0] for row in found.positions), (0, 2.5, 10), strict=True):
        assert place == pytest.approx((x, 2, 0), abs=1e-12), "turned by the head, then carried"


def test_the_timeline_does_not_move_and_nothing_is_changed(maya):
    marker(maya, "chin")
    key(maya, "chin.translateY", (1001, 0.0), (1100, 99.0))
    maya.cmds.currentTime(1050)
    maya.cmds.select("chin")
    before, calls = maya.snapshot(), len(strict.calls(maya.cmds))
    found = sample([1001 + at / 2 for at in range(199)])
    assert found.positions[-1][0] == pytest.approx((0, 99, 0))
    assert maya.snapshot() == before
    assert "currentTime" not in {name for name, _, _ in strict.calls(maya.cmds)[calls:]}


def test_hidden_is_unseen_whoever_hides_it_and_only_then(maya):
    group = marker(maya, "group", shape=False)
    marker(maya, "chin", group)
    marker(maya, "brow", group)
    key(maya, "chin.visibility", (1001, 1), (1002, 1), (1002.01, 0), (1003, 0))
    found = sample([1001, 1002, 1003], ["chin", "brow"])
    assert [place is None for row in found.positions for place in row] == [False, False, False, False, True, False]
    group.attrs["visibility"].value = False
    assert all(place is None for row in sample([1001], ["chin", "brow"]).positions for place in row)


def test_what_is_no_number_is_unseen(maya):
    marker(maya, "chin").attrs["translateX"].value = math.nan
    assert sample([1001], ["chin"]).positions == ((None,),)


def test_z_up_becomes_y_up_and_metres_stay_centimetres(maya):
    node = marker(maya, "chin")
    node.attrs["translateX"].value, node.attrs["translateY"].value, node.attrs["translateZ"].value = 1.0, 2.0, 3.0
    maya.scene.up = "z"
    maya.cmds.currentUnit(linear="m")
    assert sample([1001], ["chin"]).positions[0][0] == pytest.approx((1, 3, -2))


def test_a_locator_that_lies_beside_its_transform_is_where_it_is_seen(maya):
    node = marker(maya, "chin")
    maya.scene.find("chinShape")[0].attrs["localPositionY"].value = 5.0
    node.attrs["rotateZ"].value, node.attrs["translateX"].value = math.radians(90), 1.0
    maya.cmds.currentUnit(linear="m")
    assert sample([1001], ["chinShape"]).positions[0][0] == pytest.approx((-4, 0, 0), abs=1e-9)


def test_joints_and_what_is_selected_are_taken(maya):
    marker(maya, "a:jnt", kind="joint").attrs["translateX"].value = 3.0
    maya.cmds.select("a:jnt")
    assert sample([1]).positions == (((3.0, 0.0, 0.0),),)


def test_nothing_selected_and_names_that_collide_are_said(maya):
    from sfumato_plugins.errors import JobError

    with pytest.raises(JobError, match="no marker is selected"):
        sample([1])
    marker(maya, "a:chin")
    marker(maya, "b:chin")
    with pytest.raises(JobError, match=r"name of several markers: \|a:chin, \|b:chin"):
        sample([1], ["a:chin", "b:chin"])
    with pytest.raises(JobError, match="0 nodes have this name"):
        sample([1], ["gone"])


def test_the_panel_writes_a_file_that_reads_back(maya, tmp_path):
    from sfumato_plugins import markers

    for at in range(60):
        marker(maya, f"hero:m{at:02d}").attrs["translateY"].value = float(at)
    maya.cmds.select([f"hero:m{at:02d}" for at in range(60)])
    maya.ui.press(maya.ui.entry("sfumatoMenu", "Export Markers..."))
    path = os.path.join(tmp_path, "m.json")
    maya.ui.type("sfumato_markers_file", path)
    maya.ui.type("sfumato_markers_last", 1004.0)
    maya.ui.type("sfumato_markers_step", 0.5)
    maya.ui.press("sfumato_markers_export")
    found = markers.load(path)
    assert (len(found.names), found.frames) == (60, (1001, 1001.5, 1002, 1002.5, 1003, 1003.5, 1004))
    assert found.positions[3][59] == (0, 59, 0)
    assert "60 markers, 7 frames, unseen 0 times" in maya.ui.read("sfumato_markers_status")
    maya.ui.type("sfumato_markers_last", 1.0)
    maya.ui.press("sfumato_markers_export")
    assert "is no range" in maya.ui.read("sfumato_markers_status")
    maya.ui.type("sfumato_markers_last", 1004.0)
    maya.ui.type("sfumato_markers_file", os.path.join(tmp_path, "no", "m.json"))
    maya.ui.press("sfumato_markers_export")
    assert "cannot be written" in maya.ui.read("sfumato_markers_status")
