"""`sfumato train face` as a facial TD runs it: killed and gone on with, by both methods, and refused in sentences."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from sfumato.face.rig_files import load_rig, save_rig
from sfumato.face.solver_file import load_solver
from sfumato.face.training import TrainSettings, train_solver
from sfumato.train.live_tensors import LiveTensors
from sfumato_plugins.cli import main
from sfumato_plugins.facing.training import approved_takes
from sfumato_plugins.training.face import AskedFace, _rig_of
from sfumato_plugins.training.kept_networks import settings_of

HOW = ("--samples", "300", "--epochs", "6", "--progress", "quiet")


def command(solved, out, *more):
    return ["train", "face", "--data", str(solved), "--out", str(out), *HOW, *more]


def test_a_training_killed_between_networks_goes_on_to_the_same_bits_on_other_threads(head, solved, tmp_path, capsys):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main(command(solved, whole, "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    words = [sys.executable, "-m", "sfumato_plugins.cli", *command(solved, cut)]
    there = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads() + 1)}
    with subprocess.Popen(words, env=there, stderr=subprocess.PIPE) as run:
        while not (cut / "training" / "jaw.safetensors").exists() and run.poll() is None:
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert not (cut / "solver.safetensors").exists()
    written = (cut / "training" / "jaw.safetensors").stat().st_mtime_ns
    assert main(command(solved, cut)) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert main(command(solved, cut, "--resume", "--json")) == 0
    again = json.loads(capsys.readouterr().out)
    assert (cut / "training" / "jaw.safetensors").stat().st_mtime_ns == written  # not trained again
    assert again["losses"] == told["losses"]
    assert all(lines[0][1] > lines[-1][1] for lines in told["losses"].values())
    one, other = (load_solver(path / "solver.safetensors") for path in (whole, cut))
    assert [part.name for part in one.parts] == [part.name for part in other.parts]
    for ours, theirs in zip((one.first, *one.parts), (other.first, *other.parts), strict=True):
        tensors = theirs.net.tensors("net")
        assert all(tensor.equal(tensors[name]) for name, tensor in ours.net.tensors("net").items())
    page = (cut / "training.html").read_text()
    assert "<svg" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_solver_trained_layer_by_layer_solves_a_take(head, solved, tmp_path, capsys):
    out = tmp_path / "by_hsic"
    assert main(command(solved, out, "--method", "hsic", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["method"] == "hsic"
    again = tmp_path / "again"
    assert main(command(solved, again, "--method", "hsic", "--json")) == 0
    assert (again / "solver.safetensors").read_bytes() == (out / "solver.safetensors").read_bytes()
    assert main(head.words(tmp_path / "v001", "--solver", out / "solver.safetensors")) == 0


def test_an_estimate_stops_there_and_leaves_nothing(solved, tmp_path, capsys):
    assert main(command(solved, tmp_path / "m", "--estimate", "--json")) == 0
    found = json.loads(capsys.readouterr().out)["estimate"]
    assert 0 < found["bytes"] < found["free"]
    assert found["seconds"] > 0
    assert not (tmp_path / "m").exists()


def test_another_setting_or_other_takes_do_not_go_on_with_what_was_begun(solved, tmp_path, capsys):
    takes = tmp_path / "takes.json"
    takes.write_text(json.dumps({"schema": "sfumato.approved/1", "takes": [f"{solved}@1001-1020"]}))
    assert main(command(takes, tmp_path / "m")) == 0  # the rig is that of the takes in the list
    for more, said in ((("--method", "hsic"), "method"), (("--consent", "HR-2"), "consent")):
        assert main(command(takes, tmp_path / "m", "--resume", *more)) == 2
        assert said in capsys.readouterr().err
    assert main(command(takes, tmp_path / "m", "--resume")) == 0
    takes.write_text(json.dumps({"schema": "sfumato.approved/1", "takes": [f"{solved}@1001-1021"]}))
    assert main(command(takes, tmp_path / "m", "--resume")) == 2
    assert "takes was" in capsys.readouterr().err
    takes.write_text("{}")
    assert main(command(takes, tmp_path / "n")) == 2
    assert "--data: " in capsys.readouterr().err


def test_a_rig_with_another_corrective_is_another_rig(head, solved):
    takes, binding = approved_takes([str(solved)], "", False)

    def settings(name, rig):
        save_rig(rig, head / name)
        return settings_of(AskedFace("", ""), str(head / name), takes, binding)["rig"]

    rows, moved = head.rig.combinations[0] if head.rig.combinations else ((0, 1), torch.zeros_like(head.rig.deltas[0]))
    other = dataclasses.replace(head.rig, combinations=(*head.rig.combinations[1:], (rows, moved + 1.0)))
    same = dataclasses.replace(head.rig)
    assert settings("same.npz", same) == settings("head.npz", head.rig) != settings("other.npz", other)


def test_a_training_that_does_not_fit_leaves_nothing_that_refuses_a_smaller_one(solved, tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as small:
        small.setattr("sfumato.device._available", lambda: 1000)
        assert main(command(solved, tmp_path / "m")) == 4
    assert "take fewer --samples" in capsys.readouterr().err
    assert main(command(solved, tmp_path / "m", "--samples", "100")) == 0


@pytest.mark.parametrize(("takes", "samples"), [(1, "1200"), (25, "1200")])
def test_memory_is_estimated_whether_made_up_faces_or_approved_frames_are_most(
    solved, tmp_path, capsys, takes, samples
):
    listed = tmp_path / "takes.json"
    listed.write_text(json.dumps({"schema": "sfumato.approved/1", "takes": [str(solved)] * takes}))
    words = command(listed, tmp_path / "m", "--samples", samples, "--epochs", "1")
    assert main([*words, "--estimate", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["estimate"]["bytes"]
    approved, binding = approved_takes([str(listed)], "", False)
    with LiveTensors() as live:
        train_solver(load_rig(_rig_of(str(solved))), binding, approved, TrainSettings(samples=int(samples), epochs=1))
    print(f"{takes} takes: said {said / 1e6:.1f} MB, took {live.peak / 1e6:.1f}")
    assert 0.8 <= said / live.peak <= 1.3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--data", "{empty}"), "there is no solve of a take in"),
        (("--out", "{file}"), "is a file"),
        (("--resume",), "there is no training in"),
        (("--epochs", "0"), "0 epochs"),
        (("--out", "{file}/x"), "--out: "),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence_and_nothing_is_written(solved, tmp_path, capsys, more, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    names = {"empty": str(tmp_path / "empty"), "file": str(tmp_path / "file")}
    assert main(command(solved, tmp_path / "m", *(word.format(**names) for word in more))) in (2, 3)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
    assert (tmp_path / "file").read_text() == "mine"
