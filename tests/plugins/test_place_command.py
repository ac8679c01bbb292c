"""Wrong boxes and words through the command itself: each is named in a sentence, before anything is computed."""

import json
import subprocess
import sys

import pytest

from sfumato.place.track_file import SCHEMA
from sfumato_plugins.cli import main

PROMPT = "a red ball and a blue box on grass"


@pytest.fixture
def said(tmp_path, capsys):
    """said(words, ...) runs the command in this process: (exit code, what it said). Nothing may be written."""

    def run(*words, tool="place"):
        model = () if "--model" in words else ("--model", "embedded_micro")
        out = "O.####.exr" if "--story" in words or tool == "trail" else "O.exr"
        words = (*words, *model, "--steps", "2", "--method", "fast", "--device", "cpu")
        code = main([tool, *map(str, words), "--out", str(tmp_path / "out" / out), "--progress", "quiet"])
        text = capsys.readouterr().err
        assert "Traceback" not in text
        assert code == 0 or not list(tmp_path.glob("out/*.exr"))
        return code, text

    return run


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        ("red ball:1.2,0.5,1.4,0.8", "the box of “red ball” (1.2,0.5,1.4,0.8) is outside the frame"),
        ("red ball:0.5,0.5,0.4,0.8", "the box 0.5,0.5,0.4,0.8 is empty"),
        ("red ball:0.501,0.501,0.503,0.503", "is empty at the model's size of 16 x 16 places"),
        ("green cone:0.1,0.1,0.4,0.4", f"“green cone” is not in the prompt “{PROMPT}”"),
        ("ed ball:0.1,0.1,0.4,0.4", "“ed ball” is not in the prompt"),
        ("red ball:0.1,0.5,0.4", "'red ball:0.1,0.5,0.4' should be written like red ball:0.1,0.5,0.4,0.8"),
        ("red ball", "'red ball' should be written like"),
    ],
)
def test_a_box_that_cannot_be_is_named_and_is_2(said, box, sentence):
    code, text = said("--prompt", PROMPT, "--box", box)
    assert (code, sentence in text) == (2, True), text


def test_two_objects_with_one_phrase_are_2(said):
    code, text = said("--prompt", PROMPT, "--box", "red ball:.1,.1,.4,.4", "--box", "again=Red ball:.5,.5,.9,.9")
    assert (code, "two objects have the phrase “Red ball”" in text) == (2, True), text


def test_everything_wrong_is_said_in_one_list(said):
    code, text = said("--prompt", PROMPT, "--box", "red ball:1.2,0,1.4,1", "--box", "cone:0,0,1,1")
    assert code == 2
    assert "outside the frame" in text
    assert "“cone” is not in the prompt" in text


def test_a_prompt_without_boxes_and_boxes_without_a_prompt_are_2(said):
    code, text = said("--prompt", PROMPT)
    assert (code, "params.box: is missing" in text) == (2, True)
    code, text = said("--box", "red ball:.1,.1,.4,.4")
    assert (code, "params.prompt: is missing" in text) == (2, True)


def story(tmp_path, **more):
    path = tmp_path / "story.json"
    panels = [{"prompt": "a red ball on grass", "boxes": {"ball": [0.1, 0.4, 0.5, 0.8]}}]
    document = {"schema": "sfumato.story/1", "objects": {"ball": "red ball", "cube": "blue box"}, "panels": panels}
    path.write_text(json.dumps({**document, **more}))
    return path


@pytest.mark.parametrize(
    ("panel", "sentence"),
    [
        ({"prompt": "a red ball", "boxes": {"bal": [0, 0, 1, 1]}}, "panel 1 has a box for 'bal', no object"),
        ({"prompt": "a red ball", "boxes": {"ball": [0, 0, 1]}}, "the box of 'ball' in panel 1 is [0, 0, 1]"),
        ({"prompt": "a red ball", "boxes": {"cube": [0, 0, 1, 1]}}, "panel 1: “blue box” is not in the prompt"),
        ({"boxes": {"ball": [0, 0, 1, 1]}}, "panel 1 has no prompt"),
        ({"prompt": "a red ball", "boxes": {"ball": [2, 0, 3, 1]}}, "panel 1: the box of “ball” (2,0,3,1) is outside"),
    ],
)
def test_a_story_that_cannot_be_is_named_with_its_panel(said, tmp_path, panel, sentence):
    code, text = said("--story", story(tmp_path, panels=[panel]))
    assert (code, sentence in text) == (2, True), text


