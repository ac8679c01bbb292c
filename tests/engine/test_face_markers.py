"""Takes of markers in and out of files: what is exact, what is converted, and what a wrong file is told."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch

from sfumato.errors import InputError, RequestError
from sfumato.face.markers import Markers, load_markers, save_markers

C3D = pytest.importorskip("ezc3d", reason="ezc3d is not installed (pip install sfumato[face])")
PXR = pytest.importorskip("pxr", reason="usd-core is not installed (pip install sfumato[face])")


def take(frames=40, count=12, fps=120.0, seed=3, **more):
    """A face-sized cloud that breathes, one marker unseen for ten frames, at whole float32 millimetres."""
    noise = torch.Generator().manual_seed(seed)
    rest = torch.randn(count, 3, generator=noise, dtype=torch.float64) * 4 + torch.tensor([0.0, 150.0, 8.0])
    drift = torch.randn(frames, count, 3, generator=noise, dtype=torch.float64) * 0.2
    positions = ((rest + drift) * 10).float().double() / 10
    positions[5:15, 3] = torch.nan
    return Markers(tuple(f"m{i:02d}" for i in range(count)), positions, fps, **more)


def same(a, b):
    return torch.equal(a.nan_to_num(-7.0), b.nan_to_num(-7.0))


@pytest.mark.parametrize("suffix", ["json", "csv", "c3d", "usda", "usdc"])
def test_a_take_comes_back_from_its_file(tmp_path, suffix):
    there = take(start=1001.0, step=0.2, timecode="10:20:30:12")
    save_markers(there, tmp_path / f"take.{suffix}")
    back = load_markers(tmp_path / f"take.{suffix}")
    exact = there.positions.float().double() if suffix.startswith("usd") else there.positions
    assert same(back.positions, exact)
    assert (back.names, back.fps, back.start, back.step, back.timecode) == (
        there.names,
        there.fps,
        there.start,
        there.step,
        there.timecode,
    )
    assert back.frames == there.frames
    assert back.frames[5] == 1002.0
    assert back.timeline_fps == 24.0


def test_trc_keeps_a_hundred_millionth_of_a_millimetre_and_who_is_unseen(tmp_path):
    there = take(start=12.0, fps=59.94)
    save_markers(there, tmp_path / "take.trc")
    back = load_markers(tmp_path / "take.trc")
    assert torch.allclose(back.positions, there.positions, rtol=0, atol=1e-12, equal_nan=True)
    assert (back.names, back.start) == (there.names, 12.0)
    assert back.fps == 60000 / 1001


def test_trc_says_aloud_what_it_has_no_place_for(tmp_path):
    with pytest.warns(UserWarning, match=r"no place for the timecode 10:00:00:00 and 0\.4 frames of the timeline"):
        save_markers(take(timecode="10:00:00:00", step=0.4), tmp_path / "take.trc")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_markers(take(), tmp_path / "take.trc")


@pytest.mark.filterwarnings("ignore::UserWarning:c3d")
def test_the_other_library_reads_our_c3d_and_we_read_its(tmp_path):
    c3d = pytest.importorskip("c3d", reason="c3d is not installed")
    there = take(start=1001.0)
    save_markers(there, tmp_path / "ours.c3d")
    with open(tmp_path / "ours.c3d", "rb") as file:
        reader = c3d.Reader(file)
        assert (reader.first_frame, reader.last_frame, reader.point_rate) == (1001, 1040, 120.0)
        assert [label.strip() for label in reader.point_labels] == list(there.names)
        points = np.stack([points for _, points, _ in reader.read_frames()])
    seen = there.seen.numpy()
    assert ((points[..., 3] >= 0) == seen).all()
    assert (points[seen][:, :3] == (there.positions.numpy()[seen] * 10).astype(np.float32)).all()
    writer = c3d.Writer(point_rate=120.0)
    writer.set_point_labels(list(there.names))
    for row in there.positions.numpy() * 10:
        cells = np.zeros((len(row), 5), np.float32)
        cells[:, :3] = np.nan_to_num(row)
        cells[:, 3] = np.where(np.isnan(row[:, 0]), -1, 0)
        writer.add_frames([(cells, np.zeros((0, 0)))])
    with open(tmp_path / "theirs.c3d", "wb") as file:
        writer.write(file)
    back = load_markers(tmp_path / "theirs.c3d", units="mm")
    assert same(back.positions, there.positions)


def test_c3d_keeps_four_hundred_names_and_a_start_that_its_header_cannot_count(tmp_path):
    there = take(count=400, frames=3, start=115747.867)
    save_markers(there, tmp_path / "take.c3d")
    back = load_markers(tmp_path / "take.c3d")
    assert (back.names, back.start) == (there.names, 115747.867)


def test_what_points_up_is_turned_and_nothing_is_mirrored(tmp_path):
    there = take(frames=2)
    z_up = dataclasses.replace(there, positions=torch.stack([there.positions[..., i] for i in (0, 2, 1)], -1))
    z_up.positions[..., 1] *= -1
    save_markers(z_up, tmp_path / "take.csv")
    assert same(load_markers(tmp_path / "take.csv", up="z").positions, there.positions)
    with pytest.raises(RequestError, match="no axis that points up"):
        load_markers(tmp_path / "take.csv", up="w")


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_vicon_table_is_read_with_its_rate_its_units_and_its_subject(tmp_path):
    path = write(
        tmp_path / "v.csv",
        *("Trajectories", "120", ",,Mia:lipL,,,Mia:lipR,,,Mia:chin,,,Mia:brow,,,*4,,"),
        *("Frame,Sub Frame," + ",".join(["X,Y,Z"] * 5), ",," + ",".join(["mm"] * 15)),
        *("7,0,-30,0,0,30,0,0,0,-60,1,0,80,0,1,1,1", "9,0,-30,0,0,,,,0,-60,1,0,80,0,1,1,1"),
    )
    back = load_markers(path)
    assert (back.names, back.fps, back.start) == (("lipL", "lipR", "chin", "brow"), 120.0, 7.0)
    assert back.positions[0, 0].tolist() == [-3.0, 0.0, 0.0]
    assert back.seen.tolist() == [[True] * 4, [False] * 4, [True, False, True, True]]
    assert back.notes == ("v.csv: 1 of 5 trajectories have no label and were left out",)


def test_a_motive_table_is_read_without_its_rigid_bodies(tmp_path):
    path = write(
        tmp_path / "m.csv",
        "Format Version,1.23,Capture Frame Rate,120.000000,Export Frame Rate,119.88,Length Units,Meters",
        *(",Type,Marker,Marker,Marker,Rigid Body,Rigid Body,Rigid Body", ",Name,F:lipL,F:lipL,F:lipL,Head,Head,Head"),
        *(",,Position,Position,Position,Position,Position,Position", "Frame,Time (Seconds),X,Y,Z,X,Y,Z"),
        *("0,0.000000,0.1,0.2,0.3,1,1,1", "1,0.008342,0.1,0.2,0.3,1,1,1"),
    )
    back = load_markers(path)
    assert (back.names, back.fps) == (("lipL",), 120000 / 1001)
    assert torch.allclose(back.positions[0, 0], torch.tensor([10.0, 20.0, 30.0]).double())


def test_a_row_for_each_marker_is_read_too(tmp_path):
    rows = ("time;marker;x;y;z", "0;a;1;2;3", "0;b;1;2;4", "0.016683;a;1;2;3", "0.033367;a;1;2;3", "0.033367;b;1;2;3")
    back = load_markers(write(tmp_path / "l.csv", *rows), units="cm")
    assert back.fps == 60000 / 1001
    assert back.seen.tolist() == [[True, True], [True, False], [True, True]]


def test_locators_of_a_stage_are_markers_in_its_units_and_axes(tmp_path):
    path = write(
        tmp_path / "loc.usda",
        '#usda 1.0\n(\n metersPerUnit = 0.001\n timeCodesPerSecond = 60\n upAxis = "Z"\n)',
        'def Xform "Actor"\n{\ndouble3 xformOp:translate = (0, 0, 1500)',
        'uniform token[] xformOpOrder = ["xformOp:translate"]\ndef Xform "lipL"\n{',
        "double3 xformOp:translate.timeSamples = { 1: (0, 1, 2), 2: (10, 20, 30), 4: (1, 1, 1) }",
        'token visibility.timeSamples = { 1: "inherited", 2: "invisible", 4: "inherited" }',
        'uniform token[] xformOpOrder = ["xformOp:translate"]\n}\n}',
    )
    back = load_markers(path)
    assert (back.names, back.fps, back.start) == (("lipL",), 60.0, 1.0)
    assert torch.allclose(back.positions[0, 0], torch.tensor([0.0, 150.2, -0.1]).double())
    assert back.seen[:, 0].tolist() == [True, False, False, True]


def test_markers_that_are_asked_for_and_missing_are_named_with_what_looks_alike():
    there = dataclasses.replace(take(), names=("lipCornerL", *take().names[1:]))
    with pytest.raises(RequestError) as told:
        there.only(["lipCornerR", "m01", "nose"])
    assert "no lipCornerR, nose" in str(told.value)
    assert "lipCornerR may be lipCornerL" in str(told.value)
    wider = there.only(["nose", "m01"], unseen=True)
    assert not wider.seen[:, 0].any()
    assert same(wider.positions[:, 1], there.positions[:, 1])


@pytest.fixture
def saved(tmp_path):
    def save(suffix, **changes):
        path = tmp_path / f"take.{suffix}"
        save_markers(dataclasses.replace(take(), **changes), path)
        return path

    return save


def told(path, **how):
    with pytest.raises((InputError, RequestError)) as error:
        load_markers(path, **how)
    assert error.value.hint, "says what is wrong, and not what to do"
    assert path.name in error.value.message
    return str(error.value)


@pytest.mark.parametrize(
    ("units", "said"),
    [("m", "--units cm"), ("mm", "--units cm"), ("furlong", "say one of mm, cm")],
)
def test_units_that_make_no_face_are_named_with_those_that_do(saved, units, said):
    path = saved("csv")
    if units != "furlong":
        assert "which is no face" in told(path, units=units)
        assert load_markers(path, units=units, check=False).names
    with pytest.raises(RequestError, match=said):
        load_markers(path, units=units)


def test_a_table_without_units_or_rate_asks_for_them(tmp_path):
    path = write(tmp_path / "t.csv", "a.x,a.y,a.z,b.x,b.y,b.z,c.x,c.y,c.z,d.x,d.y,d.z", "0,0,0,90,0,0,0,90,0,0,0,90")
    assert "--units mm would make the face" in told(path, fps=60)
    assert "give --fps" in told(path, units="mm")
    assert load_markers(path, units="mm", fps=23.98).fps == 24000 / 1001


def test_a_take_of_120_is_not_read_at_23_976(saved, tmp_path):
    assert "sampled 120 times a second, and --fps says 23.976" in told(saved("c3d"), fps=23.976)
    text = saved("trc").read_text().replace("120.0\t120.0", "23.976\t23.976", 1)
    assert "its times are those of 120" in told(write(tmp_path / "wrong.trc", text))


def test_unlabelled_markers_are_refused_and_some_are_left_out_with_a_note(saved):
    unlabelled = tuple(f"*{i}" for i in range(12))
    assert "none of its 12 markers has a label" in told(saved("c3d", names=unlabelled))
    some = load_markers(saved("c3d", names=("chin", "lip", *unlabelled[2:])), check=False)
    assert some.names == ("chin", "lip")
    assert "10 of 12" in some.notes[0]


@pytest.mark.parametrize("suffix", ["c3d", "csv", "trc", "usda", "json"])
def test_a_take_in_which_nothing_is_seen_is_refused(saved, suffix):
    nothing = torch.full((40, 12, 3), torch.nan, dtype=torch.float64)
    assert "no marker is seen" in told(saved(suffix, positions=nothing))


@pytest.mark.parametrize(("suffix", "head"), [("csv", 2), ("trc", 6)])
def test_an_empty_take_is_refused(saved, suffix, head):
    path = saved(suffix)
    assert "empty take" in told(write(path, *path.read_text().splitlines()[:head]))


def test_an_empty_take_is_refused_as_json_and_not_written(saved):
    path = saved("json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "frames": [], "positions": []}))
    assert "empty take" in told(path)
    with pytest.raises(InputError, match="the take has no frames"):
        saved("c3d", positions=torch.zeros(0, 12, 3, dtype=torch.float64))


def test_two_markers_of_one_name_are_refused(tmp_path):
    path = write(tmp_path / "t.csv", "chin.x,chin.y,chin.z,chin.x,chin.y,chin.z", "1,2,3,1,2,3")
    assert "chin is a label of more than one marker" in told(path, units="cm", fps=60)


def test_a_marker_that_is_never_seen_is_noted(saved):
    positions = take().positions.clone()
    positions[:, 4] = torch.nan
    assert load_markers(saved("c3d", positions=positions)).notes == ("take.c3d: never seen in this take: m04",)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.c3d", "no c3d", "no C3D file"),
        ("t.trc", "no trc", "does not start with PathFileType"),
        ("t.csv", "a,b,c\n1,2,3", "no columns of marker positions"),
        ("t.csv", "", "an empty file"),
        ("t.csv", "frame,a.x,a.y,a.z\n1,1,2,oops", "'oops' in the row of '1', column 4"),
        ("t.csv", "frame;a.x;a.y;a.z\n1;1,5;2;3", "a decimal comma"),
        ("t.csv", "frame,a.x,a.y,a.z\n2,1,2,3\n1,1,2,3", "frame 1 comes after frame 2"),
        ("t.csv", "frame,X,Y,Z\n2,1,2,3", "no names above"),
        ("t.json", "[1]", "sfumato.markers/1"),
        ("t.json", "{", "is not JSON"),
        ("t.usda", "no usd", "no USD file"),
        ("t.usda", "#usda 1.0\n", "no points and no transforms move"),
    ],
)
def test_a_file_that_is_none_is_told_so(tmp_path, name, text, said):
    assert said in told(write(tmp_path / name, text))


def test_a_json_row_that_is_wrong_is_named_by_frame_and_marker(saved):
    path = saved("json")
    data = json.loads(path.read_text())
    data["positions"][2][1] = [1, 2]
    path.write_text(json.dumps(data))
    assert "m01 at frame 2 is [1, 2]" in told(path)


def test_a_missing_file_and_an_unknown_suffix_are_told_apart(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        load_markers(tmp_path / "none.c3d")
    with pytest.raises(RequestError, match="no marker file by its name"):
        load_markers(tmp_path / "take.fbx")


def test_a_write_that_fails_leaves_the_old_file(saved, tmp_path):
    path = saved("c3d")
    before = path.read_bytes()
    with pytest.raises(RequestError, match="counts to 65535"):
        save_markers(dataclasses.replace(take(), positions=torch.zeros(70000, 12, 3, dtype=torch.float64)), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["take.c3d"]
