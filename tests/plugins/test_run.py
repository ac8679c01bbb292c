"""The promises that make farms boring, on real pixels: bytes, resume, reasons, books."""

import dataclasses
import json

import pytest
import torch

from sfumato_plugins.errors import JobError
from sfumato_plugins.report import Teller
from sfumato_plugins.run import run


class Listener(Teller):
    def __init__(self):
        super().__init__()
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def few_steps(monkeypatch):
    """`standard` with the whole way from start to end, in a few small steps."""
    from sfumato.matte import settings

    short = dataclasses.replace(settings.PRESETS["standard"], size=48, steps=12, warm_steps=6)
    monkeypatch.setitem(settings.PRESETS, "standard", short)


def contents(shot, frames):
    return {frame: shot.output(frame).read_bytes() for frame in frames}


@pytest.mark.parametrize("quality", ["preview", "standard"])
def test_a_frame_does_not_care_which_chunk_it_was_in(shot, few_steps, quality):
    numbers = range(1, 5)
    shot.write(numbers)
    job = shot.job("1-4", params={"quality": quality, "device": "cpu"})
    run(job)
    whole = contents(shot, numbers)
    for frame in numbers:
        for path in (shot.output(frame), shot.output(frame).with_suffix(".json")):
            path.unlink()
    for chunk in ((2,), (1, *numbers[3:]), (3,)):
        run(job, chunk)
    assert contents(shot, numbers) == whole


def test_running_twice_computes_nothing(shot):
    shot.write([1, 2])
    run(shot.job("1-2"))
    before = {path: path.stat().st_mtime_ns for path in (shot.folder / "out").glob("M.*.exr")}
    assert run(shot.job("1-2"))["kept"] == {"main": [1, 2]}
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert [line["did"] for line in shot.journal()] == ["computed", "computed", "kept", "kept"]


def test_a_changed_pixel_makes_only_its_readers_stale_and_says_so(shot):
    shot.write([1, 2, 3])
    run(shot.job("1-3"))
    shot.write_plate(2, change=0.5)
    listener = Listener()
    assert run(shot.job("1-3"), teller=listener)["computed"] == {"main": [2]}
    assert "matte 2: plate 2 changed" in listener.lines


def test_in_standard_a_neighbour_of_a_changed_frame_is_stale_too(shot, few_steps):
    from sfumato_plugins.segments import plan, reads

    frames = range(1, 11)
    shot.write(frames)
    job = shot.job("1-10", params={"quality": "standard", "device": "cpu"})
    run(job)
    shot.write_plate(2, change=0.5)
    readers = [f for f in frames if 2 in reads(f, plan(frames, "standard"))]
    assert readers == [1, 2, 3, 4]
    assert run(job)["computed"] == {"main": readers}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"params": {"quality": "preview", "device": "cpu", "half": True}}, "half was false, now true"),
        ({"seed": 5}, "seed was 0, now 5"),
        ({"params": {"quality": "standard", "device": "cpu"}}, "quality was preview, now standard"),
        ({"color": {"plate": "ACEScg"}}, "plate was null, now ACEScg"),
    ],
)
def test_a_changed_request_is_named_as_the_reason(shot, few_steps, change, reason):
    shot.write([1])
    run(shot.job("1"))
    listener = Listener()
    run(shot.job("1", **change), teller=listener)
    assert any(line == f"matte 1: {reason}" or line.startswith(f"matte 1: {reason}; ") for line in listener.lines)


def test_the_device_or_the_page_make_no_frame_stale(shot):
    shot.write([1])
    run(shot.job("1"))
    assert run(shot.job("1", params={"quality": "preview", "device": "auto"}))["kept"] == {"main": [1]}


