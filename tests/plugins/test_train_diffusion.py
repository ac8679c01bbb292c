"""`sfumato train diffusion` as a studio runs it: killed and gone on with, and refused in sentences."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

pytest.importorskip("diffusers", reason="needs diffusers")

import torch

from sfumato.io import write_image
from sfumato.models.load import load_model
from sfumato.plate import Plate, Window
from sfumato.train.fine_tune import Trainer
from sfumato_plugins.cli import main

HOW = ("--model", "embedded_micro", "--steps", "60", "--batch", "2", "--rate", "1e-3", "--look", "4", "--patience", "0")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    window = Window(0, 0, 20, 16)
    for number in range(6):
        draw = torch.Generator().manual_seed(number)
        pixels = torch.rand(3, 16, 20, generator=draw)
        write_image(folder / f"p{number}.png", Plate(pixels, ("R", "G", "B"), "sRGB", window, window, coded=True))
        (folder / f"p{number}.txt").write_text("a blue cone on sand")
    return folder


def command(pictures, out, *more):
    return ["train", "diffusion", "--data", str(pictures), "--out", str(out), "--progress", "quiet", *HOW, *more]


def weights(out):
    return (out / "transformer" / "diffusion_pytorch_model.safetensors").read_bytes()


def test_a_training_killed_on_the_way_goes_on_to_the_same_bits(pictures, tmp_path, capsys):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert main(command(pictures, whole, "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    checkpoint = cut / "training" / "checkpoint.safetensors"
    words = [sys.executable, "-m", "sfumato_plugins.cli", *command(pictures, cut)]
    there = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    with subprocess.Popen(words, env=there, stderr=subprocess.PIPE) as run:
        while not checkpoint.exists() and run.poll() is None:
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert not (cut / "model_index.json").exists()
    assert main(command(pictures, cut)) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert main(command(pictures, cut, "--resume", "--json")) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["looks"] == told["looks"]
    assert weights(cut) == weights(whole)
    assert not [path for path in cut.rglob("*.part")]
    page = (cut / "training.html").read_text()
    assert "<svg" in page
    assert "http" not in page.replace("http-equiv", "")
    assert told["before"] > told["after"]
    assert told["estimate"]["fits"]
    assert main(command(pictures, cut, "--resume", "--json")) == 0  # nothing is left to do
    assert json.loads(capsys.readouterr().out)["looks"] == told["looks"]


def test_an_estimate_stops_there_and_leaves_nothing(pictures, tmp_path, capsys):
    assert main(command(pictures, tmp_path / "m", "--estimate", "--json", "--reversible")) == 0
    found = json.loads(capsys.readouterr().out)["estimate"]
    assert found["total_reversible"] < found["total_kept"]
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--data", "NONE"], 3, "there is no folder NONE"),
        (["--resume"], 2, "there is no training in .* to go on with"),
        (["--model", "NOWHERE"], 2, "there is no model folder .*NOWHERE"),
        (["--model", "embedded_trail"], 2, "makes clips"),
        (["--rate", "0"], 2, "a learning rate of 0 learns nothing"),
        (["--rate", "inf"], 2, "a learning rate of inf learns nothing"),
        (["--out", "/dev/null/m"], 2, "--out: .* cannot be made"),
        (["--batch", "0"], 2, "batch 0 cannot be"),
        (["--held", "1.5"], 2, "held 1.5 is no share"),
        (["--batch", "100000000"], 4, "the training takes .* are free"),
        (["--device", "cuda"], 2, "cuda cannot be used"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(pictures, tmp_path, capsys, more, code, said):
    import re

    if "cuda" in more and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    given = command(pictures, tmp_path / "m", *more)
    assert main(given) == code
    err = capsys.readouterr().err
    assert re.search(said, err), err
    assert "Traceback" not in err


def test_a_picture_is_left_to_learn_from_and_words_that_say_nothing_are_named(pictures, tmp_path, capsys):
    mine = shutil.copytree(pictures, tmp_path / "mine")
    (mine / "p0.txt").write_text("a blue cone on sand beside a zebra")
    few = ("--held", "0.99", "--steps", "2", "--look", "1", "--json", "--progress", "terminal")
    assert main(command(mine, tmp_path / "m", *few)) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["held_out"] == 5
    assert "the model never learnt these words of the captions, nor will it: beside, zebra; any other" in err


def test_pictures_in_another_order_are_not_gone_on_with_for_others_would_be_held_out(pictures, tmp_path, capsys):
    mine = shutil.copytree(pictures, tmp_path / "mine")
    assert main(command(mine, tmp_path / "m", "--steps", "2")) == 0
    for end in ("png", "txt"):
        (mine / f"p5.{end}").rename(mine / f"a5.{end}")
    assert main(command(mine, tmp_path / "m", "--steps", "4", "--resume")) == 2
    assert "begun with other settings: data was" in capsys.readouterr().err
    inside = tmp_path / "m" / "v2"
    assert main(["train", "diffusion", "--data", str(mine), "--model", str(tmp_path / "m"), "--out", str(inside)]) == 2
    assert "is the model that is trained from, or in it" in capsys.readouterr().err
    assert not inside.exists()


def test_codec_and_encoders_are_gone_before_the_first_step(pictures, tmp_path, monkeypatch):
    held, there = [], []

    def load(*where):
        model = load_model(*where)
        held.extend(weakref.ref(part) for part in (model.codec, model.embedder))
        return model

    def run(self, *told):
        there.extend(ref() is not None for ref in held)
        return trained(self, *told)

    trained = Trainer.run
    monkeypatch.setattr("sfumato.models.load.load_model", load)
    monkeypatch.setattr(Trainer, "run", run)
    assert main(command(pictures, tmp_path / "m", "--steps", "1")) == 0
    assert there == [False, False]


def test_folders_that_hold_something_else_are_left_alone(pictures, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(command(pictures, tmp_path / "file")) == 2
    assert "is a file" in capsys.readouterr().err
    other = tmp_path / "other"
    other.mkdir()
    (other / "model_index.json").write_text("{}")
    assert main(command(pictures, other)) == 2
    assert "holds another model" in capsys.readouterr().err
    silent = tmp_path / "silent"
    silent.mkdir()
    (silent / "a.png").write_bytes((Path(pictures) / "p0.png").read_bytes())
    assert main(command(silent, tmp_path / "m")) == 2
    assert "1 of 1 pictures have no caption: a.png" in capsys.readouterr().err
    (silent / "b.png").write_bytes(b"nothing")
    assert main(command(silent, tmp_path / "m", "--prompt", "a hall")) == 3
    assert "1 of 2 pictures cannot be read: b.png" in capsys.readouterr().err
