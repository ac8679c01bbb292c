"""Placed pictures as files: the layers, the measured boxes, a story's panels, retries, and what makes a frame stale."""

import json
import re
import socket

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import RequestError
from sfumato.io import read_image
from sfumato.place.box import Box
from sfumato_plugins.cli import main
from sfumato_plugins.job import Job
from sfumato_plugins.ledger import read_journal
from sfumato_plugins.placing.detecting import measure_of
from sfumato_plugins.placing.outputs import layer_names, trimap
from sfumato_plugins.placing.review import look_first

BALL = Box(0.125, 0.375, 0.625, 0.875)
WORDS = ["--prompt", "a red ball on grass", "--box", f"red ball:{BALL}", "--model", "embedded_micro", "--device", "cpu"]
QUICK = ["--steps", "12", "--method", "fast", "--progress", "quiet"]


def place(*more, out, words=WORDS):
    return main(["place", *words, *QUICK, *map(str, more), "--out", str(out)])


@pytest.fixture(scope="module")
def placed(tmp_path_factory):
    """The folder of a placed picture with all that can be written; never changed by a test."""
    folder = tmp_path_factory.mktemp("placed")
    layers = "boxes,id,trimap"
    assert place("--layers", layers, "--html", folder / "O.html", out=folder / "O.exr") == 0
    return folder


def test_the_object_is_in_its_box_and_the_record_says_where_it_was_found(placed):
    stats = json.loads((placed / "O.json").read_text())["stats"]
    row = stats["objects"]["red ball"]
    assert row["asked"] == pytest.approx([0.125, 0.375, 0.625, 0.875])
    assert stats["iou"] == row["iou"] > 0.6
    assert Box(*row["asked"]).iou(Box(*row["found"])) == pytest.approx(row["iou"], abs=1e-4)
    assert (row["present"], stats["presence"], stats["size"]) == (True, 1.0, "16 x 16")


def test_the_picture_carries_boxes_an_id_and_a_trimap_as_layers(placed):
    picture = read_image(placed / "O.exr")
    boxes = [f"boxes.{c}" for c in "RGBA"]
    assert picture.channels == ("R", "G", "B", *boxes, "id_red_ball.A", "trimap_red_ball.A")
    assert (picture.data.width, picture.data.height) == (16, 16)
    line = picture.channel("boxes.A")[0]
    assert line[9, 2] > 0.4, "the left edge"
    assert line[9, 6] == 0, "nothing inside the box"
    values = set(picture.channel("trimap_red_ball.A").unique().tolist())
    assert values <= {0.0, 0.5, 1.0}
    assert {0.0, 0.5} <= values


def test_the_file_says_what_it_is_and_not_what_was_asked_in_words(placed):
    said = read_image(placed / "O.exr").metadata
    assert said["sfumato:generative"] == "yes"
    assert "sha256" in said["sfumato:trained_weights"]
    assert said["sfumato:origin"].startswith("display-referred")
    assert json.loads(said["sfumato:boxes"])["red ball"]["present"] is True
    assert not [value for value in said.values() if "grass" in str(value)]
    assert "grass" not in (placed / "O.result.json").read_text()


def test_the_page_holds_everything_and_calls_nobody(placed):
    page = (placed / "O.html").read_text()
    assert "default-src 'none'" in page
    assert "where it missed" in page
    assert "demo, not for shots" in page
    assert (placed / "O.contact.sheet.png").read_bytes()[:4] == b"\x89PNG"


def test_the_same_job_again_keeps_the_picture_and_another_box_makes_it_again(tmp_path):
    out = tmp_path / "O.exr"
    assert place("--save-job", tmp_path / "job.json", out=out) == 0
    for _ in range(2):
        assert main(["run", str(tmp_path / "job.json"), "--progress", "quiet"]) == 0
    moved = [word.replace("0.125,0.375", "0.25,0.375") for word in WORDS]
    assert place(out=out, words=moved) == 0
    lines = read_journal(str(tmp_path / "O.journal.jsonl"))
    assert [line["did"] for line in lines] == ["computed", "kept", "computed"]
    assert "box changed" in lines[-1]["why"]
    assert "0.25" not in lines[-1]["why"], "private parameters are never said"


