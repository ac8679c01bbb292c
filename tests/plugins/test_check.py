"""`check` finds everything wrong in one list, in words for whoever can fix it, without torch."""

import shutil
import subprocess
import sys

import pytest

from sfumato_plugins.check import problems, problems_here
from sfumato_plugins.frames import Pattern


def found(job):
    return {p.where: (p.code, str(p)) for p in problems(job)}


def test_a_good_job_has_no_problem(shot):
    assert problems(shot.write([1, 2]).job("1-2")) == []


def test_everything_wrong_is_in_one_list(shot):
    import torch

    shot.write([1, 2])
    (shot.folder / "plate.0002.exr").write_bytes(b"no picture")
    shot.save(shot.folder / "garbage.0001.exr", torch.zeros(1, 24, 32), ("A",))
    shot.save(shot.folder / "garbage.0002.exr", torch.zeros(1, 48, 64), ("A",))
    job = shot.job(
        "1-3",
        inputs={"plate": shot.plate, "trimap": shot.trimap, "garbage": "garbage.####.exr", "key": "x"},
        params={"quality": "best"},
        color={"plate": "ACESgc"},
        outputs={"matte": "out/M.exr"},
        names={"version": "3"},
    )
    wrong = found(job)
    assert wrong["inputs.key"][0] == 2
    assert "garbage.0001.exr is 32 x 24, the plate is 64 x 48" in str([str(p) for p in problems(job)])
    assert "one of preview, standard, final" in wrong["params.quality"][1]
    assert "ACEScg" in wrong["color.plate"][1]
    assert "one file for 3 frames" in wrong["outputs.matte"][1]
    assert "like v003" in wrong["names.version"][1]
    assert wrong["inputs.trimap"][0] == 3
    assert any("plate.0002.exr cannot be read" in str(p) or "no frame 3" in str(p) for p in problems(job))


def test_an_unreadable_plate_and_one_without_colour_are_named(shot):
    import torch

    shot.write([1, 2])
    (shot.folder / "plate.0001.exr").write_bytes(b"")
    shot.save(shot.folder / "plate.0002.exr", torch.zeros(1, 48, 64), ("Z",))
    texts = [str(p) for p in problems(shot.job("1-2"))]
    assert any("plate.0001.exr is empty" in text for text in texts)
    assert any("has no R, G, B" in text for text in texts)
    assert {p.code for p in problems(shot.job("1-2"))} == {3}


@pytest.mark.parametrize(
    ("inputs", "params", "word"),
    [
        ({}, {}, "nothing says where the edge is"),
        ({"trimap": "trimap.####.exr", "roto": "trimap.####.exr"}, {}, "give only one"),
        ({"core": "trimap.####.exr"}, {}, "garbage matte"),
        ({"roto": "trimap.####.exr"}, {"keyed_trimap": True}, "no trimap to carry"),
        ({"trimap": "trimap.####.exr"}, {"half": True, "compact": True}, "leave one out"),
        ({"trimap": "trimap.####.exr"}, {"alpha_only": True, "layers": ["fg"]}, "writes no layers"),
    ],
)
def test_inputs_that_do_not_fit_together_are_explained(shot, inputs, params, word):
    job = shot.write([1]).job("1", inputs={"plate": shot.plate, **inputs}, params=params)
    assert any(word in str(p) for p in problems_here(job))


def test_a_result_may_not_overwrite_its_input(shot):
    job = shot.write([1]).job("1", outputs={"matte": "plate.####.exr"})
    assert any("would overwrite the input plate" in str(p) for p in problems_here(job))


def test_a_result_must_be_exr(shot):
    job = shot.write([1]).job("1", outputs={"matte": "m.####.png"})
    assert any("not an EXR" in str(p) for p in problems_here(job))


def test_a_folder_that_is_a_file_is_no_place_for_results(shot):
    shot.write([1])
    (shot.folder / "out").touch()
    assert any("is a file, not a folder" in str(p) for p in problems_here(shot.job("1")))


def test_a_folder_without_permission_is_named(shot, powerless):
    shot.write([1])
    out = powerless.folder / "out"
    out.mkdir(mode=0o500)
    job = shot.job("1", outputs={"matte": str(out / "M.####.exr")})
    with powerless():
        found = problems_here(job)
    assert any(f"no permission to write in {out}" in str(p) for p in found)


def test_an_input_that_this_user_may_not_read_is_named_as_such(shot, powerless):
    shot.write([1])
    folder = powerless.folder / "plates"
    shutil.copytree(shot.folder, folder)
    folder.chmod(0o755)
    inputs = {"plate": str(folder / "plate.####.exr"), "trimap": shot.trimap}
    with powerless():
        assert Pattern(inputs["plate"]).on_disk() == (1,)
    folder.chmod(0)
    with powerless():
        found = [p for p in problems_here(shot.job("1", inputs=inputs)) if p.where == "inputs.plate"]
    folder.chmod(0o755)
    assert [(p.what, p.code) for p in found] == [(f"the folder {folder} is not readable by this user", 3)]


def test_views_need_names_and_names_need_views(shot):
    shot.write([1])
    asked = shot.job("1", inputs={"plate": "p.%V.####.exr", "trimap": shot.trimap})
    assert any("--views left,right" in str(p) for p in problems_here(asked))
    both = shot.job("1", views=("left", "right"))
    assert any("put %V into the name" in str(p) for p in problems_here(both))


def test_another_config_than_the_one_promised_is_refused(shot):
    job = shot.write([1]).job("1", color={"config_hash": "0" * 64})
    assert "not the config this job was made with" in found(job)["color.config_hash"][1]


def test_a_config_that_is_not_there_is_refused(shot):
    job = shot.write([1]).job("1", color={"config": "nowhere/config.ocio"})
    assert found(job)["color.config"][0] == 2


def test_a_disk_too_small_is_seen_before(shot, monkeypatch):
    import collections
    import shutil

    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    assert "1 MiB may be needed" in found(shot.write([1]).job("1"))["outputs.matte"][1]


def test_checking_imports_no_torch(shot):
    shot.write([1]).job("1").save(str(shot.folder / "job.json"))
    code = f"""
import sys
from sfumato_plugins.cli import main
code = main(["check", {str(shot.folder / "job.json")!r}])
sys.exit(code or ("torch" in sys.modules) * 50)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "nothing is wrong with this job\n"


def test_a_layer_that_is_none_is_a_sentence_and_not_a_crash(shot):
    said = found(shot.write([1]).job("1", params={"quality": "preview", "layers": ["fg", "bgg"]}))
    assert said["params.layers"][0] == 2
