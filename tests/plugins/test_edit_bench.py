"""`bench edit` and `demo edit` on a model that knows nothing: what they measure, keep and show."""

import json
from dataclasses import replace

import pytest
import torch

from sfumato.errors import InputError, RequestError
from sfumato_plugins.benches import edit as bench
from sfumato_plugins.benches.edit_cases import Case, own, rendered
from sfumato_plugins.benches.edit_methods import EQUAL, METHODS, Settings
from sfumato_plugins.cli import main

QUICK = Settings(steps=5)


@pytest.fixture(scope="module")
def document(tiny_model):
    return bench.run(tiny_model, count=3, settings=QUICK)


def test_the_document_has_the_form_of_all_benches_and_equal_calls(document):
    assert {"bench", "version", "device", "rows", "means", "targets"} <= set(document)
    assert {row["method"] for row in document["rows"]} == set(EQUAL)
    assert len(document["rows"]) == 3 * len(EQUAL)
    assert len({row["calls"] for row in document["rows"]}) == 1
    for row in document["rows"]:
        assert {"case", "structure", "psnr", "background", "changed", "seconds"} <= set(row)
    assert {t["name"].split(" ")[0] for t in document["targets"]} == {
        "calls",
        "structure",
        "psnr",
        "background",
        "edits",
    }
    assert all(set(t) == {"name", "value", "bound", "met"} for t in document["targets"])
    assert json.loads(json.dumps(document)) == document


def test_bdia_keeps_more_than_ddim_even_of_a_network_that_knows_nothing(document):
    """An inexact trip has lost something before the words come to it."""
    ours, theirs = document["means"]["BDIA"], document["means"]["DDIM"]
    assert ours["psnr"] > theirs["psnr"]
    assert ours["background"] < theirs["background"]
    apart = {(d["against"], d["measure"]): d for d in document["differences"]}
    assert apart["DDIM", "psnr"]["mean"] == pytest.approx(ours["psnr"] - theirs["psnr"])


def test_rows_are_kept_and_taken_up(tiny_model, tmp_path):
    rows = tmp_path / "rows.jsonl"
    said = []
    first = bench.run(tiny_model, count=2, settings=QUICK, methods=["BDIA"], rows=rows)
    again = bench.run(tiny_model, count=3, settings=QUICK, methods=["BDIA"], rows=rows, say=said.append)
    assert again["rows"][:2] == first["rows"]
    assert said == ["BDIA: 1 edits"]
    for other in (replace(QUICK, guidance=2.0), replace(QUICK, steps=6)):
        assert bench.run(tiny_model, count=1, settings=other, methods=["BDIA"], rows=rows)["rows"] != first["rows"][:1]


def test_cases_are_scenes_whose_object_gets_a_colour_nothing_else_has():
    cases = rendered(60, 32, 0)
    assert len({case.name for case in cases}) == 60
    for case in cases:
        assert case.colour in case.target.split()
        assert case.colour not in case.source.split()
        assert case.source.split()[-1] == case.target.split()[-1], "the same ground"
        assert 0.02 < float(case.cover.mean()) < 0.5
    assert torch.equal(rendered(1, 32, 0)[0].picture, cases[0].picture)


def test_the_detector_sees_a_change_that_was_made_and_none_that_was_not():
    """On what the renderer itself makes of both prompts, at a size where shapes are sure."""
    from sfumato.models.training.render import render
    from sfumato.models.training.scenes import Scene, Thing

    ball = Thing("ball", "red", 0.5, 0.5, 0.5)
    (red, blue), (cover, _) = render([Scene((ball,), "grass"), Scene((replace(ball, colour="blue"),), "grass")], 64)
    case = Case("red to blue", red, cover, "a red ball", "a blue ball", "blue", ball.box)
    assert bench.score(case, red, blue)["changed"] is True
    kept = bench.score(case, red, red)
    assert kept["changed"] is False
    assert (kept["structure"], kept["background"], kept["psnr"]) == (0, 0, bench.EQUAL_DB)
    assert bench.changed(replace(case, colour=None), blue) is None


def test_pictures_of_ones_own_are_listed_in_a_file(tiny_model, tmp_path):
    cases = rendered(2, 48, 1)
    for i, case in enumerate(cases):
        _png(tmp_path / f"{i}.png", case.picture)
        _png(tmp_path / f"{i}.mask.png", case.cover.expand(3, -1, -1))
    listed = [
        {"picture": f"{i}.png", "mask": f"{i}.mask.png", "source": c.source, "target": c.target}
        for i, c in enumerate(cases)
    ]
    (tmp_path / "edits.json").write_text(json.dumps(listed))
    found = own(tmp_path, (32, 32))
    assert [tuple(c.picture.shape) for c in found] == [(3, 32, 32)] * 2
    document = bench.run(tiny_model, data=tmp_path, settings=QUICK)
    assert document["means"]["BDIA"]["changed"] is None
    assert "changed" in bench.as_text(document)
    (tmp_path / "edits.json").write_text('[{"picture": "0.png"}]')
    with pytest.raises(RequestError, match="no mask"):
        own(tmp_path, (32, 32))
    (tmp_path / "edits.json").unlink()
    with pytest.raises(InputError, match=r"edits\.json cannot be read"):
        own(tmp_path, (32, 32))


def _png(path, pixels):
    from sfumato.io import write_image
    from sfumato.plate import Plate, Window

    window = Window(0, 0, pixels.shape[2], pixels.shape[1])
    write_image(path, Plate(pixels.contiguous(), ("R", "G", "B"), None, window, window, coded=True))


def test_an_unknown_method_is_named(tiny_model):
    with pytest.raises(RequestError, match="no method called EDICT"):
        bench.run(tiny_model, methods=["EDICT"])
    assert set(EQUAL) < set(METHODS)


def test_the_command_prints_one_document(tiny_model, capsys):
    words = ["bench", "edit", "--model", tiny_model, "--count", "1", "--steps", "5", "--methods", "BDIA;DDIM", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["steps"] == 5
    assert main(words[:-1]) == 0
    assert "structure against DDIM's" in capsys.readouterr().out
    assert main([*words[:3], "/nowhere", *words[4:]]) == 2


def test_the_demo_edits_a_plate_it_draws_and_says_what_came_of_it(tiny_model, tmp_path, capsys):
    from sfumato.io import read_image

    words = ["demo", "edit", "--quick", "--out", str(tmp_path), "--model", tiny_model, "--json", "--progress", "quiet"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seen"]["before"] == "a red ball"
    assert found["kept"] == 1.0
    assert found["exact"] is True
    plate = read_image(tmp_path / "plate" / "plate.1001.exr").pixels
    assert plate.nan_to_num(0).max() > 50
    assert plate.nan_to_num(0).min() < 0
    assert plate.isnan().any()
    assert "red ball to blue ball" in (tmp_path / "page.html").read_text()
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["computed"] == []
