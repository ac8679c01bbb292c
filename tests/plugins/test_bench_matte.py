"""`sfumato bench matte` measures what it says, keeps what it measured, and hands back one document."""

import json
import pathlib

import pytest
import torch

from sfumato.errors import RequestError
from sfumato_plugins.benches import extras, matte, ours, peers
from sfumato_plugins.benches.clips import find_clips
from sfumato_plugins.benches.stills import find_stills, reduce_area
from sfumato_plugins.benches.strokes import scribble, scribbled
from sfumato_plugins.benches.table import METRICS, Rows, as_table, means
from sfumato_plugins.benches.targets import targets

ROW = ("case", "method", "trimap", "frames", *METRICS)


@pytest.fixture
def photographs(tmp_path: pathlib.Path) -> pathlib.Path:
    """Two discs laid out like alphamatting.com's training set."""
    from sfumato.io import write_image
    from sfumato.plate import Plate, Window

    frame = extras.disc().load(1)
    for name in ("A01", "B02"):
        for part, pixels in (
            ("image", frame.image.clamp(0, 1)),
            ("alpha", frame.truth.expand(3, -1, -1)),
            ("trimap1", frame.trimap.expand(3, -1, -1)),
            ("trimap2", frame.trimap.expand(3, -1, -1)),
        ):
            (tmp_path / part).mkdir(exist_ok=True)
            window = Window(0, 0, pixels.shape[2], pixels.shape[1])
            plate = Plate(pixels.contiguous(), ("R", "G", "B"), None, window, window, coded=True)
            write_image(tmp_path / part / f"{name}.png", plate)
    return tmp_path


def row(case: str, method: str, **numbers: float) -> dict:
    empty = dict.fromkeys(METRICS)
    return {"case": case, "method": method, "trimap": 1, "frames": 1, **empty, **numbers}


def test_photographs_are_found_and_reduced_by_area(photographs: pathlib.Path):
    cases = find_stills(photographs, long=24)
    assert [case.name for case in cases] == ["A01", "B02"]
    frame = cases[0].load(1)
    assert frame.image.shape == (3, 24, 24)
    assert not cases[0].linear
    assert find_stills(photographs / "image") == []


def test_a_trimap_pixel_stays_known_only_if_all_of_it_is_known(photographs: pathlib.Path):
    whole = find_stills(photographs, long=48)[0].load(1).trimap
    small = find_stills(photographs, long=32)[0].load(1).trimap
    known = reduce_area((whole != 0.5).float(), (32, 32))
    assert torch.equal(small != 0.5, known > 1 - 1e-5)


def test_reducing_by_area_keeps_the_mean():
    picture = torch.rand(2, 37, 53)
    assert torch.allclose(reduce_area(picture, (11, 17)).mean((1, 2)), picture.mean((1, 2)), atol=1e-6)
    assert torch.allclose(reduce_area(picture, (37, 53)), picture)


def test_clips_are_read_with_their_truth(tmp_path: pathlib.Path):
    from sfumato.io import write_image
    from sfumato.plate import Plate, Window

    window = Window(0, 0, 6, 4)
    for number in (1, 2):
        (tmp_path / "ball").mkdir(exist_ok=True)
        for name, channels, value in (("plate", "RGB", 7.0), ("gt_premult", "RGBA", 0.25)):
            plate = Plate(torch.full((len(channels), 4, 6), value), tuple(channels), None, window, window)
            write_image(tmp_path / "ball" / f"{name}.{number:04d}.exr", plate)
        grey = Plate(torch.full((1, 4, 6), 128 / 255), ("Y",), None, window, window, coded=True)
        write_image(tmp_path / "ball" / f"trimap.{number:04d}.png", grey)
    (case,) = find_clips(tmp_path)
    assert (case.name, case.numbers, case.linear, case.clip) == ("ball", (1, 2), True, True)
    frame = case.load(2)
    assert frame.image.max() == 7
    assert (frame.truth == 0.25).all()
    assert (frame.trimap == 0.5).all()


def test_strokes_keep_a_few_known_pixels_and_never_lie():
    trimap = torch.full((1, 120, 160), 0.5)
    trimap[0, :, :50] = 0
    trimap[0, 30:90, 100:] = 1
    found = scribble(trimap, share=0.05, seed=1)
    for value in (0.0, 1.0):
        share = float((found == value).sum() / (trimap == value).sum())
        assert 0.005 < share < 0.0501
        assert (trimap[found == value] == value).all()
    assert torch.equal(found, scribble(trimap, share=0.05, seed=1))
    assert not torch.equal(found, scribble(trimap, share=0.05, seed=2))


def test_a_scribbled_case_says_so():
    case = scribbled(extras.disc())
    assert case.name == "disc scribbles"
    assert (case.load(1).trimap == 0.5).sum() > (extras.disc().load(1).trimap == 0.5).sum()


def test_a_held_frame_differs_in_grain_alone():
    case = extras.held(extras.disc(), frames=3)
    one, two = case.load(1), case.load(2)
    assert case.numbers == (1, 2, 3)
    assert 0 < (one.image - two.image).abs().mean() < 0.02
    assert torch.equal(one.truth, two.truth)
    assert torch.equal(one.image, case.load(1).image)


