"""--save-job of every tool: a file that can be run, or a sentence about why it cannot be written."""

import json

import pytest

import sfumato_plugins
from sfumato_plugins.cli import main
from sfumato_plugins.job import load
from sfumato_plugins.text_file import write_text

TRACK = {
    "schema": "sfumato.track/1",
    "fps": 8,
    "start": 1,
    "count": 8,
    "size": [1920, 1080],
    "prompts": [[1, "a red ball on grass"]],
    "objects": [{"name": "ball", "phrases": ["red ball"], "keys": [{"frame": 1, "box": [0.1, 0.4, 0.5, 0.8]}]}],
}


@pytest.fixture
def words(request, tmp_path):
    """A command line for a tool, complete but for where its job goes."""
    request.getfixturevalue("shot").write([1])
    out = ["--out", str(tmp_path / "O.####.exr"), "--model", "embedded_micro", "--device", "cpu"]
    track = tmp_path / "track.json"
    track.write_text(json.dumps(TRACK))

    def of(tool):
        if tool == "matte":
            shot = request.getfixturevalue("shot")
            return ["matte", "--plate", shot.plate, "--trimap", shot.trimap, "--out", shot.matte]
        if tool in ("edit", "invert"):
            return request.getfixturevalue("editing").write(1).words(tool=tool)
        if tool == "face":
            return request.getfixturevalue("head").words(tmp_path / "solved")
        if tool == "place":
            return ["place", "--prompt", "a red ball on grass", "--box", "red ball:0.1,0.3,0.6,0.9", *out]
        return ["trail", "--track", str(track), *out]

    return of


@pytest.mark.parametrize("tool", [tool.name for tool in sfumato_plugins.TOOLS])
def test_a_job_that_cannot_be_saved_is_a_sentence(tool, words, tmp_path, capsys):
    line = words(tool)
    missing = tmp_path / "nowhere" / "job.json"
    assert main([*line, "--save-job", str(missing)]) == 2
    said = capsys.readouterr().err
    assert f"--save-job: {missing} cannot be written: No such file or directory" in said
    assert "Traceback" not in said
    assert main([*line, "--save-job", str(tmp_path / "job.json")]) == 0
    assert load(str(tmp_path / "job.json")).tool == tool


def test_a_text_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_text(str(tmp_path / "taken"), "words")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    write_text(str(tmp_path / "new.txt"), "wörds\n")
    assert (tmp_path / "new.txt").read_bytes() == "wörds\n".encode()