def test_a_layer_in_the_name_gives_each_object_a_trimap_file_for_matte(tmp_path):
    assert place("--layers", "trimap", out=tmp_path / "O.{layer}.exr") == 0
    names = {path.name for path in tmp_path.glob("*.exr")}
    assert names == {"O.rgba.exr", "O.trimap_red_ball.exr"}
    assert read_image(tmp_path / "O.trimap_red_ball.exr").channels == ("A",)
    words = ["matte", "--plate", tmp_path / "O.rgba.exr", "--trimap", tmp_path / "O.trimap_red_ball.exr"]
    words += ["--quality", "preview", "--device", "cpu", "--progress", "quiet", "--out", tmp_path / "M.exr"]
    assert main([*map(str, words)]) == 0
    alpha = read_image(tmp_path / "M.exr").channel("A")
    assert float(alpha[0, 10, 6]) > 0.9
    assert float(alpha[0, 1, 14]) < 0.1


def test_a_story_has_a_picture_a_panel_and_a_changed_panel_alone_is_made_again(tmp_path):
    story = tmp_path / "story.json"
    panels = [
        {"prompt": "a red ball on grass", "boxes": {"ball": [0.1, 0.4, 0.6, 0.9]}},
        {"prompt": "a red ball and a blue box on sand",
         "boxes": {"cube": [0.5, 0.1, 0.95, 0.5], "ball": [0.05, 0.45, 0.5, 0.95]}},
    ]  # fmt: skip
    document = {"schema": "sfumato.story/1", "objects": {"ball": "red ball", "cube": "blue box"}, "panels": panels}
    story.write_text(json.dumps(document))
    words = ["--story", str(story), "--model", "embedded_micro", "--device", "cpu"]
    assert place("--html", tmp_path / "S.html", out=tmp_path / "S.####.exr", words=words) == 0
    assert {path.name for path in tmp_path.glob("S.*.exr")} == {"S.0001.exr", "S.0002.exr"}
    first, second = (read_image(tmp_path / f"S.000{n}.exr") for n in (1, 2))
    assert first.channels == second.channels
    assert float(first.channel("id_cube.A").max()) == 0, "not in this panel"
    sequence = json.loads((tmp_path / "S.result.json").read_text())["sequence"]["main"]
    assert set(sequence["objects"]) == {"ball", "cube"}
    assert (tmp_path / "S.gif").read_bytes()[:6] == b"GIF89a"
    panels[1]["boxes"]["cube"] = [0.5, 0.1, 0.9, 0.5]
    story.write_text(json.dumps(document))
    assert place(out=tmp_path / "S.####.exr", words=words) == 0
    last = read_journal(str(tmp_path / "S.journal.jsonl"))[-2:]
    assert {line["frame"]: line["did"] for line in last} == {1: "kept", 2: "computed"}


def test_a_try_that_misses_is_followed_by_more_strength_and_then_another_seed(tmp_path):
    assert place("--verify", "1", "--strength", "0", "--tries", "3", out=tmp_path / "O.exr") == 0
    stats = json.loads((tmp_path / "O.json").read_text())["stats"]
    tries = stats["tries"]
    assert [one["strength"] for one in tries] == [0, 0.5, 0.5]
    assert tries[0]["seed"] == tries[1]["seed"] != tries[2]["seed"]
    assert stats["verified"] is False
    assert stats["iou"] == pytest.approx(max(one["iou"] for one in tries)), "the best is kept"


def test_the_page_shows_first_the_frames_that_lack_something_and_says_what():
    def frame(present, **more):
        return {"objects": {"ring": {"asked": [0, 0, 1, 1], "present": present}}, "tries": [{}] * 3} | more

    stats = {
        1: frame(True, verified=False, unlike=["ring"]),
        2: frame(False, verified=False, unlike=[]),
        3: frame(True, verified=False, unlike=[]),
        4: frame(True, verified=True, unlike=[]),
    }
    assert look_first([{"frame": n, "iou": n / 10} for n in stats], stats) == [
        (1, "ring not as said in 3 tries"),
        (2, "ring not found"),
        (3, "not verified in 3 tries"),
    ]


def test_a_reached_target_ends_the_tries(tmp_path):
    assert place("--verify", "0.05", "--tries", "3", out=tmp_path / "O.exr") == 0
    stats = json.loads((tmp_path / "O.json").read_text())["stats"]
    assert (len(stats["tries"]), stats["verified"]) == (1, True)


