"""The command line as people and farms meet it: real processes, their words and their exit codes."""

import json
import subprocess
import sys

import pytest
import torch


def words(shot, *more):
    files = ("--plate", shot.plate, "--trimap", shot.trimap, "--out", shot.matte)
    return ("matte", *files, "--quality", "preview", "--device", "cpu", *more)


def test_help_loads_nothing_heavy():
    code = """
import sys, contextlib
from sfumato_plugins.cli import main
with contextlib.suppress(SystemExit): main(["--help"])
heavy = {"torch", "numpy", "OpenImageIO", "PyOpenColorIO", "safetensors"} & set(sys.modules)
sys.exit(f"{heavy} were imported" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "exit codes" in done.stdout


def test_every_parameter_of_the_tool_is_an_option():
    import sfumato_plugins
    from sfumato_plugins.cli import _parser

    helped = _parser()._subparsers._group_actions[0].choices["matte"].format_help()
    tool = sfumato_plugins.tool("matte")
    for parameter in tool.parameters:
        assert f"--{parameter.name.replace('_', '-')}" in helped
    for image in (*tool.inputs, *tool.outputs):
        assert f"--{image.option or image.name.replace('_', '-')}" in helped


def test_options_make_the_job_they_say(shot):
    from sfumato_plugins.cli import main
    from sfumato_plugins.job import load

    shot.write([1, 2])
    path = str(shot.folder / "job.json")
    more = ("--colorspace", "ACEScg", "--layers", "fg,trimap", "--half", "--no-keyed-trimap", "--seed", "3")
    assert main([*words(shot, *more), "--progress", "quiet", "--save-job", path]) == 0
    job = load(path)
    assert job.frames == (1, 2)
    assert job.params == {
        "quality": "preview",
        "device": "cpu",
        "layers": ["fg", "trimap"],
        "half": True,
        "keyed_trimap": False,
    }
    assert job.color["plate"] == "ACEScg"
    assert len(job.color["config_hash"]) == 64
    assert job.seed == 3


def test_a_matte_by_command_is_one_document_on_stdout(shot, command_line):
    shot.write([1])
    done = command_line(*words(shot, "--json"))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["complete"] is True
    assert document["frames"][0]["stats"]["seconds"] >= 0
    assert "matte 1: not made yet" in done.stderr
    assert shot.output(1).is_file()
    truth = shot.folder / "truth.0001.exr"
    shot.save(truth, shot.alpha_of(1), ("A",))
    told = command_line("evaluate", "matte", "--alpha", shot.matte, "--truth", truth, "--trimap", shot.trimap, "--json")
    assert told.returncode == 0, told.stderr
    errors = json.loads(told.stdout)
    assert {"sad", "mse", "grad", "conn", "dtssd", "messddt"} <= set(errors)
    assert errors["dtssd"] is None
    assert errors["mse"] < 50


def test_a_farm_session_is_told_in_its_own_lines(shot, command_line):
    shot.write([1])
    job = shot.job("1")
    job.save(str(shot.folder / "job.json"))
    done = command_line("run", shot.folder / "job.json", env={"OPENJD_SESSION": "1"})
    assert done.returncode == 0
    assert "openjd_progress: 100" in done.stdout
    failed = command_line("run", shot.folder / "job.json", "--frames", "7", env={"OPENJD_SESSION": "1"})
    assert failed.returncode == 2
    assert "openjd_fail: frames: the job has no frame 7" in failed.stdout


def test_a_wrong_request_is_exit_2_without_a_traceback(shot, command_line):
    shot.write([1])
    for more in (("--colorspace", "nonsense"), ("--frames", "1-"), ("--seed", "-1")):
        done = command_line(*words(shot, *more))
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
    assert command_line("matte", "--quality", "best").returncode == 2
    assert "--plate and --out must be given" in command_line("matte").stderr


def test_a_missing_input_is_exit_3_and_says_what_was_looked_for(shot, command_line):
    shot.write([1])
    done = command_line(*words(shot, "--frames", "1-2", "--json"))
    assert done.returncode == 3
    assert "plate.0002.exr" in done.stderr
    assert json.loads(done.stdout)["error"]["exit_code"] == 3


def test_a_plate_without_one_finite_pixel_is_exit_3(shot, command_line):
    shot.write_trimap(1)
    shot.save(shot.folder / "plate.0001.exr", torch.full((3, 48, 64), float("nan")))
    done = command_line(*words(shot))
    assert done.returncode == 3
    assert "no finite pixel" in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("ZeroDivisionError()", 1),
        ("MemoryError()", 4),
        ("KeyboardInterrupt()", 130),
        ("__import__('sfumato.errors').errors.MemoryLimitError('too small')", 4),
        ("__import__('sfumato.errors').errors.Cancelled('stopped')", 130),
    ],
)
def test_every_kind_of_failure_has_its_exit_code(command_line, error, code):
    script = f"""
