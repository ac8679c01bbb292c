"""Curves, markers and control maps as files, and what Maya reads of them without us."""

import json
import math
import pathlib
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_plugins import control_map, curves, markers, takes
from sfumato_plugins.cli import main
from sfumato_plugins.control_map_lines import is_target
from sfumato_plugins.curves_maya_files import anim_text, curve_names, ma_text, time_unit
from sfumato_plugins.errors import JobError

sys.path.append(str(pathlib.Path(__file__).parents[1] / "hosts"))
from parsers import ma

TAKE = {
    "schema": "sfumato.curves/1",
    "fps": 30.0,
    "frames": [1001, 1001.5, 1002],
    "names": ["jawOpen", "mouthLeft", "mouthRight"],
    "values": [[0.0, 0.25, 0.0], [0.5, 0.1, 0.2], [1.2, 0.0, 0.7]],
    "locked": [[1001, "jawOpen"]],
    "about": {"take": "ab_010_t03", "timecode": "01:00:00:00"},
}
MAP = {
    "schema": "sfumato.map/1",
    "controls": [
        {"control": "jawOpen", "target": "jaw_ctrl.rotateX", "scale": 25, "limits": [0, 25]},
        {"control": "mouthLeft", "target": "mouth_ctrl.translateX"},
        {"control": "mouthRight", "target": "mouth_ctrl.translateX", "scale": -1},
    ],
}


def wrong(data, reader=curves.read):
    """All that the reader says is wrong, as one text."""
    with pytest.raises(JobError) as caught:
        reader(data)
    return str(caught.value)


def test_curves_come_back_from_their_file_as_they_went(tmp_path):
    take = curves.read(TAKE)
    take.save(str(tmp_path / "t.json"))
    assert curves.load(str(tmp_path / "t.json")) == take
    assert take.of("mouthRight") == (0.0, 0.2, 0.7)
    assert [p.name for p in tmp_path.iterdir()] == ["t.json"], "nothing is left beside the file"


def test_a_saved_file_has_a_frame_a_line_and_is_plain_json(tmp_path):
    curves.read(TAKE).save(str(tmp_path / "t.json"))
    text = (tmp_path / "t.json").read_text()
    assert "  [0.5, 0.1, 0.2],\n" in text
    assert json.loads(text)["frames"] == [1001, 1001.5, 1002]


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_any_finite_curves_survive_the_file(tmp_path_factory, frames, names, data):
    path = str(tmp_path_factory.mktemp("curves") / "t.json")
    rows = data.draw(st.lists(st.tuples(*[finite] * names), min_size=frames, max_size=frames))
    take = curves.Curves(24.0, tuple(range(frames)), tuple(f"c{i}" for i in range(names)), tuple(rows))
    take.save(path)
    assert curves.load(path) == take


def test_everything_wrong_with_the_head_is_said_at_once():
    said = wrong({"schema": TAKE["schema"], "fps": 0, "frames": [2, 1], "names": ["a", "a"], "vales": [[1]]})
    for part in ("'values'", "0 is no rate", "1 after 2", "more than once: a"):
        assert part in said


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"values": [[0, 0, 0]]}, "1 rows for 3 frames"),
        ({"values": [[0, 0], [0, 0, 0], [0, 0, 0]]}, "frame 1001: 2"),
        ({"values": [[0, 0, 0], [0, math.nan, 0], [0, 0, None]]}, "mouthLeft at frame 1001.5: nan"),
        ({"values": [[0, 0, True]] * 3}, "mouthRight at frame 1001: True and"),
        ({"locked": [[1001, "jawOpen"], [7, "jawOpen"], [1001, "chin"], "x", [{}, []]]}, "[7, 'jawOpen']"),
        ({"names": ["a", "", " b"]}, "'', ' b'"),
        ({"frames": [1, math.inf, 3]}, "entry 2: inf"),
        ({"frames": []}, "at least one frame"),
        ({"fps": 10**400}, "is no rate"),
        ({"schema": "sfumato.curves/2"}, "newer sfumato"),
        ({"about": 3}, "about"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change, part):
    assert part.replace(" and", "") in wrong({**TAKE, **change})


@pytest.mark.parametrize("name", ['a.b";system("x', "a.b;c", "a\\.b", "a b.c", ".b", "a.", "a", 7])
def test_a_name_that_maya_would_not_read_as_one_attribute_is_no_target(name):
    assert is_target("hero:face|hero:jaw.weight[0]")
    assert not is_target(name)


def test_a_file_that_is_cut_off_or_not_there_is_an_input_problem(tmp_path):
    (tmp_path / "cut.json").write_text(json.dumps(TAKE)[:40])
    for name in ("cut.json", "gone.json"):
        with pytest.raises(JobError) as caught:
            curves.load(str(tmp_path / name))
        assert caught.value.exit_code == 3