def test_a_sites_own_detector_measures_what_ours_cannot_know(tmp_path, editing, monkeypatch):
    program = tmp_path / "detect.py"
    program.write_text(
        "import json, sys\nasked = json.load(sys.stdin)\nassert open(asked['picture'], 'rb').read(4) == b'\\x89PNG'\n"
        "print(json.dumps([[0.25, 0.25, 0.5, 0.5] if 'ball' in p else None for p in asked['phrases']]))\n"
    )
    import sys

    (tmp_path / "site.toml").write_text(f'detector = "{sys.executable} {program}"\n')
    monkeypatch.setenv("SFUMATO_SITE", str(tmp_path / "site.toml"))
    words = ["--prompt", "a red ball by a blue box", "--box", "red ball:.25,.25,.5,.5", "--box", "blue box:.5,.5,1,1"]
    words += ["--model", str(editing.model), "--device", "cpu"]
    assert place(out=tmp_path / "O.exr", words=words) == 0
    rows = json.loads((tmp_path / "O.json").read_text())["stats"]["objects"]
    assert rows["red ball"]["iou"] == 1.0
    assert (rows["blue box"]["iou"], rows["blue box"]["present"]) == (0.0, False)


@pytest.mark.parametrize(
    "command",
    ["/no/such/detector", "'unbalanced", " ", "echo [] [", "echo [[0,0,1,1],null]", "echo [[0.5,0,0.2,1]]", "false"],
)
def test_a_detector_that_gives_no_boxes_is_named(tmp_path, monkeypatch, command):
    (tmp_path / "site.toml").write_text(f'detector = "{command}"\n')
    monkeypatch.setenv("SFUMATO_SITE", str(tmp_path / "site.toml"))
    measure = measure_of(Job("place", (1,), {}, {}, params={"model": "/studio/model"}))
    with pytest.raises(RequestError, match=f"the site's detector gave no boxes: {re.escape(command)}: "):
        measure(torch.zeros(3, 8, 8), ["red ball"])


@given(st.lists(st.text("ab 2_-é", max_size=4), max_size=6, unique=True))
def test_every_object_has_layers_of_its_own(names):
    layers = layer_names(names)
    assert list(layers) == names
    assert len(set(layers.values())) == len(names)
    assert all(re.fullmatch(r"\w+", layer, re.ASCII) for layer in layers.values())


def test_layers_are_called_after_objects_even_where_one_is_called_as_another_s_layer():
    assert layer_names(["ball", "ball-", "ball_2"]) == {"ball": "ball", "ball-": "ball_2", "ball_2": "ball_2_2"}


def test_a_trimap_is_unsure_where_a_thing_ends():
    cover = torch.zeros(1, 7, 7)
    cover[:, 1:6, 1:6] = 1.0
    cover[:, 1, 1:6] = 0.4
    found = trimap(cover)[0]
    assert found[3, 3] == 1
    assert found[1, 3] == found[2, 3] == 0.5
    assert found[5, 3] == found[6, 3] == 0.5, "a pixel on either side of a hard edge"
    assert found[0, 0] == 0


def test_every_method_that_is_offered_is_one_of_the_engines():
    from sfumato.place.composed import COMPOSED
    from sfumato.place.methods import METHODS
    from sfumato_plugins.tools import place as still
    from sfumato_plugins.tools import trail as clip

    assert {*still.METHODS, *clip.METHODS} <= {*METHODS, *COMPOSED}


def test_a_picture_of_another_size_has_boxes_in_the_same_parts(tmp_path):
    assert place("--size", "32x16", out=tmp_path / "O.exr") == 0
    picture = read_image(tmp_path / "O.exr")
    assert (picture.data.width, picture.data.height) == (32, 16)
    assert json.loads((tmp_path / "O.json").read_text())["stats"]["objects"]["red ball"]["asked"][0] == 0.125
    assert place("--size", "17x16", out=tmp_path / "P.exr") == 2
    assert place("--size", "wide", out=tmp_path / "P.exr") == 2


def test_nothing_is_asked_of_the_network(tmp_path, monkeypatch):
    class Refused(socket.socket):
        def connect(self, *given):
            raise AssertionError(f"a connection to {given}")

        connect_ex = connect

    monkeypatch.setattr(socket, "socket", Refused)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: (_ for _ in ()).throw(AssertionError(given)))
    assert place("--html", tmp_path / "O.html", out=tmp_path / "O.exr") == 0
