"""Output names come from a template, and a version belongs to one job."""

import os
import subprocess
import sys

import pytest

from sfumato_plugins.errors import JobError
from sfumato_plugins.job import Job
from sfumato_plugins.template import fill, for_layer, template_problems


def job(output, **more):
    return Job("matte", (1,), {"plate": "p.exr"}, {"matte": output}, **more)


def test_show_shot_task_and_view_are_filled_in(tmp_path):
    names = {"show": "ab", "shot": "010"}
    filled = fill(job("{show}/{shot}_{task}.{view}.####.exr", names=names, base=str(tmp_path)))
    assert filled.outputs["matte"] == "ab/010_matte.%V.####.exr"


def test_a_job_takes_the_next_version_and_finds_its_own_again(tmp_path):
    template = "{shot}/{version}/{shot}_{version}.####.exr"
    first = job(template, names={"shot": "010"}, base=str(tmp_path))
    other = job(template, names={"shot": "010"}, base=str(tmp_path), seed=2)
    assert fill(first).outputs["matte"] == "010/v001/010_v001.####.exr"
    assert fill(other).outputs["matte"] == "010/v002/010_v002.####.exr"
    assert fill(first).names["version"] == "v001"
    assert (tmp_path / "010" / "v001").is_dir()


def test_a_version_in_the_file_name_alone_is_reserved_too(tmp_path):
    assert fill(job("m_{version}.####.exr", base=str(tmp_path))).outputs["matte"] == "m_v001.####.exr"
    assert fill(job("m_{version}.####.exr", base=str(tmp_path), seed=1)).outputs["matte"] == "m_v002.####.exr"


def test_a_named_version_is_taken_as_it_is(tmp_path):
    filled = fill(job("{version}/m.####.exr", names={"version": "v007"}, base=str(tmp_path)))
    assert filled.outputs["matte"] == "v007/m.####.exr"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("output", "names", "word"),
    [
        ("{shott}.exr", {}, "did you mean 'shot'"),
        ("{shot}.exr", {}, "--shot NAME"),
        ("{version}.exr", {"version": "3"}, "like v003"),
    ],
)
def test_a_template_that_cannot_be_filled_is_a_problem(output, names, word):
    assert any(word in str(p) for p in template_problems(job(output, names=names)))


def test_no_place_for_versions_is_the_requests_fault(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(JobError, match="no version can be reserved"):
        fill(job("file/{version}/m.exr", base=str(tmp_path)))


def test_a_layer_is_part_of_the_name():
    pattern = job("m_{layer}.####.exr").output("matte")
    assert for_layer(pattern, "bg").at(3).endswith("m_bg.0003.exr")


def test_the_tasks_of_a_job_that_start_at_once_find_the_same_version(tmp_path):
    code = (
        "import sys; from sfumato_plugins.job import Job; from sfumato_plugins.template import fill\n"
        "job = Job('matte', (1,), {'plate': 'p.exr'}, {'matte': '{version}/m.exr'}, base=sys.argv[1])\n"
        "sys.stdin.read(1); print(fill(job).names['version'])"
    )
    start = [sys.executable, "-c", code, str(tmp_path)]
    tasks = [subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    for task in tasks:
        task.stdin.write("g")
        task.stdin.flush()
    assert {task.communicate(timeout=60)[0] for task in tasks} == {"v001\n"}


def test_a_version_folder_that_is_nobodys_is_passed_over(tmp_path):
    (tmp_path / "v001").mkdir()
    assert fill(job("{version}/m.exr", base=str(tmp_path))).names["version"] == "v002"
