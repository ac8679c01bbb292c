"""Curves in and out of files, and fewer keys."""

import dataclasses
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import InputError, RequestError
from sfumato.face.curves import Curves, load_curves, save_curves
from sfumato.face.reduce import reduce

NAMES = ("jawOpen", "mouthClose", "face_ctrl.browUp")


def curves(frames=30, start=1001.0, step=1.0, fps=24.0, seed=1, **more):
    noise = torch.Generator().manual_seed(seed)
    values = torch.rand(frames, 3, generator=noise, dtype=torch.float64).cumsum(0) / frames
    return Curves(NAMES, tuple(round(start + i * step, 6) for i in range(frames)), values, fps, **more)


@pytest.fixture
def miller(data):
    return data / "face" / "livelink_miller" / "MySlate_3.csv"


def test_a_live_link_take_comes_back_to_the_byte(miller, tmp_path):
    take = load_curves(miller)
    assert (len(take.names), len(take.frames), take.fps) == (61, 328, 60.0)
    assert (take.names[0], take.names[-1]) == ("eyeBlinkLeft", "rightEyeRoll")
    assert take.frames[:2] == (115747.867, 115748.868)
    assert take.values[0, 0] == 0.0491091609
    save_curves(take, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == miller.read_bytes()


@pytest.mark.parametrize("suffix", ["json", "usda", "usdc", "anim"])
def test_a_real_take_passes_through_every_format_without_loss(miller, tmp_path, suffix):
    pytest.importorskip("pxr", reason="usd-core is not installed (pip install sfumato[face])")
    take = load_curves(miller)
    take = dataclasses.replace(take, locked=frozenset({(take.frames[3], "jawOpen")}))
    save_curves(take, tmp_path / f"take.{suffix}")
    back = load_curves(tmp_path / f"take.{suffix}")
    assert torch.equal(back.values, take.values)
    assert (back.names, back.frames, back.fps) == (take.names, take.frames, take.fps)
    if suffix != "anim":
        assert (back.locked, back.about) == (take.locked, take.about)
        save_curves(back, tmp_path / "again.csv")
        assert (tmp_path / "again.csv").read_bytes() == miller.read_bytes()


@given(
    values=st.lists(st.floats(-50, 50), min_size=3, max_size=3),
    frame=st.integers(0, 24 * 3600 * 60 - 2),
    fraction=st.integers(0, 999),
)
def test_any_number_and_any_time_pass_through_live_link(tmp_path_factory, values, frame, fraction):
    path = tmp_path_factory.mktemp("live") / "take.csv"
    frames = (frame + fraction / 1000, frame + fraction / 1000 + 1)
    there = Curves(("jawOpen", "a", "b"), frames, torch.tensor([values, values], dtype=torch.float64), 60.0)
    save_curves(there, path)
    back = load_curves(path, fps=60)
    assert torch.equal(back.values, there.values)
    assert back.frames == pytest.approx(frames, abs=1e-9)


@pytest.mark.parametrize("rate", [24, 25, 30, 60])
def test_the_rate_of_a_live_link_take_is_where_its_timecode_rolls_over(tmp_path, rate):
    save_curves(curves(frames=2 * rate, start=rate * 7, fps=float(rate)), tmp_path / "take.csv")
    assert load_curves(tmp_path / "take.csv").fps == rate


def test_rows_in_which_no_face_was_seen_are_no_samples(tmp_path):
    save_curves(curves(frames=4), tmp_path / "take.csv")
    lines = (tmp_path / "take.csv").read_text().splitlines()
    lines[2] = lines[2].split(",")[0] + ",0"
    (tmp_path / "take.csv").write_text("\n".join(lines))
    assert load_curves(tmp_path / "take.csv", fps=24).frames == (1001.0, 1003.0, 1004.0)


def test_one_control_and_the_locked_keys_can_be_asked_for():
    there = curves(locked=frozenset({(1003.0, "mouthClose")}))
    assert torch.equal(there.of("mouthClose"), there.values[:, 1])
    assert torch.nonzero(there.lock_mask()).tolist() == [[2, 1]]
    fewer = there.only(["mouthClose", "tongueOut"])
    assert torch.equal(fewer.values[:, 0], there.values[:, 1])
    assert not fewer.values[:, 1].any()
    assert fewer.locked == there.locked
    with pytest.raises(RequestError, match="have no nose"):
        there.of("nose")


@pytest.mark.parametrize("tolerance", [0.0, 1e-4, 2e-3, 0.05])
def test_keys_that_are_left_out_stay_within_the_tolerance(miller, tolerance):
    take = load_curves(miller)
    fewer = reduce(take, tolerance)
    played = fewer.played()
    assert (played.values - take.values).abs().max() <= tolerance + 1e-12
    for k, rows in enumerate(fewer.keys.values()):
        assert (rows[0], rows[-1]) == (0, 327)
        assert torch.equal(played.values[list(rows), k], take.values[list(rows), k])


def test_a_fifth_of_the_keys_is_enough_for_two_thousandths(miller):
    take = load_curves(miller)
    assert reduce(take, 2e-3).count < 0.21 * take.values.numel()


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60), st.floats(0, 0.5))
def test_any_curve_stays_within_any_tolerance(values, tolerance):
    there = Curves(("a",), tuple(map(float, range(len(values)))), torch.tensor(values).double()[:, None], 24.0)
    assert (reduce(there, tolerance).played().values - there.values).abs().max() <= tolerance + 1e-9


