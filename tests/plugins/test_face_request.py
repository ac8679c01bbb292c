"""Wrong inputs to `sfumato face`: each has its exit code and a sentence that says what to do, and no traceback."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from sfumato.face.curves import load_curves
from sfumato.face.markers import save_markers
from sfumato.face.rig import NativeRig
from sfumato.face.rig_files import save_rig
from sfumato_plugins.cli import main


def refused(arguments, capsys):
    code = main(arguments)
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return code, text


def test_training_records_who_it_is_and_another_actor_is_refused(head, solved, tmp_path, capsys):
    out = tmp_path / "actor.safetensors"
    train = ["face", "train", "--rig", str(head / "head.npz"), "--frames", f"{solved}@1001-1024", "--samples", "60",
             "--epochs", "1", "--actor", "Ada", "--consent", "HR-1", "--out", str(out), "--json"]  # fmt: skip
    assert main(train) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["frames"], done["actor"], done["consent"]) == (24, "Ada", "HR-1")
    assert done["date"]
    assert done["learned_from"]
    more = ("--solver", out, "--actor", "Bea")
    code, text = refused([*head.words(tmp_path / "v001", *more)], capsys)
    assert (code, "was trained on Ada, and this take is of Bea" in text) == (2, True)
    assert main([*head.words(tmp_path / "v001", *more, "--other-actor")]) == 0
    result = json.loads((tmp_path / "v001" / "solve.result.json").read_text())
    assert "actor.safetensors sha256:" in result["trained_weights"]
    assert "consent HR-1" in result["trained_weights"]


def spoilt(head, path, **changes):
    save_markers(replace(head.markers, **changes), path)
    return path


def as_csv(head, path, scale=1.0, names=None):
    """A take as a spreadsheet that says neither units nor rate."""
    rows = ["frame," + ",".join(f"{n}_{a}" for n in (names or head.markers.names) for a in "xyz")]
    for at, row in enumerate(head.markers.positions.tolist()):
        rows.append(f"{at}," + ",".join("" if v != v else f"{v * scale:.5f}" for p in row for v in p))
    path.write_text("\n".join(rows))
    return path


def test_wrong_units_are_2_and_the_right_ones_are_named(head, tmp_path, capsys):
    take = as_csv(head, tmp_path / "t.csv", scale=10.0)
    code, text = refused(head.words(tmp_path / "o", "--units", "cm", "--fps", "60", markers=take), capsys)
    assert (code, "--units mm" in text) == (2, True)
    assert main(head.words(tmp_path / "o", "--units", "mm", "--fps", "60", "--stage", "stabilise", markers=take)) == 0


def test_a_rate_that_cannot_be_is_2(head, tmp_path, capsys):
    code, text = refused(head.words(tmp_path / "o", "--fps", "23.976"), capsys)
    assert code == 2
    assert "60" in text
    assert "23.97" in text


def test_a_take_of_nothing_seen_is_3(head, tmp_path, capsys):
    take = spoilt(head, tmp_path / "t.json", positions=torch.full_like(head.markers.positions, float("nan")))
    code, text = refused(head.words(tmp_path / "o", markers=take), capsys)
    assert (code, "no marker is seen" in text) == (3, True)


def test_an_empty_take_is_3(head, tmp_path, capsys):
    take = tmp_path / "t.json"
    take.write_text('{"schema": "sfumato.markers/1", "fps": 60, "frames": [], "names": ["chin"], "positions": []}')
    code, text = refused(head.words(tmp_path / "o", markers=take), capsys)
    assert (code, "empty take" in text) == (3, True)


def test_markers_that_the_rig_does_not_know_are_3_and_both_sides_are_named(head, tmp_path, capsys):
    names = tuple(f"x{i}" for i in range(len(head.markers.names)))
    take = spoilt(head, tmp_path / "t.json", names=names)
    code, text = refused(head.words(tmp_path / "o", markers=take), capsys)
    assert code == 3
    assert "m00" in text


def test_a_rig_without_a_jaw_is_said_and_solved_all_the_same(head, tmp_path, capsys):
    rig = head.rig
    rows = [i for i, name in enumerate(rig.controls) if name.startswith("brow")]
    only = NativeRig(
        tuple(rig.controls[i] for i in rows), rig.neutral, rig.faces, rig.deltas[rows], markers=rig.markers
    )
    save_rig(only, tmp_path / "brows.npz")
    code = main([*head.words(tmp_path / "o", rig=tmp_path / "brows.npz"), "--progress", "terminal"])
    assert (code, "has no jaw" in capsys.readouterr().err) == (0, True)
    assert load_curves(tmp_path / "o" / "curves.json").names == only.controls


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--markers", "nowhere.c3d"), 3, "not one file is there"),
        (("--rig", "nowhere.npz"), 3, "not one file is there"),
        (("--markers", "MOV"), 2, "no file of markers"),
        (("--timecode", "noon"), 2, "no timecode"),
        (("--method", "staged"), 2, "need a trained solver"),
        (("--export", "take.fbx"), 2, "nothing that curves are written to"),
        (("--html", "page.pdf"), 2, "no page"),
        (("--stage", "jaw", "--export", "take.anim"), 2, "nothing is exported after the stage jaw"),
    ],
)
def test_what_cannot_be_asked_for_is_a_sentence(head, tmp_path, capsys, more, code, said):
    (tmp_path / "take.mov").touch()
    found, text = refused(
        [*head.words(tmp_path / "o"), *(w.replace("MOV", f"{tmp_path}/take.mov") for w in more)], capsys
    )
    assert (found, said in text) == (code, True), text
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (("edit", "NOWHERE", "--control", "jawOpen", "--frame", "1", "--value", "0"), 3, "there is no solve in"),
        (("edit", "DIR", "--control", "jawOpne", "--frame", "1001", "--value", "0"), 2, "did you mean 'jawOpen'"),
        (("edit", "DIR", "--control", "jawOpen", "--frame", "1", "--value", "0"), 2, "no frame 1"),
        (("edit", "DIR", "--control", "jawOpen", "--frame", "1001", "--value", "7"), 2, "outside the limits"),
        (("edit", "DIR", "--frame", "1001"), 2, "--control and --value must be given"),
        (("report", "NOWHERE", "--html", "p.html"), 3, "there is no solve in"),
        (("report", "DIR", "--html", "p.html", "--reference", "no.####.jpg"), 3, "not one file is there"),
        (("retarget", "DIR", "--rig", "nowhere.npz", "--out", "x"), 3, "is not there"),
        (("train", "--rig", "R", "--frames", "NOWHERE", "--out", "s.safetensors"), 3, "there is no solve in"),
        (("train", "--rig", "R", "--frames", "DIR@1", "--out", "s.safetensors"), 2, "has no frame 1"),
        (("train", "--rig", "R", "--frames", "DIR", "--out", "s.pt"), 2, "does not end in .safetensors"),
    ],
)
def test_every_command_refuses_with_a_sentence(head, solved, tmp_path, capsys, monkeypatch, given, code, said):
    monkeypatch.chdir(tmp_path)
    names = {"NOWHERE": str(tmp_path / "nowhere"), "DIR": str(solved), "R": str(head / "head.npz")}
    filled = [names.get(word, word.replace("DIR@", f"{solved}@")) for word in given]
    found, text = refused(["face", *filled], capsys)
    assert (found, said in text) == (code, True), text


def test_a_lock_is_not_lost_in_passing_and_a_key_between_samples_says_where_it_went(head, solved, tmp_path, capsys):
    out = shutil.copytree(solved, tmp_path / "v001")
    edit = ["face", "edit", str(out), "--control", "jawOpen", "--later", "--frame"]
    assert main([*edit, "1003.4", "--value", "0.4", "--lock"]) == 0
    assert "the key is at 1003, the nearest" in capsys.readouterr().err
    before = (out / "edits.json").read_bytes()
    code, text = refused([*edit, "1003", "--value", "0.2"], capsys)
    assert (code, "jawOpen is locked at frame 1003, on 0.4" in text, "--clear" in text) == (2, True, True)
    assert (out / "edits.json").read_bytes() == before
    assert main([*edit, "1003", "--value", "0.2", "--lock"]) == 0
    assert json.loads((out / "edits.json").read_text())["keys"] == [[1003, "jawOpen", 0.2, True]]


def test_check_opens_the_take_the_rig_and_the_solver_and_lists_all_that_is_wrong(head, tmp_path, capsys):
    take = spoilt(head, tmp_path / "t.c3d", positions=head.markers.positions)
    for name in ("rig.npz", "s.safetensors"):
        (tmp_path / name).write_bytes(b"not what the name says")
    job = str(tmp_path / "job.json")
    more = ("--solver", tmp_path / "s.safetensors", "--fps", "23.976", "--save-job", job)
    assert main(head.words(tmp_path / "o", *more, markers=take, rig=tmp_path / "rig.npz")) == 0
    capsys.readouterr()
    assert main(["check", job, "--json"]) == 2
    found = {one["where"]: one["what"] for one in json.loads(capsys.readouterr().out)["problems"]}
    assert "rig.npz" in found["inputs.rig"]
    assert "23.97" in found["inputs.markers"]
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda m: replace(m, names=tuple(f"x{i}" for i in range(len(m.names)))), "no frame has 4 markers that sit"),
        (lambda m: replace(m, positions=torch.full_like(m.positions, float("nan"))), "no marker is seen"),
    ],
)
def test_check_and_solve_refuse_a_take_in_the_same_words_and_leave_nothing(head, tmp_path, capsys, spoil, said):
    take, job = tmp_path / "t.json", str(tmp_path / "job.json")
    save_markers(spoil(head.markers), take)
    assert main(head.words(tmp_path / "o", "--save-job", job, markers=take)) == 0
    capsys.readouterr()
    assert main(["check", job]) == 3
    assert said in capsys.readouterr().out
    code, text = refused(head.words(tmp_path / "o", markers=take), capsys)
    assert (code, said in text) == (3, True)
    assert not (tmp_path / "o").exists()


def test_a_solver_of_another_rig_is_2_and_says_what_is_not_there(head, solved, tmp_path, capsys):
    out = tmp_path / "actor.safetensors"
    train = ["--rig", head / "head.npz", "--frames", f"{solved}@1001-1008", "--samples", "60", "--epochs", "1"]
    assert main(["face", "train", *map(str, train), "--out", str(out), "--progress", "quiet"]) == 0
    rig = head.rig
    fewer = replace(rig, controls=("chinWrinkle", *rig.controls[1:]), combinations=(), between=(), jaw=None)
    save_rig(fewer, tmp_path / "other.npz")
    code, text = refused(head.words(tmp_path / "o", "--solver", out, rig=tmp_path / "other.npz"), capsys)
    assert (code, "trained on another rig" in text, "chinWrinkle" in text) == (2, True, True), text
    assert not (tmp_path / "o").exists()
