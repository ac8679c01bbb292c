"""The job file: every wrong field is named, and what is right comes back the same."""

import json

import pytest

import sfumato_plugins
from sfumato_plugins.errors import JobError
from sfumato_plugins.job import Job, load, read

GOOD = {
    "schema": "sfumato.job/1",
    "tool": "matte",
    "frames": "1001-1004",
    "seed": 7,
    "inputs": {"plate": "plate/a.####.exr", "trimap": "trimap/a.####.exr"},
    "outputs": {"matte": "matte/a.####.exr"},
    "params": {"quality": "final"},
    "color": {"plate": "ACEScg"},
    "views": ["left", "right"],
    "handles": 2,
}


def test_a_job_written_and_read_is_the_same(tmp_path):
    job = read(GOOD, str(tmp_path))
    job.save(str(tmp_path / "job.json"))
    assert load(str(tmp_path / "job.json")) == job
    assert json.loads((tmp_path / "job.json").read_text()) == GOOD
    assert [p.name for p in tmp_path.iterdir()] == ["job.json"]


def test_paths_start_from_the_job_file(tmp_path):
    job = read(GOOD, str(tmp_path)).each_view()[0]
    assert job.input("plate").at(1001) == str(tmp_path / "plate" / "a.1001.exr")
    assert job.input("clean_plate") is None


def test_handles_are_written_and_context_is_only_read():
    job = read({**GOOD, "handles": 1, "context": 2}, "")
    assert job.written == (1000, 1001, 1002, 1003, 1004, 1005)
    assert job.shot == tuple(range(998, 1008))


def test_the_hash_follows_what_is_asked_and_not_where_the_file_lies():
    assert read(GOOD, "/a").hash == read(GOOD, "/b").hash
    assert read(GOOD, "").hash != read({**GOOD, "seed": 8}, "").hash


@pytest.mark.parametrize(
    ("change", "field", "word"),
    [
        ({"schema": "sfumato.job/2"}, "schema", "newer sfumato"),
        ({"schema": None}, "schema", "sfumato.job/1"),
        ({"tool": 3}, "tool", "the name of a tool"),
        ({"frames": [1, 2]}, "frames", "a text like"),
        ({"frames": "one"}, "frames", "frame range"),
        ({"seed": "7"}, "seed", "whole number"),
        ({"seed": -1}, "seed", "outside"),
        ({"seed": True}, "seed", "whole number"),
        ({"imputs": {}}, "imputs", "did you mean 'inputs'"),
        ({"inputs": {"plate": 3}}, "inputs.plate", "should be text"),
        ({"handles": -1}, "handles", "negative"),
        ({"missing": "maybe"}, "missing", "error, hold, skip"),
        ({"views": [1]}, "views", "name"),
        ({"params": []}, "params", "object"),
    ],
)
def test_a_wrong_field_is_named(change, field, word):
    with pytest.raises(JobError) as caught:
        read({**GOOD, **change}, "")
    assert caught.value.exit_code == 2
    assert any(p.where == field and word in str(p) for p in caught.value.problems)


def test_everything_wrong_comes_in_one_list():
    with pytest.raises(JobError) as caught:
        read({"schema": "sfumato.job/1", "tool": "matte", "frames": "x", "inputs": {}, "seeds": 1}, "")
    assert {p.where for p in caught.value.problems} == {"frames", "outputs", "seeds"}


def test_a_file_that_is_no_job_says_so(tmp_path):
    (tmp_path / "cut.json").write_text('{"schema": "sfum')
    for name, word, code in (("cut.json", "is not JSON", 2), ("none.json", "cannot be read", 3)):
        with pytest.raises(JobError, match=word) as caught:
            load(str(tmp_path / name))
        assert caught.value.exit_code == code


def test_parameters_of_the_tool_are_checked_by_name_kind_and_range():
    tool = sfumato_plugins.tool("matte")
    wrong = {"qality": "final", "quality": "best", "erode": -1, "half": 1, "layers": ["fg", "z"], "dilate": True}
    found = {p.where: str(p) for p in tool.parameter_problems(wrong)}
    assert "did you mean 'quality'?" in found["params.qality"]
    assert "preview, standard, final" in found["params.quality"]
    assert "outside 0 to 500" in found["params.erode"]
    assert "true or false" in found["params.half"]
    assert "'z'" in found["params.layers"]
    assert "not a number" in found["params.dilate"]
    assert tool.parameter_problems({p.name: p.default for p in tool.parameters}) == []


def test_a_tool_that_is_not_there_is_named():
    with pytest.raises(JobError, match="no tool 'mate'"):
        sfumato_plugins.tool("mate")


def test_a_tool_describes_itself_in_json():
    text = json.dumps(sfumato_plugins.tool("matte").describe())
    assert '"clean_plate"' in text
    assert '"kind": "Choice"' in text


def test_a_job_of_several_views_falls_apart_into_one_each():
    job = Job("matte", (1,), {"plate": "%V.exr"}, {"matte": "m_%v.exr"}, views=("left", "right"))
    assert [one.input("plate").text for one in job.each_view()] == ["left.exr", "right.exr"]
    assert [one.output("matte").text for one in job.each_view()] == ["m_l.exr", "m_r.exr"]