def test_a_straight_line_has_two_keys_and_a_locked_one_stays(tmp_path):
    line = torch.linspace(0, 1, 30, dtype=torch.float64)[:, None].repeat(1, 3)
    there = dataclasses.replace(curves(), values=line, locked=frozenset({(1011.0, "jawOpen")}))
    fewer = reduce(there, 1e-9)
    assert fewer.keys == {"jawOpen": (0, 10, 29), "mouthClose": (0, 29), NAMES[2]: (0, 29)}
    fewer.save_anim(tmp_path / "take.anim")
    text = (tmp_path / "take.anim").read_text()
    assert text.count("linear linear") == 7
    assert "anim browUp browUp face_ctrl 0 0 0;" in text
    back = load_curves(tmp_path / "take.anim")
    assert torch.allclose(back.values, there.values, atol=1e-12)
    assert back.frames == there.frames


def test_maya_has_names_for_ntsc_rates_and_none_for_odd_ones(tmp_path):
    save_curves(curves(fps=24000 / 1001), tmp_path / "take.anim")
    assert "timeUnit 23.976fps;" in (tmp_path / "take.anim").read_text()
    assert load_curves(tmp_path / "take.anim").fps == 24000 / 1001
    with pytest.raises(RequestError, match="no time unit of 37"):
        save_curves(curves(fps=37.0), tmp_path / "take.anim")


def anim(*keys):
    lines = ["animVersion 1.1;", "timeUnit film;", "anim jaw jaw face 0 0 0;", "animData {", "keys {", *keys, "}", "}"]
    lines += ["anim brow brow face 0 0 1;", "animData {", "keys {", "1 0 linear linear 1 1 0;", "}", "}"]
    return "\n".join(lines)