def test_the_clean_plate_of_a_composite_is_what_is_behind_it():
    from dataclasses import replace

    frame = extras.disc().load(1)
    behind = torch.rand(3, 1, 1).expand(3, 48, 48)
    premultiplied = frame.truth * torch.tensor([2.0, 0.5, 0.1]).view(3, 1, 1)
    whole = replace(frame, image=premultiplied + (1 - frame.truth) * behind, premultiplied=premultiplied)
    found = extras.with_clean_plate(replace(extras.disc(), load=lambda number: whole)).load(1).clean
    assert torch.allclose(found, behind, atol=1e-4)


def test_means_are_by_method_and_leave_undefined_numbers_out():
    found = means([row("a", "knn", mse=2.0), row("b", "knn", mse=4.0, dtssd=1.0), row("a", "sfumato", mse=1.0)])
    assert found["knn"]["mse"] == 3
    assert found["knn"]["dtssd"] == 1
    assert found["knn"]["sad"] is None
    assert found["sfumato"]["cases"] == 1


def test_targets_compare_with_the_peers_of_the_same_run():
    rows = [
        row("GT01", "sfumato", mse=8.0, sad=1.0, grad=1.0),
        row("GT01", "closed-form", mse=10.0, sad=1.1, grad=2.0),
        row("GT01", "knn", mse=7.0, sad=1.2, grad=1.0),
        row("beachball_clip", "sfumato", mse=2.0, dtssd=1.0),
        row("beachball_clip", "closed-form", mse=2.2, dtssd=2.0),
        row("beachball_clip", "cf-srgb", mse=17.0),
        row("GT01 scribbles", "sfumato", mse=50.0),
        row("GT01 scribbles", "closed-form", mse=60.0),
    ]
    met = {target["name"]: target["met"] for target in targets(rows, ["beachball_clip"])}
    assert met["photographs: mean mse over closed-form's"]
    assert not met["photographs: mean mse over knn's"]
    assert met["photographs: worst mse over closed-form's"]
    assert met["beachball_clip: mse over cf-srgb's"]
    assert met["beachball_clip: dtssd over closed-form's"]
    assert met["scribbles: mean mse over closed-form's"]
    assert targets([row("x", "knn", mse=1.0)], []) == []


def test_rows_survive_a_crash_in_the_middle_of_a_line(tmp_path: pathlib.Path):
    path = tmp_path / "rows.jsonl"
    Rows(path).put(Rows.key(case="a"), {"row": 1})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"key": "cut o')
    again = Rows(path)
    assert again.get(Rows.key(case="a")) == {"row": 1}
    again.put(Rows.key(case="b"), {"row": 2})
    assert Rows(path).get(Rows.key(case="b")) == {"row": 2}


def test_a_table_aligns_words_left_and_numbers_right():
    lines = as_table([{"case": "a", "mse": 1.0}, {"case": "long", "mse": None}], ("case", "mse")).splitlines()
    assert lines[2] == "a     1.00"
    assert lines[3] == "long     -"


def test_an_empty_folder_is_a_request_that_cannot_be_met(tmp_path: pathlib.Path):
    with pytest.raises(RequestError, match="nothing to measure"):
        matte.run(tmp_path)


def test_an_unknown_method_is_named(photographs: pathlib.Path):
    with pytest.raises(RequestError, match="shared"):
        matte.run(photographs, methods=["shared"])


def test_a_missing_peer_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "pymatting", None)
    with pytest.raises(RequestError, match="PyMatting") as caught:
        peers.load()
    assert "sfumato[bench]" in caught.value.hint


def test_every_ablation_changes_a_setting_that_exists():
    from dataclasses import replace

    from sfumato.matte.settings import preset

    for changes in ours.ablations("standard").values():
        assert replace(preset("standard"), **changes) != preset("standard")


ALL_PEERS = pytest.param(["sfumato", "closed-form", "knn", "lbdm"], marks=pytest.mark.slow)  # numba compiles each


@pytest.mark.parametrize("methods", [["sfumato", "closed-form"], ALL_PEERS])
def test_the_document_is_whole_and_rows_are_kept(
    photographs: pathlib.Path, capsys: pytest.CaptureFixture[str], methods
):
    pytest.importorskip("pymatting", reason="PyMatting is the peer that is measured")
    said: list[str] = []
    options = {"quality": "preview", "long": 48, "scribbles": True, "rows": photographs / "rows.jsonl"}
    options["methods"] = methods
    document = matte.run(photographs, **options, say=said.append)
    assert capsys.readouterr().out == ""
    assert {"bench", "version", "device", "rows", "means", "ablations", "targets"} <= set(document)
    assert {r["method"] for r in document["rows"]} == set(methods)
    assert all(tuple(r) == ROW for r in document["rows"])
    assert all(r["dtssd"] is None and r["messddt"] is None and r["seconds"] > 0 for r in document["rows"])
    assert document["means"]["closed-form"]["cases"] == 2
    assert json.loads(json.dumps(document)) == document
    assert "closed-form" in matte.as_text(document)
    again = matte.run(photographs, **options)
    assert again["rows"] == document["rows"]


def test_what_each_step_for_speed_buys_is_a_table(photographs: pathlib.Path):
    document = matte.run(photographs, quality="preview", long=48, limit=1, methods=["sfumato"], steps=True)
    told = {row["step"]: row["undone"] for row in document["steps"]}
    assert told["threads"] == "one thread"
    assert told["memory kept"] == "glibc's thresholds"
    assert all(row["times"] == row["undone_seconds"] / row["seconds"] > 0 for row in document["steps"])
    assert "one thread" in matte.as_text(document)