def test_a_story_and_a_prompt_together_are_2_and_a_missing_story_is_3(said, tmp_path):
    code, text = said("--story", story(tmp_path), "--prompt", PROMPT)
    assert (code, "params.prompt: is given beside a story" in text) == (2, True)
    assert said("--story", tmp_path / "nowhere.json")[0] == 3


def test_a_panel_that_the_story_lacks_is_2(said, tmp_path):
    code, text = said("--story", story(tmp_path), "--frames", "1-2")
    assert (code, "the story has no panel 2" in text) == (2, True)


def track(tmp_path, **more):
    keys = [{"frame": 1001, "box": [0.1, 0.4, 0.5, 0.8]}, {"frame": 1004, "box": [0.5, 0.4, 0.9, 0.8]}]
    one = {"name": "ball", "phrases": ["red ball"], "keys": keys}
    document = {
        "schema": SCHEMA,
        "fps": 8,
        "start": 1001,
        "count": 4,
        "size": [1920, 1080],
        "objects": [one],
    }
    path = tmp_path / "track.json"
    path.write_text(json.dumps({**document, "prompts": [[1001, "a red ball on grass"]], **more}))
    return path


def test_a_track_shorter_than_the_range_is_2(said, tmp_path):
    code, text = said("--track", track(tmp_path), "--frames", "1001-1008", tool="trail")
    assert code == 2
    assert "the track of “ball” ends: it has frames 1001 to 1004, and 1001-1008 are to be rendered" in text


def test_everything_wrong_with_a_track_is_said_at_once(said, tmp_path):
    keys = [{"frame": 1, "box": [1.1, 0, 1.5, 1]}]
    away = {"name": "cube", "phrases": ["blue box"], "keys": keys}
    short = {"name": "ball", "phrases": ["red ball"], "start": 1001, "boxes": [[0.1, 0.4, 0.5, 0.8]] * 4}
    words = [[1001, "a red ball and a blue box"]]
    path = track(tmp_path, objects=[short, away], prompts=words)
    code, text = said("--track", path, "--frames", "1001-1008", tool="trail")
    assert code == 2
    assert text.count("the track of “ball” ends") == 1
    assert "the box of “cube” (1.1,0,1.5,1) is outside the frame in every frame" in text


def test_a_track_that_never_enters_the_frame_is_2(said, tmp_path):
    away = {"name": "ball", "phrases": ["red ball"], "keys": [{"frame": 1, "box": [1.1, 0, 1.5, 1]}]}
    code, text = said("--track", track(tmp_path, objects=[away]), tool="trail")
    assert (code, "is outside the frame in every frame" in text) == (2, True), text


def test_a_track_without_words_wants_a_prompt_and_takes_one(said, tmp_path):
    code, text = said("--track", track(tmp_path, prompts=[]), tool="trail")
    assert (code, "nothing says what the picture shows" in text) == (2, True), text


def test_a_file_that_is_no_track_is_named(said, tmp_path):
    (tmp_path / "notes.txt").write_text("no track")
    (tmp_path / "cut.json").write_text('{"schema": "sfumato.tra')
    assert said("--track", tmp_path / "nowhere.json", tool="trail")[0] == 3
    code, text = said("--track", tmp_path / "cut.json", tool="trail")
    assert (code, "is no JSON" in text) == (3, True)
    code, text = said("--track", tmp_path / "notes.txt", tool="trail")
    assert code in (2, 3)
    assert "notes.txt" in text


def test_a_check_of_boxes_that_nobody_can_make_is_2(said, editing):
    code, text = said("--prompt", PROMPT, "--box", "red ball:0,0,1,1", "--verify", ".5", "--model", editing.model)
    assert (code, "nothing here finds objects in the pictures of that model" in text) == (2, True), text


def test_checking_a_placement_imports_no_torch(tmp_path):
    words = ["place", "--prompt", PROMPT, "--box", "red ball:.1,.1,.5,.5", "--model", "embedded_micro"]
    assert main([*words, "--out", str(tmp_path / "O.exr"), "--save-job", str(tmp_path / "job.json")]) == 0
    code = f"""
import sys
from sfumato_plugins.cli import main
code = main(["check", {str(tmp_path / "job.json")!r}])
sys.exit(code or bool({{"torch", "diffusers"}} & set(sys.modules)) * 50)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