def test_a_step_key_holds_and_curves_of_other_keys_are_read_at_every_frame(tmp_path):
    keys = ("1 0.5 linear step 1 1 0;", "3.5 1 linear linear 1 1 0;", "5.5 0 linear linear 1 1 0;")
    (tmp_path / "t.anim").write_text(anim(*keys))
    back = load_curves(tmp_path / "t.anim")
    assert back.frames == (1.0, 2.0, 3.0, 3.5, 4.0, 5.0, 5.5)
    assert back.of("jaw").tolist() == [0.5, 0.5, 0.5, 1.0, 0.75, 0.25, 0.0]
    assert not back.of("brow").any()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "frame,a.x,a.y,a.z\n1,2,3,4", "no Live Link Face CSV"),
        ("t.csv", "Timecode,BlendShapeCount,JawOpen\n", "empty take"),
        ("t.csv", "Timecode,BlendShapeCount,JawOpen\n1:2,1,0.5", "'1:2' is no timecode"),
        ("t.csv", "Timecode,BlendShapeCount,JawOpen\n00:00:01:05,1,x", "'x' in the row of '00:00:01:05'"),
        ("t.csv", "Timecode,BlendShapeCount,JawOpen\n00:00:01:05,1,", "jawOpen has no value"),
        ("t.csv", "Timecode,BlendShapeCount,A\n00:00:01:05,1,1\n00:00:01:05,1,1", "does not come after"),
        ("t.anim", "hello", "does not start with animVersion"),
        ("t.anim", "animVersion 1.1;\ntimeUnit film;", "holds no keys"),
        ("t.anim", "animVersion 1.1;\ntimeUnit fortnight;", "'fortnight' is no rate"),
        ("t.anim", anim("1 0 auto auto 1 1 0;"), "jaw has tangents of type auto at 1"),
        ("t.anim", anim("1 zero"), "'1 zero' is no key of jaw"),
        ("t.usda", "#usda 1.0\n", "animates no blend shapes"),
        ("t.json", '{"schema": "sfumato.markers/1"}', "where 'sfumato.curves/1' is wanted"),
    ],
)
def test_a_wrong_file_is_told_what_is_wrong_with_it(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as error:
        load_curves(tmp_path / name)
    assert said in str(error.value)
    assert error.value.hint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fps": 0}, "fps is 0"),
        ({"frames": [1, 1]}, "frame 1 comes after 1"),
        ({"names": ["a", "a"]}, "'a' is there more than once"),
        ({"values": [[1, 2]]}, "1 rows of values for 2 frames"),
        ({"values": [[1, 2], [1]]}, "frame 2 has 1 entries for 2 names"),
        ({"values": [[1, 2], [1, None]]}, "b at frame 2 is None"),
        ({"locked": [[3, "a"]]}, "locked [3, 'a']"),
        ({"colour": 1}, "'colour' is not a field"),
        ({"frames": [], "values": []}, "is empty"),
    ],
)
def test_a_wrong_curves_json_names_the_frame_and_the_control(tmp_path, change, said):
    right = {"schema": "sfumato.curves/1", "fps": 24, "frames": [1, 2], "names": ["a", "b"], "values": [[0, 1], [0, 1]]}
    (tmp_path / "c.json").write_text(json.dumps({**right, **change}))
    with pytest.raises(InputError) as error:
        load_curves(tmp_path / "c.json")
    assert said in str(error.value)


def test_the_file_is_the_one_that_maya_and_the_command_line_read(tmp_path):
    from sfumato_plugins.curves import load

    there = curves(step=0.4, locked=frozenset({(1001.4, "jawOpen")}), about={"take": "t03"})
    save_curves(there, tmp_path / "c.json")
    theirs = load(str(tmp_path / "c.json"))
    assert theirs.frames == there.frames
    assert theirs.locked == ((1001.4, "jawOpen"),)
    assert [list(row) for row in theirs.values] == there.values.tolist()
    theirs.save(str(tmp_path / "d.json"))
    assert torch.equal(load_curves(tmp_path / "d.json").values, there.values)


def test_numbers_that_are_not_finite_are_not_written(tmp_path):
    broken = curves()
    broken.values[3, 1] = torch.inf
    with pytest.raises(InputError, match="no finite numbers"):
        save_curves(broken, tmp_path / "c.json")
    with pytest.raises(RequestError, match="no file of curves by its name"):
        save_curves(curves(), tmp_path / "c.fbx")
    assert not list(tmp_path.iterdir())
