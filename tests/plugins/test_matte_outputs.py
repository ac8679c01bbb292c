"""What comes out of a matte: channels, layers, views, compression, versions, the page."""

import json

import pytest
import torch

from sfumato.io import read_header, read_image
from sfumato_plugins.cli import summary
from sfumato_plugins.errors import JobError
from sfumato_plugins.run import run


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


def test_lossy_compression_is_used_only_when_asked_and_never_on_alpha(shot):
    shot.write([1])
    exact = shot.job("1")
    run(exact)
    alpha = read_image(shot.output(1)).channel("A")
    run(shot.job("1", params={"quality": "preview", "device": "cpu", "compression": "dwaa"}))
    assert read_header(shot.output(1)).main.compression.startswith("dwaa")
    assert torch.equal(read_image(shot.output(1)).channel("A"), alpha)


def test_the_page_is_one_file_made_when_all_is_there(shot):
    shot.write([1, 2])
    job = shot.job("1-2", outputs={"matte": shot.matte, "page": "out/page.html"})
    page = shot.folder / "out" / "page.html"
    assert "page" not in summary(run(job, [1]))
    assert not page.exists()
    for _ in range(2):  # made, then kept
        assert summary(run(job)).splitlines()[1:] == [f"page {page}"]
    text = page.read_text()
    assert "<img" in text
    assert "http" not in text.replace("http-equiv", "")


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
