"""What a matte is made from: handles, missing frames, stills, holes, strokes, rotos, keyed trimaps."""

import json
import os

import pytest
import torch

from sfumato.errors import RequestError
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


def contents(shot, frames):
    return {frame: shot.output(frame).read_bytes() for frame in frames}


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


def test_frames_that_are_held_are_named(shot):
    shot.write([2, 4])
    shot.write_plate(3)
    heard = Listener()
    done = run(shot.job("1-4", missing="hold"), teller=heard)
    assert "note: plate is missing: 2 is held for 1" in heard.lines
    assert "note: trimap is missing: 2 is held for 1,3" in heard.lines
    assert done["held"] == {"main": {"plate": {2: (1,)}, "trimap": {2: (1, 3)}}}
    with open(done["result"], encoding="utf-8") as file:
        assert json.load(file)["held"]["main"]["trimap"] == {"2": [1, 3]}


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


def test_a_colour_picture_given_as_a_mask_is_read_by_its_red_and_says_so(shot):
    shot.write([1])
    said = Listener()
    shot.save(shot.folder / "g.0001.exr", torch.rand(3, 48, 64))
    run(shot.job("1", inputs={"plate": shot.plate, "trimap": shot.trimap, "garbage": "g.####.exr"}), teller=said)
    assert "matte: garbage is a colour picture without an A; its R is taken" in said.lines


def test_a_matte_is_not_a_clean_plate(shot):
    shot.write([1])
    with pytest.raises(RequestError, match="has one channel, Y, and no colours"):
        run(shot.job("1", inputs={"plate": shot.plate, "trimap": shot.trimap, "clean_plate": shot.trimap}))
