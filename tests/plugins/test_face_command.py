"""`sfumato face` as artists use it: solve, look, fix a key, go on; wrong inputs, each with its sentence."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from sfumato.face.curves import load_curves
from sfumato.face.demo_performance import demo_performance
from sfumato.face.demo_rig import demo_rig
from sfumato.face.markers import save_markers
from sfumato.face.rig import NativeRig
from sfumato.face.rig_files import save_rig
from sfumato_plugins.cli import main
from sfumato_plugins.ledger import read_journal

FRAMES = 24


@pytest.fixture(scope="session")
def head(tmp_path_factory):
    """A folder with a coarse head of ours, a take of it in two formats, and its truth."""
    folder = tmp_path_factory.mktemp("face")
    rig = demo_rig(40, 44)
    truth, markers, _ = demo_performance(rig, 3, FRAMES)
    save_rig(rig, folder / "head.npz")
    save_markers(markers, folder / "take.json")
    return Head(folder, rig, truth, markers)


class Head:
    """Where a head lies, and what is known of it."""

    def __init__(self, folder, rig, truth, markers):
        self.folder, self.rig, self.truth, self.markers = folder, rig, truth, markers

    def __truediv__(self, name):
        return self.folder / name


@pytest.fixture(scope="session")
def solved(head, tmp_path_factory):
    """A folder of a take that is solved to the end, with its page; never changed by a test."""
    out = tmp_path_factory.mktemp("solved") / "v001"
    page = str(out.parent / "page.html")
    assert main([*words(head, out), "--html", page]) == 0
    return out


def words(head, out, *more, markers=None, rig=None):
    take = str(markers or head / "take.json")
    files = ["--markers", take, "--rig", str(rig or head / "head.npz"), "--out", str(out)]
    return ["face", "solve", *files, "--progress", "quiet", *map(str, more)]


def copy(folder, to):
    import shutil

    shutil.copytree(folder, to)
    return to


def column(folder, name, stage="curves"):
    return load_curves(folder / f"{stage}.json").of(name)


# the way through


def test_a_solve_leaves_a_file_for_every_stage_and_curves_near_the_truth(head, solved):
    for name in ("ingest", "stabilise", "clean", "jaw", "regions", "finetune", "curves", "solve", "job"):
        assert (solved / f"{name}.json").is_file()
    curves = load_curves(solved / "curves.json")
    assert curves.frames == head.truth.frames
    mesh = (head.rig.mesh(curves.values) - head.rig.mesh(head.truth.values)).norm(dim=-1)
    jaw = (curves.of("jawOpen") - head.truth.of("jawOpen")).square().mean().sqrt()
    assert 10 * mesh.mean() < 0.6, "mm; forty frames with a tenth unseen"
    assert jaw < 0.03


def test_the_page_is_one_file_with_everything_on_it(head, solved):
    page = (solved.parent / "page.html").read_text()
    assert "default-src 'none'" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    parts = ("Look at these first", "the solved face", "residual on the skin", "jawOpen", "Every frame", "Markers seen")
    for part in (*parts, "What these markers cannot tell"):
        assert part in page
    assert page.count("data:image/jpeg") >= 3
    first = json.loads((solved / "solve.json").read_text())["first"]
    assert all(f'id="f{frame:g}"' in page for frame, _ in first[:4])


def test_running_it_again_computes_nothing(head, solved, tmp_path, capsys):
    out = copy(solved, tmp_path / "v001")
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".jsonl"}
    assert main([*words(head, out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == {"main": [1]}
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.name in before} == before


def test_stage_by_stage_gives_the_same_bytes_as_all_at_once(head, solved, tmp_path):
    out = tmp_path / "v001"
    for stage in ("stabilise", "clean", "jaw", "regions", "all"):
        assert main(words(head, out, "--stage", stage)) == 0
        assert (out / "curves.json").is_file() == (stage in ("jaw", "regions", "all"))
    assert (out / "finetune.json").read_bytes() == (solved / "finetune.json").read_bytes()
    assert (out / "curves.json").read_bytes() == (solved / "curves.json").read_bytes()


def test_a_locked_key_is_exact_and_only_what_depends_on_it_moves(head, solved, tmp_path, capsys):
    out = copy(solved, tmp_path / "v001")
    edit = ["face", "edit", str(out), "--control", "jawOpen", "--frame", "1003", "--value", "0.4", "--lock"]
    assert main([*edit, "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["stages"] == ["jaw", "regions", "finetune"]
    before, after = load_curves(solved / "curves.json"), load_curves(out / "curves.json")
    assert after.of("jawOpen")[2] == 0.4
    assert (1003.0, "jawOpen") in after.locked
    untouched = [name for name in after.names if name.startswith("brow")]
    assert untouched
    assert all(torch.equal(before.of(name), after.of(name)) for name in untouched)
    assert main(["face", "edit", str(out), "--list"]) == 0
    assert "jawOpen" in capsys.readouterr().out


def test_a_key_that_is_let_go_is_solved_from_the_markers_again(head, solved, tmp_path):
    out = copy(solved, tmp_path / "v001")
    edit = ["face", "edit", str(out), "--control", "jawOpen", "--frame", "1003", "--progress", "quiet"]
    assert main([*edit, "--value", "0.6", "--lock"]) == 0
    assert main([*edit, "--clear"]) == 0
    assert (column(out, "jawOpen") - column(solved, "jawOpen")).abs().max() < 0.02
    assert not load_curves(out / "curves.json").locked


def test_a_key_can_be_noted_first_and_solved_later(head, solved, tmp_path):
    out = copy(solved, tmp_path / "v001")
    edit = ["face", "edit", str(out), "--control", "jawOpen", "--frame", "1003", "--value", "0.4", "--lock", "--later"]
    assert main(edit) == 0
    assert (out / "curves.json").read_bytes() == (solved / "curves.json").read_bytes()
    assert main(words(head, out)) == 0
    assert column(out, "jawOpen")[2] == 0.4


def test_a_stage_changed_by_hand_is_kept_and_those_after_it_follow(head, solved, tmp_path):
    out = copy(solved, tmp_path / "v001")
    jaw = json.loads((out / "jaw.json").read_text())
    at = jaw["names"].index("jawOpen")
    jaw["values"][10][at] += 0.2
    (out / "jaw.json").write_text(json.dumps(jaw))
    changed = (out / "jaw.json").read_bytes()
    assert main(words(head, out)) == 0
    assert (out / "jaw.json").read_bytes() == changed
    assert column(out, "jawOpen", "regions")[10] == pytest.approx(jaw["values"][10][at])
    assert main([*words(head, out)]) == 0
    assert read_journal(str(out / "solve.journal.jsonl"))[-1]["did"] == "kept"


def test_a_take_lies_where_the_timeline_says(head, tmp_path):
    out = tmp_path / "v001"
    given = ("--stage", "jaw", "--start", "2001", "--timeline-fps", "24", "--offset", "3")
    assert main(words(head, out, *given)) == 0
    curves = load_curves(out / "curves.json")
    assert curves.frames[:3] == pytest.approx((2004.0, 2004.4, 2004.8))
    assert curves.fps == 24
    assert main(words(head, out, *given, "--samples", "filter")) == 0
    assert load_curves(out / "curves.json").frames[:3] == (2004.0, 2005.0, 2006.0)


def test_a_job_file_gives_what_the_options_give(head, solved, tmp_path):
    job = tmp_path / "job.json"
    assert main([*words(head, tmp_path / "v001"), "--save-job", str(job)]) == 0
    assert main(["check", str(job)]) == 0
    assert main(["run", str(job), "--progress", "quiet"]) == 0
    assert (tmp_path / "v001" / "curves.json").read_bytes() == (solved / "curves.json").read_bytes()


@pytest.mark.parametrize("ending", ["csv", "anim", "json"])
def test_curves_are_exported_in_the_format_asked_for(head, solved, tmp_path, ending):
    out = copy(solved, tmp_path / "v001")
    path = tmp_path / f"take.{ending}"
    assert main(words(head, out, "--export", path)) == 0
    if ending == "anim":
        assert "animCurve" in path.read_text() or "anim " in path.read_text()
        return
    found, mine = load_curves(path), load_curves(out / "curves.json")
    shared = [name for name in mine.names if name in found.names]
    assert len(shared) == len(mine.names)
    assert (found.only(shared).values - mine.only(shared).values).abs().max() < 1e-5


def test_a_control_map_takes_the_curves_to_a_puppet_with_fewer_keys(head, solved, tmp_path):
    out, path = copy(solved, tmp_path / "v001"), tmp_path / "take.anim"
    lines = [{"control": "jawOpen", "target": "jaw_ctrl.rotateX", "scale": 25}]
    (tmp_path / "map.json").write_text(json.dumps({"schema": "sfumato.map/1", "controls": lines}))
    sizes = []
    for tolerance in ("0", "0.02"):
        more = ("--export", path, "--map", tmp_path / "map.json", "--namespace", "hero", "--tolerance", tolerance)
        assert main(words(head, out, *more)) == 0
        text = path.read_text()
        assert "hero:jaw_ctrl" in text
        sizes.append(text.count("linear linear"))
    assert sizes[0] == FRAMES
    assert sizes[1] < FRAMES


def test_retargeting_to_the_same_rig_changes_nothing(head, solved, tmp_path, capsys):
    out = tmp_path / "creature"
    assert main(["face", "retarget", str(solved), "--rig", str(head / "head.npz"), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["driven"] == 51
    assert torch.equal(load_curves(out / "curves.json").values, load_curves(solved / "curves.json").values)


def test_a_page_compares_with_an_earlier_version_and_with_pictures_of_the_actor(head, solved, tmp_path, capsys):
    from sfumato.matte.sheet import encoded

    for frame in range(1001, 1001 + FRAMES):
        (tmp_path / f"ref.{frame}.png").write_bytes(
            encoded(torch.rand(3, 9, 16, generator=torch.Generator().manual_seed(1)))
        )
    page, ref = tmp_path / "p.html", str(tmp_path / "ref.####.png")
    more = ["--html", str(page), "--previous", str(solved), "--reference", ref, "--progress", "quiet"]
    assert main(["face", "report", str(solved), *more]) == 0
    text = page.read_text()
    assert "this version" in text
    assert 'data-mode="reference"' in text


# wrong inputs


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
    code, text = refused([*words(head, tmp_path / "v001", *more)], capsys)
    assert (code, "was trained on Ada, and this take is of Bea" in text) == (2, True)
    assert main([*words(head, tmp_path / "v001", *more, "--other-actor")]) == 0
    result = json.loads((tmp_path / "v001" / "solve.result.json").read_text())
    assert "actor.safetensors sha256:" in result["trained_weights"]
    assert "consent HR-1" in result["trained_weights"]


def refused(arguments, capsys):
    code = main(arguments)
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return code, text


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
    code, text = refused(words(head, tmp_path / "o", "--units", "cm", "--fps", "60", markers=take), capsys)
    assert (code, "--units mm" in text) == (2, True)
    assert main(words(head, tmp_path / "o", "--units", "mm", "--fps", "60", "--stage", "stabilise", markers=take)) == 0


def test_a_rate_that_cannot_be_is_2(head, tmp_path, capsys):
    code, text = refused(words(head, tmp_path / "o", "--fps", "23.976"), capsys)
    assert code == 2
    assert "60" in text
    assert "23.97" in text


def test_a_take_of_nothing_seen_is_3(head, tmp_path, capsys):
    take = spoilt(head, tmp_path / "t.json", positions=torch.full_like(head.markers.positions, float("nan")))
    code, text = refused(words(head, tmp_path / "o", markers=take), capsys)
    assert (code, "no marker is seen" in text) == (3, True)


def test_an_empty_take_is_3(head, tmp_path, capsys):
    take = tmp_path / "t.json"
    take.write_text('{"schema": "sfumato.markers/1", "fps": 60, "frames": [], "names": ["chin"], "positions": []}')
    code, text = refused(words(head, tmp_path / "o", markers=take), capsys)
    assert (code, "empty take" in text) == (3, True)


def test_markers_that_the_rig_does_not_know_are_3_and_both_sides_are_named(head, tmp_path, capsys):
    names = tuple(f"x{i}" for i in range(len(head.markers.names)))
    take = spoilt(head, tmp_path / "t.json", names=names)
    code, text = refused(words(head, tmp_path / "o", markers=take), capsys)
    assert code == 3
    assert "m00" in text


def test_a_rig_without_a_jaw_is_said_and_solved_all_the_same(head, tmp_path, capsys):
    rig = head.rig
    rows = [i for i, name in enumerate(rig.controls) if name.startswith("brow")]
    only = NativeRig(
        tuple(rig.controls[i] for i in rows), rig.neutral, rig.faces, rig.deltas[rows], markers=rig.markers
    )
    save_rig(only, tmp_path / "brows.npz")
    code = main([*words(head, tmp_path / "o", rig=tmp_path / "brows.npz"), "--progress", "terminal"])
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
        [*words(head, tmp_path / "o"), *(w.replace("MOV", f"{tmp_path}/take.mov") for w in more)], capsys
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


# killed and cancelled


def has(folder, stage):
    """Whether a stage is done and booked."""
    manifest = folder / "manifest.json"
    return manifest.is_file() and stage in json.loads(manifest.read_text())


def test_a_killed_solve_goes_on_where_it_was_and_ends_in_the_same_bytes(head, solved, tmp_path):
    out = tmp_path / "v001"
    command = [sys.executable, "-m", "sfumato_plugins.cli", *words(head, out)]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not has(out, "jaw") and started.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    started.wait()
    jaw = (out / "jaw.json").stat().st_mtime_ns
    for path in out.glob("*.json"):
        json.loads(path.read_text())
    assert main(words(head, out)) == 0
    assert (out / "jaw.json").stat().st_mtime_ns == jaw, "a stage that is done is not done again"
    assert (out / "curves.json").read_bytes() == (solved / "curves.json").read_bytes()
    assert not [name for name in os.listdir(out) if name.endswith(".part")]


def test_a_cancelled_solve_is_130_and_keeps_the_stages_it_has(head, tmp_path):
    from sfumato.errors import Cancelled
    from sfumato_plugins.facing.folder import job_of
    from sfumato_plugins.report import Teller
    from sfumato_plugins.run import run

    class Impatient(Teller):
        def progress(self, share, text):
            if text.startswith("frame") or "regions" in text:
                self.stopped = "a test"

    job = tmp_path / "job.json"
    assert main([*words(head, tmp_path / "v001"), "--save-job", str(job)]) == 0
    from sfumato_plugins.job import load

    with pytest.raises(Cancelled):
        run(load(str(job)), teller=Impatient())
    assert (tmp_path / "v001" / "jaw.json").is_file()
    assert not (tmp_path / "v001" / "finetune.json").exists()
    assert job_of(str(tmp_path / "v001")).tool == "face"