def test_markers_keep_what_is_unseen(tmp_path):
    data = {"schema": "sfumato.markers/1", "fps": 120, "frames": [1, 2], "names": ["chin"]}
    found = markers.read({**data, "positions": [[[0.1, 2, -3]], [None]]})
    found.save(str(tmp_path / "m.json"))
    assert markers.load(str(tmp_path / "m.json")) == found
    assert found.positions[1] == (None,)
    assert "chin at frame 2: [1, 2]" in wrong({**data, "positions": [[None], [[1, 2]]]}, markers.read)
    assert "nan" in wrong({**data, "positions": [[None], [[1, 2, math.nan]]]}, markers.read)


@pytest.mark.parametrize(
    ("fps", "exact"),
    [(23.98, 24000 / 1001), (23.976, 24000 / 1001), (29.97, 30000 / 1001), (24, 24), (119.88, 120000 / 1001)],
)
def test_a_rate_is_what_is_meant_by_it(fps, exact):
    assert takes.exact_fps(fps) == exact


def test_a_take_lands_on_the_timeline_by_seconds():
    assert takes.on_timeline([1001, 1061], 59.94, 24) == [1001.0, 1001 + 60 * 24 * 1001 / 60000]
    assert takes.on_timeline([7, 8, 9.5], 24, 24, 1001) == [1001, 1002, 1003.5]
    assert takes.on_timeline([0, 1], 23.98, 24000 / 1001) == [0, 1]


def test_two_lines_make_a_two_way_slider_and_limits_hold_it():
    driven, notes = control_map.read(MAP).drive(curves.read(TAKE))
    jaw, mouth = driven
    assert (jaw.kind, mouth.kind, notes) == ("angle", "distance", [])
    assert mouth.values == pytest.approx((0.25, -0.1, -0.7))
    held, note = jaw.held()
    assert held.values == (0, 12.5, 25)
    assert "1 of 3 frames" in note.what
    assert "the furthest is 30" in note.what
    assert mouth.held() == (mouth, None)


def test_what_map_and_curves_do_not_share_is_said():
    lines = [*MAP["controls"][:1], {"control": "moutLeft", "target": "a.b"}]
    _, notes = control_map.read({**MAP, "controls": lines}).drive(curves.read(TAKE))
    said = "\n".join(map(str, notes))
    assert "mouthLeft: has curves, and the map has no line for it\n  did you mean 'moutLeft'?" in said
    assert "moutLeft: is in the map, and the curves have no such control" in said


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ({"control": "a", "target": "b"}, "node.attribute"),
        ({"control": "", "target": "a.b"}, "names no control"),
        ({"control": "a", "target": "a.b", "scale": 0}, "scale 0"),
        ({"control": "a", "target": "a.b", "offset": "1"}, "offset '1'"),
        ({"control": "a", "target": "a.b", "limits": [1, 0]}, "limits [1, 0]"),
        ({"control": "a", "target": "a.b", "kind": "angel"}, "kind 'angel'"),
        ({"control": "a", "target": "a.b", "sacle": 2}, "did you mean 'scale'?"),
        ("a", "no object"),
        ({"control": "jawOpen", "target": "jaw_ctrl.rotateX"}, "drives jaw_ctrl.rotateX twice"),
        ({"control": "x", "target": "jaw_ctrl.rotateX", "limits": [0, 9]}, "different limits"),
    ],
)
def test_a_wrong_line_of_a_map_is_named(line, part):
    assert part in wrong({**MAP, "controls": [*MAP["controls"], line]}, control_map.read)


def test_a_map_comes_back_from_its_file(tmp_path):
    made = control_map.read(MAP)
    made.save(str(tmp_path / "map.json"))
    assert control_map.load(str(tmp_path / "map.json")) == made


def test_a_namespace_goes_before_every_node_of_a_path():
    assert control_map.in_namespace("|face|jaw.rotateX", "hero:") == "|hero:face|hero:jaw.rotateX"
    assert control_map.in_namespace("prop:a.b", "x:y") == "x:y:prop:a.b"
    assert control_map.in_namespace("a.b", "") == "a.b"


def driven():
    found, _ = control_map.read(MAP).drive(curves.read(TAKE))
    return found


def read_anim(text):
    """{node.attribute: (output, [(time, value)])} of a .anim file, by its grammar."""
    head, *blocks = re.split(r"^anim (?=\S)", text, flags=re.M)
    assert re.match(r"animVersion 1\.1;\nmayaVersion \d+;\ntimeUnit \w+;\nlinearUnit cm;\nangularUnit deg;\n", head)
    found = {}
    for block in blocks:
        full, leaf, node = re.match(r"(\S+) (\S+) (\S+) \d+ \d+ \d+;\n", block).groups()
        assert full.rpartition(".")[2] == leaf
        output = re.search(r"^  output (\w+);$", block, re.M)[1]
        keys = re.findall(r"^    (\S+) (\S+) linear linear 1 1 0;$", block, re.M)
        assert block.rstrip().endswith("  }\n}")
        found[f"{node}.{leaf}"] = (output, [(float(t), float(v)) for t, v in keys])
    return found