def test_a_damaged_or_foreign_output_is_computed_again(shot):
    shot.write([1, 2])
    run(shot.job("1-2"))
    with shot.output(1).open("r+b") as file:
        file.truncate(100)
    shot.output(2).with_suffix(".json").unlink()
    shot.save(shot.output(2), torch.zeros(1, 4, 4), ("A",))
    listener = Listener()
    assert run(shot.job("1-2"), teller=listener)["computed"] == {"main": [1, 2]}
    assert any("changed or damaged since" in line for line in listener.lines)
    assert any("no record of how it was made" in line for line in listener.lines)


def test_a_frame_whose_record_was_lost_is_recognised_by_what_it_carries(shot):
    shot.write([1])
    run(shot.job("1"))
    record = json.loads(shot.output(1).with_suffix(".json").read_text())
    shot.output(1).with_suffix(".json").unlink()
    assert run(shot.job("1"))["kept"] == {"main": [1]}
    again = json.loads(shot.output(1).with_suffix(".json").read_text())
    assert again["fingerprint"] == record["fingerprint"]
    assert again["files"] == record["files"]
    assert again["provenance"].items() >= record["provenance"].items()


def test_the_result_is_written_by_the_run_that_completes_the_job(shot):
    shot.write([1, 2])
    result = shot.folder / "out" / "M.result.json"
    assert run(shot.job("1-2"), [1])["complete"] is False
    assert not result.exists()
    assert run(shot.job("1-2"), [2])["complete"] is True
    found = json.loads(result.read_text())
    assert [f["frame"] for f in found["frames"]] == [1, 2]
    assert found["generative"] == "no"
    assert found["trained_weights"] == "none"
    assert len(found["color"]["config_hash"]) == 64
    assert not [name for name in shot.listing() if name.startswith(".")]


def test_the_result_goes_when_a_frame_is_stale_and_the_run_does_not_finish(shot):
    shot.write([1, 2])
    run(shot.job("1-2"))
    shot.write_plate(1, change=0.5)
    shot.write_plate(2, change=0.5)
    assert run(shot.job("1-2"), [1])["complete"] is False
    assert "M.result.json" not in shot.listing()


def test_force_computes_what_is_complete_and_only_the_frames_asked_for(shot):
    shot.write([1, 2])
    run(shot.job("1-2"))
    assert run(shot.job("1-2"), [2], force=True)["computed"] == {"main": [2]}


def test_frames_outside_the_job_are_refused(shot):
    shot.write([1])
    with pytest.raises(JobError, match="the job has no frame 7"):
        run(shot.job("1"), [7])


def test_a_job_begun_on_another_kind_of_device_is_not_finished_on_this_one(shot):
    shot.write([1, 2])
    run(shot.job("1-2"), [1])
    path = shot.output(1).with_suffix(".json")
    record = json.loads(path.read_text())
    record["provenance"]["sfumato:device"] = "cuda"
    path.write_text(json.dumps(record))
    with pytest.raises(JobError, match="frames 1 were solved on cuda, and this is cpu"):
        run(shot.job("1-2"))
    assert run(shot.job("1-2"), mixed=True)["complete"] is True


def test_nothing_is_asked_of_the_network(shot, monkeypatch):
    import socket

    def refuse(*args, **more):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert run(shot.write([1]).job("1"))["complete"]


def test_the_demo_makes_solves_evaluates_and_shows(tmp_path):
    from sfumato_plugins.demo import demo_matte

    found = demo_matte(str(tmp_path), quick=True, quality=None, seed=0, teller=Teller())
    assert found["errors"]["frames"] == len(found["computed"]) == 3
    assert "the truth" in (tmp_path / "page.html").read_text()


def test_a_frame_that_lost_its_record_and_half_its_pixels_is_computed_again(shot):
    shot.write([1])
    run(shot.job("1"))
    whole = shot.output(1).read_bytes()
    (shot.folder / "out" / "M.0001.json").unlink()
    shot.output(1).write_bytes(whole[: len(whole) * 2 // 3])
    assert run(shot.job("1"))["computed"] == {"main": [1]}
    assert shot.output(1).read_bytes() == whole
