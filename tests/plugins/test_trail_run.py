"""Clips as files: their frames, killed and run again, TrailBlazer's recipes, and clips of a fixed length."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from sfumato.errors import Cancelled
from sfumato.io import read_image
from sfumato_plugins.cli import main
from sfumato_plugins.editing import answers
from sfumato_plugins.frames import parse_frames
from sfumato_plugins.job import Job
from sfumato_plugins.ledger import read_journal
from sfumato_plugins.placing import models
from sfumato_plugins.placing.spans import spread
from sfumato_plugins.placing.staged import hurried, read_staging, retimed
from sfumato_plugins.report import Teller
from sfumato_plugins.run import run
from sfumato_plugins.tools.trail import TRAIL

QUICK = ["--model", "embedded_micro", "--device", "cpu", "--steps", "6", "--method", "fast", "--progress", "quiet"]


@pytest.fixture
def track(tmp_path):
    keys = [{"frame": -2, "box": [-0.4, 0.4, 0.1, 0.9]}, {"frame": 3, "box": [0.5, 0.4, 1.0, 0.9]}]
    one = {"name": "ball", "phrases": ["red ball"], "keys": keys}
    document = {"schema": "sfumato.track/1", "fps": 8, "start": -2, "count": 6, "size": [1920, 1080], "objects": [one]}
    path = tmp_path / "track.json"
    path.write_text(json.dumps({**document, "prompts": [[-2, "a red ball on grass"]]}))
    return path


def trail(track, out, *more):
    return main(["trail", "--track", str(track), "--out", str(out), *QUICK, *map(str, more)])


def test_a_clip_has_its_tracks_frames_negative_ones_too(track, tmp_path):
    assert trail(track, tmp_path / "O.####.exr") == 0
    assert {path.name for path in tmp_path.glob("O.*.exr")} == {f"O.{frame:04d}.exr" for frame in range(-2, 4)}
    rows = [json.loads((tmp_path / f"O.{f:04d}.json").read_text())["stats"]["objects"] for f in (-2, 3)]
    assert [row["ball"]["asked"] for row in rows] == [[0, 0.4, 0.1, 0.9], [0.5, 0.4, 1, 0.9]]
    assert {"iou", "centroid_error", "presence"} <= set(
        json.loads((tmp_path / "O.result.json").read_text())["sequence"]["main"]
    )


def test_frames_that_are_killed_are_whole_or_not_there_and_the_rest_follows(track, tmp_path):
    out, calm = tmp_path / "out", tmp_path / "calm"
    words = ["trail", "--track", str(track), "--out", str(out / "O.####.exr"), *QUICK]
    command = [sys.executable, "-m", "sfumato_plugins.cli", *words]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not list(out.glob("O.*.exr")) and time.monotonic() < end:
        time.sleep(0.005)
    started.send_signal(signal.SIGKILL)
    started.wait()
    for path in out.glob("O.*.exr"):
        assert read_image(path).channel("boxes.A").isfinite().all()
    assert main(words) == 0
    done = [line["frame"] for line in read_journal(str(out / "O.journal.jsonl")) if line["did"] == "computed"]
    assert len(done) == len(set(done))
    assert trail(track, calm / "O.####.exr") == 0
    for frame in range(-2, 4):
        mine, theirs = (read_image(folder / f"O.{frame:04d}.exr").pixels for folder in (out, calm))
        assert torch.equal(mine.view(torch.int32), theirs.view(torch.int32))
    assert not [name for name in os.listdir(out) if name.startswith(".")]


def test_a_recipe_of_trailblazers_says_what_is_done_otherwise(tmp_path, capsys):
    recipe = tmp_path / "cat.yaml"
    keys = "\n".join(
        f"  - bbox_ratios: [{a}, 0.4, {b}, 0.9]\n    frame: {f}\n    prompt: a red ball on grass"
        for f, a, b in ((0, 0.0, 0.4), (2, 0.6, 1.0))
    )
    recipe.write_text(f"keyframe:\n{keys}\nseed: 12\nprompt: x\ntoken_inds: [2, 3]\n")
    assert main(["trail", "--track", str(recipe), "--out", str(tmp_path / "O.####.exr"), *QUICK[:-2]]) == 0
    said = capsys.readouterr().err
    assert "the recipe's seed is 12" in said
    assert "the recipe has 40 steps" in said
    assert "TrailBlazer never makes its temporal edit" in said
    assert len(list(tmp_path.glob("O.*.exr"))) == 3


@pytest.fixture
def of_clips(tmp_path):
    """The folder of what says that it makes clips of 4 frames."""
    folder = tmp_path / "clips"
    (folder / "transformer").mkdir(parents=True)
    (folder / "transformer" / "config.json").write_text('{"video_length": 4, "sample_size": 8}')
    index = {"_class_name": "LattePipeline", "transformer": ["diffusers", "LatteTransformer3DModel"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return str(folder)


def job_of(track, model, frames):
    return Job("trail", parse_frames(frames), {"track": str(track)}, {"clip": "O.####.exr"}, {"model": model})


def test_a_clip_of_fixed_length_is_one_piece_and_another_number_of_frames_is_refused(track, of_clips):
    assert TRAIL.chunks(job_of(track, of_clips, "0-3")) == ((0, 1, 2, 3),)
    assert TRAIL.chunks(job_of(track, "embedded_micro", "0-3")) == ((0,), (1,), (2,), (3,))
    (problem,) = TRAIL.problems(job_of(track, of_clips, "0-2"))
    assert problem.what == "3 frames, and the model makes clips of 4"
    assert not TRAIL.problems(job_of(track, of_clips, "-2,0,1,3"))


def test_a_longer_track_gives_its_clip_frames_spread_over_all_of_it(track, of_clips):
    assert TRAIL.span({"track": str(track)}, {"model": of_clips}) == (-2, 0, 1, 3)
    assert TRAIL.span({"track": str(track)}, {"model": "embedded_micro"}) == (-2, -1, 0, 1, 2, 3)
    assert spread(1, 3, 8) == (1, 2, 3)


def test_a_retimed_track_has_the_boxes_and_words_of_its_frames(track):
    document = json.loads(track.read_text())
    document["prompts"] = [[-2, "a red ball on grass"], [3, "a red ball on sand"]]
    document["objects"][0]["strength"] = [[-2, 1.0], [3, 0.5]]
    track.write_text(json.dumps(document))
    whole = read_staging(str(track))
    clip = retimed(whole, (-2, 0, 1, 3))
    assert (clip.start, clip.count) == (0, 4)
    subject, original = clip.subjects[0], whole.subjects[0]
    for index, frame in enumerate((-2, 0, 1, 3)):
        assert subject.track.at(index) == original.track.at(frame)
        assert subject.strength.at(index) == original.strength.at(frame)
    assert clip.prompts == ((0, "a red ball on grass"), (3, "a red ball on sand"))


def test_what_jumps_clear_of_its_box_is_said(track):
    whole = read_staging(str(track))
    assert hurried(whole, range(-2, 4)) == []
    assert "“ball” jumps clear of its box from frame -2 to 3" in hurried(whole, (-2, 3))[0]


def test_our_models_clips_are_as_long_as_their_folders_say():
    from sfumato.models.load_files import folder_path

    for name in models.OURS.values():
        config = folder_path(name) / "transformer" / "config.json"
        if config.is_file():
            length = json.loads(config.read_text()).get("video_length", 1)
            assert models.CLIPS.get(name, 1) == length


@pytest.fixture(scope="module")
def tiny_clips(tmp_path_factory):
    """The folder of a model that makes clips of 4 frames of 16 x 16 pixels, untrained, with our micro model's words."""
    import shutil

    from diffusers import LatteTransformer3DModel

    from sfumato.models.load_files import folder_path

    folder = tmp_path_factory.mktemp("models") / "clips"
    shutil.copytree(folder_path("embedded_micro"), folder, ignore=shutil.ignore_patterns("transformer", "place.json"))
    torch.manual_seed(0)
    network = LatteTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=3, out_channels=3, num_layers=1, sample_size=16,
        patch_size=4, caption_channels=64, cross_attention_dim=32, attention_bias=True, norm_type="ada_norm_single",
        video_length=4, norm_elementwise_affine=False, norm_eps=1e-6,
    )  # fmt: skip
    network.save_pretrained(folder / "transformer")
    index = json.loads((folder / "model_index.json").read_text())
    index["transformer"] = ["diffusers", "LatteTransformer3DModel"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def test_a_clip_whose_writing_was_stopped_is_finished_with_the_same_bytes(track, tiny_clips, tmp_path):
    words = ["--model", str(tiny_clips), "--verify", "0"]
    assert trail(track, tmp_path / "calm" / "O.####.exr", *words) == 0
    frames = [-2, 0, 1, 3]
    assert sorted(tmp_path.glob("calm/O.*.exr")) == sorted(tmp_path / "calm" / f"O.{f:04d}.exr" for f in frames)
    out, job = tmp_path / "out" / "O.####.exr", tmp_path / "job.json"
    assert trail(track, out, *words, "--save-job", job) == 0
    for part in ("0", "-2,3", "1"):  # as a farm would, or a run that is killed between
        assert main(["run", str(job), f"--frames={part}", "--progress", "quiet"]) == 0
    for frame in frames:
        mine, calm = (read_image(tmp_path / folder / f"O.{frame:04d}.exr").pixels for folder in ("out", "calm"))
        assert torch.equal(mine.view(torch.int32), calm.view(torch.int32))
    assert not torch.equal(calm, read_image(tmp_path / "calm" / "O.-002.exr").pixels), "frames of a clip differ"


class Impatient(Teller):
    """Stops a run after so many looks."""

    def __init__(self, looks):
        super().__init__()
        self.looks = looks

    def pause(self):
        self.looks -= 1
        if self.looks == 0:
            raise Cancelled("stopped by a test")


@pytest.mark.parametrize("method", ["fast", "precise"])
def test_a_picture_in_flight_goes_on_with_the_answers_it_had(method, tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "EVERY", 0.0)
    words = {
        "prompt": "a red ball on grass",
        "box": "red ball:.1,.4,.5,.8",
        "model": "embedded_micro",
        "method": method,
    }
    job = Job("place", (1,), {}, {"picture": str(tmp_path / "O.exr")}, {**words, "steps": 6, "device": "cpu"})
    run(job)
    whole = (tmp_path / "O.exr").read_bytes()
    (tmp_path / "O.exr").unlink()
    with pytest.raises(Cancelled):
        run(job, teller=Impatient(7))
    assert not (tmp_path / "O.exr").exists()
    run(job)
    stats = json.loads((tmp_path / "O.json").read_text())["stats"]
    assert stats["calls_remembered"] >= 2
    assert (tmp_path / "O.exr").read_bytes() == whole
    assert not list(tmp_path.glob(".O*")), "nothing is left of it"