def test_an_anim_file_gives_the_same_values_back():
    found = read_anim(anim_text(driven(), [1001, 1001.5, 1002], 30))
    assert list(found) == ["jaw_ctrl.rotateX", "mouth_ctrl.translateX"]
    assert [output for output, _ in found.values()] == ["angular", "linear"]
    for one in driven():
        assert found[one.target][1] == list(zip((1001, 1001.5, 1002), one.values, strict=True))


def test_a_maya_ascii_file_parses_and_gives_the_same_values_back():
    text = ma_text(driven(), [1001, 1001.5, 1002], 23.98, connect=True)
    found = ma.parse(text)
    assert {curve.kind for curve in found.values()} == {"animCurveTA", "animCurveTL"}
    assert "-t 23.976fps;" in text
    for one in driven():
        curve = found[curve_names([one.target])[one.target]]
        assert curve.keys == list(zip((1001, 1001.5, 1002), one.values, strict=True))
        assert curve.attributes["tan"] == ["2"], "linear"
        assert curve.drives == one.target


def test_52_curves_of_500_keys_survive_both_files():
    names = [f"c.s{i}" for i in range(52)]
    rows = [[math.sin(i + k / 7) for i in range(52)] for k in range(500)]
    take = curves.read({"schema": curves.SCHEMA, "fps": 24, "frames": list(range(500)), "names": names, "values": rows})
    found, _ = control_map.plain_map(take.names).drive(take)
    text, anim = ma.parse(ma_text(found, take.frames, 24)), read_anim(anim_text(found, take.frames, 24))
    for one in found:
        keys = list(zip(map(float, take.frames), one.values, strict=True))
        assert text[curve_names([one.target])[one.target]].keys == keys == anim[one.target][1]


def test_short_names_are_written_long_and_one_key_is_no_range():
    one = control_map.Driven("|a|hero:jaw.rx", "angle", (5.0,))
    assert "anim rotate.rotateX rotateX hero:jaw 0 0 0;" in anim_text([one], [1], 24)
    assert ma.parse(ma_text([one], [1], 24))["hero_jaw_rx"].keys == [(1.0, 5.0)]


def test_a_rate_without_a_time_unit_is_refused_with_a_way_out():
    assert time_unit(59.94) == "59.94fps"
    assert time_unit(25) == "pal"
    with pytest.raises(JobError, match="--fps 24"):
        time_unit(33)


def test_the_command_line_converts_and_says_what_it_did(tmp_path, capsys):
    pytest.importorskip("sfumato", reason="the command line is the engine's Python's, and here is none")
    (tmp_path / "t.json").write_text(json.dumps(TAKE))
    (tmp_path / "m.json").write_text(json.dumps(MAP))
    out = tmp_path / "t.anim"
    more = ["--map", str(tmp_path / "m.json"), "--namespace", "hero", "--fps", "24", "--start", "1"]
    assert main(["curves", "convert", str(tmp_path / "t.json"), str(out), *more]) == 0
    said = capsys.readouterr().out
    assert "2 curves, 3 keys each" in said
    assert "in this order: hero:jaw_ctrl hero:mouth_ctrl\n" in said
    assert read_anim(out.read_text())["hero:jaw_ctrl.rotateX"][1] == [(1.0, 0.0), (1.4, 12.5), (1.8, 25.0)]
    assert main(["curves", "convert", str(tmp_path / "t.json"), str(out)]) == 2
    assert "give a control map" in capsys.readouterr().err
    assert main(["curves", "convert", str(tmp_path / "t.json"), str(tmp_path / "t.fbx"), *more]) == 2
    assert main(["curves", "check", str(tmp_path / "t.json")]) == 0
    assert "3 controls, 3 frames from 1001 to 1002 at 30 a second, 1 values locked" in capsys.readouterr().out
    assert main(["curves", "check", str(tmp_path / "gone.json")]) == 3


def test_controls_that_the_map_misses_are_named_beside_what_is_written(tmp_path, capsys):
    pytest.importorskip("sfumato", reason="the command line is the engine's Python's, and here is none")
    (tmp_path / "t.json").write_text(json.dumps(TAKE))
    short = {**MAP, "controls": [line for line in MAP["controls"] if line["control"] != "mouthRight"]}
    (tmp_path / "m.json").write_text(json.dumps(short))
    words = ["curves", "convert", str(tmp_path / "t.json"), str(tmp_path / "t.ma"), "--map", str(tmp_path / "m.json")]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "mouthRight: has curves, and the map has no line for it" in said.err
    assert "; 1 of 3 controls have no line in the map, left out\n" in said.out
    (tmp_path / "m.json").write_text(json.dumps(MAP))
    assert main(words) == 0
    said = capsys.readouterr()
    assert "the map" not in said.err + said.out