import sys
from sfumato_plugins import cli, doctor
def fail(): raise {error}
doctor.examine = fail
sys.exit(cli.main(["doctor"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("Traceback" in done.stderr) == (code == 1)


def test_check_prints_one_list_and_a_farm_can_read_it(shot, command_line):
    shot.write([1])
    shot.job("1-2", color={"plate": "ACESgc"}).save(str(shot.folder / "job.json"))
    done = command_line("check", shot.folder / "job.json", "--json")
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert document["ok"] is False
    assert {p["where"] for p in document["problems"]} == {"inputs.plate", "inputs.trimap", "color.plate"}
    (shot.folder / "job.json").write_text("{}")
    assert command_line("check", shot.folder / "job.json").returncode == 2


def test_doctor_reports_and_says_which_file_set_what(command_line, tmp_path):
    site = tmp_path / "sfumato_site.toml"
    site.write_text('show = "ab"\n')
    done = command_line("doctor", "--json", env={"SFUMATO_SITE": str(site)})
    assert done.returncode == 0, done.stdout
    found = {line["about"].strip(): line["found"] for line in json.loads(done.stdout)}
    assert found["show"] == f"'ab', set by {site}"
    assert "cpu" in found["device"] or "cuda" in found["device"]


def test_version_and_tools_are_told(command_line):
    import sfumato

    assert command_line("--version").stdout == f"sfumato {sfumato.__version__}\n"
    assert command_line("tools").stdout.startswith("matte ")
    assert json.loads(command_line("tools", "--json").stdout)[0]["name"] == "matte"


def test_where_names_the_folder_or_says_there_is_none(command_line):
    done = command_line("where", "nuke")
    assert (done.returncode == 0 and done.stdout.strip().endswith("nuke")) or "no folder for nuke" in done.stderr
    assert command_line("where", "blender").returncode == 2


def test_threads_and_memory_are_set_unless_the_user_has(monkeypatch):
    from sfumato_plugins.runtime import OFFLINE, prepare_process

    environ = {"OMP_NUM_THREADS": "3", "MALLOC_ARENA_MAX": "2"}
    prepare_process(environ)
    assert environ == {
        "OMP_NUM_THREADS": "3",
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "MALLOC_ARENA_MAX": "2",
        **OFFLINE,
    }


def test_evaluate_refuses_a_colour_picture_and_names_what_is_missing(command_line, shot):
    shot.write([1])
    pair = ("--truth", shot.trimap, "--trimap", shot.trimap)
    colour = command_line("evaluate", "matte", "--alpha", shot.plate, *pair)
    assert (colour.returncode, "colour picture without alpha" in colour.stderr) == (2, True)
    nothing = command_line("evaluate", "matte", "--alpha", "nothing.exr", *pair)
    assert nothing.returncode == 3
    assert "--alpha: not one file is there" in nothing.stderr
    assert "--truth" not in nothing.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ("matte", "--plate", "p.exr", "--trimpa", "t.exr"),
            ("sfumato matte: there is no option --trimpa", "'--trimap'"),
        ),
        (("run", "job.json", "--frmes=1"), ("sfumato run: there is no option --frmes", "'--frames'")),
        (("farm", "export", "j", "o", "--too", "openjd"), ("farm export: there is no option --too", "'--to'")),
        (("curves", "covnert"), ("sfumato curves: there is no command covnert", "'convert'")),
        (("mate",), ("sfumato: there is no command mate", "'matte'")),
        (("where", "nuk"), ("usage: sfumato where", "'nuk' is not one of nuke, maya", "'nuke'")),
        (("queue", "run", "j", "k"), ("sfumato queue run: k is one argument too many", "sfumato queue run --help")),
        (("matte", "--xyzzy"), ("there is no option --xyzzy", "see: sfumato matte --help")),
    ],
)
def test_a_misspelt_word_gets_the_nearest_one_from_its_own_command(capsys, given, said):
    from sfumato_plugins.cli import main

    with pytest.raises(SystemExit) as caught:
        main(given)
    assert caught.value.code == 2
    text = capsys.readouterr().err
    for words in said:
        assert words in text
    assert "usage: sfumato [-h]" not in text


def test_an_option_may_be_cut_short_as_before():
    from sfumato_plugins.cli import _parser

    args = _parser().parse_args(["matte", "--plat", "p.exr", "--qual=preview", "--frames=-2--1"])
    assert (args.input_plate, args.param_quality, args.frames) == ("p.exr", "preview", "-2--1")


def test_help_names_no_inner_names(command_line):
    assert "PARAM_" not in command_line("matte", "--help").stdout


def test_holes_in_a_plate_are_said_aloud(shot, command_line):
    shot.write([1, 2, 4])
    words = ["matte", "--plate", shot.plate, "--trimap", shot.trimap, "--out", shot.matte, "--quality", "preview"]
    done = command_line(*words, "--save-job", shot.folder / "job.json")
    assert "takes the frames that are there, 1-2,4, with holes between" in done.stderr
    named = command_line(*words, "--frames", "1,2,4", "--save-job", shot.folder / "job.json")
    assert "frames that are there" not in named.stderr
