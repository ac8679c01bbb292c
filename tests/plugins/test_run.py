"""The promises that make farms boring, on real pixels: bytes, resume, reasons, books, layers, views, missing frames."""

import dataclasses
import json
import os

import pytest
import torch

from sfumato.io import read_header, read_image
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


def test_a_matte_is_what_the_issue_says_it_is(shot):
    shot.write([1001])
    done = run(shot.job("1001"))
    assert done["computed"] == {"main": [1001]}
    matte = read_image(shot.output(1001))
    layers = ("fg.R", "fg.G", "fg.B", "bg.R", "bg.G", "bg.B", "confidence.A")
    assert set(matte.channels) == {"R", "G", "B", "A", *layers}
    alpha, trimap = matte.channel("A"), read_image(shot.folder / "trimap.1001.exr").channel("Y")
    assert torch.equal(alpha[trimap == 1], torch.ones(int((trimap == 1).sum())))
    assert torch.equal(alpha[trimap == 0], torch.zeros(int((trimap == 0).sum())))
    assert (alpha - shot.alpha_of(1001)).abs().mean() < 0.05
    fg = torch.cat([matte.channel(f"fg.{c}") for c in "RGB"])
    assert torch.equal(matte.rgb(), fg * alpha)
    assert fg.isfinite().all()
    inside = (alpha == 1).expand(3, -1, -1)
    assert torch.equal(fg[inside], shot.plate_of(1001)[inside])
    for name, value in {"tool": "matte", "generative": "no", "trained_weights": "none", "seed": "0"}.items():
        assert matte.metadata[f"sfumato:{name}"] == value
    assert matte.metadata["sfumato:rgb"] == "premultiplied by A"


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


def test_handles_are_written_and_context_is_read(shot):
    shot.write(range(1, 8))
    assert run(shot.job("3-4", handles=1, context=1))["computed"] == {"main": [2, 3, 4, 5]}
    assert not shot.output(6).exists()


def test_a_missing_frame_is_an_error_unless_told_otherwise(shot):
    shot.write([1, 2, 4])
    shot.write_plate(3)
    with pytest.raises(JobError) as caught:
        run(shot.job("1-4"))
    assert caught.value.exit_code == 3
    text = str(caught.value)
    for words in ("inputs.trimap: no frame 3", "trimap.0003.exr", "1-2,4", "--frames 1-2,4"):
        assert words in text
    assert run(shot.job("1-4", missing="skip"))["skipped"] == {"main": [3]}
    assert not shot.output(3).exists()
    assert 3 in run(shot.job("1-4", missing="hold"))["computed"]["main"]


def test_a_still_is_a_sequence_of_one(shot):
    shot.write([1])
    inputs = {"plate": "plate.0001.exr", "trimap": "trimap.0001.exr"}
    done = run(shot.job("1", inputs=inputs, outputs={"matte": "still/M.exr"}))
    assert done["complete"]
    assert sorted(os.listdir(shot.folder / "still")) == ["M.exr", "M.journal.jsonl", "M.json", "M.result.json"]


def test_display_coded_stills_are_matted_in_their_own_values(shot):
    plate = shot.plate_of(1).clamp(0, 1)
    shot.save(shot.folder / "p.png", plate)
    shot.save(
        shot.folder / "t.png",
        torch.where(shot.alpha_of(1) >= 1, 1.0, torch.where(shot.alpha_of(1) <= 0, 0.0, 0.5)),
        ("Y",),
    )
    listener = Listener()
    job = shot.job("1", inputs={"plate": "p.png", "trimap": "t.png"}, outputs={"matte": "m.exr"})
    run(job, teller=listener)
    assert any("display-coded" in line for line in listener.lines)
    matte = read_image(shot.folder / "m.exr")
    inside = (matte.channel("A") == 1).expand(3, -1, -1)
    assert torch.allclose(matte.rgb()[inside], plate[inside], atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize(
    ("params", "channels"),
    [
        ({"alpha_only": True}, {"A"}),
        ({"layers": []}, {"R", "G", "B", "A"}),
        ({"layers": ["trimap"]}, {"R", "G", "B", "A", "trimap.A"}),
    ],
)
def test_layers_are_chosen(shot, params, channels):
    shot.write([1])
    run(shot.job("1", params={"quality": "preview", **params}))
    assert set(read_header(shot.output(1)).main.channels) == channels


def test_straight_half_and_compact_are_what_they_say(shot):
    shot.write([1])
    run(shot.job("1", params={"quality": "preview", "rgb": "straight", "compact": True}))
    part = read_header(shot.output(1)).main
    kinds = dict(zip(part.channels, part.formats, strict=True))
    assert kinds["R"] == kinds["fg.R"] == kinds["bg.B"] == "half"
    assert kinds["A"] == kinds["confidence.A"] == "float"
    matte = read_image(shot.output(1))
    assert torch.equal(matte.channel("R"), matte.channel("fg.R"))
    assert matte.metadata["sfumato:rgb"] == "straight"


def test_a_layer_can_be_a_file_of_its_own(shot):
    shot.write([1])
    job = shot.job("1", outputs={"matte": "out/M_{layer}.####.exr"})
    run(job)
    names = [name for name in shot.listing() if name.endswith(".exr")]
    assert names == ["M_bg.0001.exr", "M_confidence.0001.exr", "M_fg.0001.exr", "M_rgba.0001.exr"]
    assert set(read_header(shot.folder / "out" / "M_fg.0001.exr").main.channels) == {"R", "G", "B"}
    assert run(job)["kept"] == {"main": [1]}
    (shot.folder / "out" / "M_bg.0001.exr").unlink()
    assert run(job)["computed"] == {"main": [1]}


def test_views_are_solved_side_by_side_with_one_result(shot):
    for view in ("left", "right"):
        shot.save(shot.folder / f"p.{view}.0001.exr", shot.plate_of(1))
    shot.write_trimap(1)
    inputs = {"plate": "p.%V.####.exr", "trimap": shot.trimap}
    job = shot.job("1", inputs=inputs, outputs={"matte": "out/M.%V.####.exr"}, views=("left", "right"))
    assert run(job)["computed"] == {"left": [1], "right": [1]}
    found = json.loads((shot.folder / "out" / "M.result.json").read_text())
    assert [f["view"] for f in found["frames"]] == ["left", "right"]


def test_a_published_version_is_never_written_again(shot):
    shot.write([1])
    outputs = {"matte": "out/{version}/M_{version}.####.exr"}
    job = shot.job("1", outputs=outputs)
    run(job)
    assert (shot.folder / "out" / "v001" / "M_v001.0001.exr").is_file()
    assert run(job)["kept"] == {"main": [1]}
    shot.write_plate(1, change=0.5)
    with pytest.raises(JobError, match="v001 is published"):
        run(job)
    run(shot.job("1", outputs=outputs, seed=3))
    assert (shot.folder / "out" / "v002" / "M_v002.0001.exr").is_file()


def test_holes_are_passed_through_and_counted(shot):
    shot.write_trimap(1)
    pixels = shot.plate_of(1)
    pixels[0, 24, 33] = float("nan")
    pixels[:, 2, 2] = float("inf")
    shot.save(shot.folder / "plate.0001.exr", pixels)
    run(shot.job("1"))
    matte = read_image(shot.output(1))
    assert matte.channel("A").isfinite().all()
    assert matte.channel("A")[0, 24, 33] == 1
    assert matte.channel("R")[0, 24, 33].isnan()
    assert json.loads(shot.output(1).with_suffix(".json").read_text())["stats"]["holes"] == 2


def test_metadata_windows_and_aspect_of_the_plate_survive(shot):
    from sfumato.plate import Window

    data, display = Window(-4, -2, 64, 48), Window(0, 0, 56, 44)
    more = {"data": data, "display": display, "pixel_aspect": 2.0}
    said = {"shotName": "ab_010", "sfumato:tool": "edit", "sfumato:files": "x|y"}
    shot.save(shot.folder / "plate.0001.exr", shot.plate_of(1), metadata=said, **more)
    shot.save(shot.folder / "trimap.0001.exr", shot.trimap_of(1)[:, 2:46, 4:60], ("Y",))
    run(shot.job("1"))
    part = read_header(shot.output(1)).main
    assert (part.data, part.display, part.pixel_aspect) == (data, display, 2.0)
    assert part.metadata["shotName"] == "ab_010"
    assert part.metadata["sfumato:tool"] == "matte"
    assert "sfumato:files" not in part.metadata


def test_garbage_holdout_and_strokes_decide_in_that_order(shot):
    shot.write([1])
    box = torch.zeros(4, 1, 48, 64)
    box[0, :, 10:20, 10:30] = 1  # garbage
    box[1, :, 14:24, 20:40] = 1  # holdout
    box[2, :, 18:22, 28:32] = 1  # hold-in
    for name, mask in zip(("garbage", "holdout", "hold_in"), box, strict=False):
        shot.save(shot.folder / f"{name}.0001.exr", mask, ("A",))
    masks = {name: f"{name}.####.exr" for name in ("garbage", "holdout", "hold_in")}
    run(shot.job("1", inputs={"plate": shot.plate, "trimap": shot.trimap, **masks}))
    alpha = read_image(shot.output(1)).channel("A")[0]
    assert (alpha[18:22, 28:32] == 1).all()
    assert (alpha[14:18, 20:28] == 0).all()
    assert (alpha[21:24, 33:40] == 1).all()


def test_strokes_may_be_on_some_frames_only(shot):
    shot.write([1, 2])
    stroke = torch.zeros(1, 48, 64)
    stroke[:, 20:28] = 1
    shot.save(shot.folder / "stroke.0002.exr", stroke, ("A",))
    inputs = {"plate": shot.plate, "trimap": shot.trimap, "hold_out": "stroke.####.exr"}
    run(shot.job("1-2", inputs=inputs))
    assert read_image(shot.output(1)).channel("A")[0, 24].max() == 1
    assert read_image(shot.output(2)).channel("A")[0, 20:28].max() == 0


@pytest.mark.parametrize("threshold", [0.5, 2.0, -1.0])  # 2: the subject has not come in yet; -1: it fills the frame
def test_a_trimap_without_unknown_pixels_is_its_own_answer(shot, threshold):
    shot.write_plate(1)
    known = (shot.alpha_of(1) > threshold).float()
    shot.save(shot.folder / "trimap.0001.exr", known, ("Y",))
    run(shot.job("1"))
    assert torch.equal(read_image(shot.output(1)).channel("A"), known)


def test_lossy_compression_is_used_only_when_asked_and_never_on_alpha(shot):
    shot.write([1])
    exact = shot.job("1")
    run(exact)
    alpha = read_image(shot.output(1)).channel("A")
    run(shot.job("1", params={"quality": "preview", "device": "cpu", "compression": "dwaa"}))
    assert read_header(shot.output(1)).main.compression.startswith("dwaa")
    assert torch.equal(read_image(shot.output(1)).channel("A"), alpha)


@pytest.mark.parametrize("source", ["roto", "core"])
def test_a_roto_or_two_mattes_stand_in_for_a_trimap(shot, source):
    shot.write_plate(1)
    alpha = shot.alpha_of(1)
    shot.save(shot.folder / "roto.exr", (alpha > 0.5).float(), ("A",))
    shot.save(shot.folder / "core.exr", (alpha >= 1).float(), ("A",))
    shot.save(shot.folder / "garbage.exr", (alpha <= 0).float(), ("A",))
    inputs = {"roto": "roto.exr"} if source == "roto" else {"core": "core.exr", "garbage": "garbage.exr"}
    params = {"quality": "preview", **({"erode": 5, "dilate": 5} if source == "roto" else {})}
    run(shot.job("1", inputs={"plate": shot.plate, **inputs}, params=params))
    assert (read_image(shot.output(1)).channel("A") - alpha).abs().mean() < 0.05


def test_nothing_is_asked_of_the_network(shot, monkeypatch):
    import socket

    def refuse(*args, **more):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert run(shot.write([1]).job("1"))["complete"]


def test_the_page_is_one_file_made_when_all_is_there(shot):
    shot.write([1, 2])
    job = shot.job("1-2", outputs={"matte": shot.matte, "page": "out/page.html"})
    run(job, [1])
    assert "page.html" not in shot.listing()
    run(job)
    text = (shot.folder / "out" / "page.html").read_text()
    assert "<img" in text
    assert "http" not in text.replace("http-equiv", "")


def test_the_demo_makes_solves_evaluates_and_shows(tmp_path):
    from sfumato_plugins.demo import demo_matte

    found = demo_matte(str(tmp_path), quick=True, quality=None, seed=0, teller=Teller())
    assert found["errors"]["frames"] == len(found["computed"]) == 3
    assert "the truth" in (tmp_path / "page.html").read_text()


def test_a_trimap_on_some_frames_is_carried_to_the_others_and_shown(shot):
    for frame in range(1, 5):
        shot.write_plate(frame)
    shot.write_trimap(1)
    shot.write_trimap(4)
    params = {"quality": "preview", "device": "cpu", "keyed_trimap": True, "layers": ["trimap"]}
    job = shot.job("1-4", params=params)
    run(job)
    between = read_image(shot.output(2)).channel("trimap.A")
    assert set(between.unique().tolist()) == {0.0, 0.5, 1.0}
    whole = contents(shot, [2, 3])
    for frame in (2, 3):
        shot.output(frame).unlink()
    run(job, [3])
    run(job, [2])
    assert contents(shot, [2, 3]) == whole
    shot.write_plate(4, change=0.5)
    assert run(job)["computed"] == {"main": [2, 3, 4]}


def test_a_keyed_trimap_needs_one_key_in_the_job(shot):
    shot.write([1])
    shot.write_plate(2)
    with pytest.raises(JobError, match="no frame of the job has a trimap") as caught:
        run(shot.job("2", params={"keyed_trimap": True}))
    assert caught.value.exit_code == 3


def test_despill_takes_the_screen_out_of_the_foreground_only(shot):
    shot.write_trimap(1)
    shot.save(shot.folder / "plate.0001.exr", shot.plate_of(1).flip(0))  # a blue subject
    run(shot.job("1", params={"quality": "preview", "layers": ["fg", "bg", "spill"], "despill": "blue"}))
    matte = read_image(shot.output(1))
    plain = shot.job("1", outputs={"matte": "plain/M.####.exr"})
    run(plain)
    before = read_image(shot.folder / "plain" / "M.0001.exr")
    assert (matte.channel("fg.B") <= before.channel("fg.B") + 1e-6).all()
    assert matte.channel("spill.A").max() > 0
    assert torch.equal(matte.channel("bg.B"), before.channel("bg.B"))
    assert torch.equal(matte.channel("A"), before.channel("A"))
