"""What is written for a farm is what the farm reads: checked by its own reader where one can be had, and by heart."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sfumato_plugins.errors import JobError
from sfumato_plugins.farm import KINDS, export, next_step
from sfumato_plugins.farm.options import Options, options
from sfumato_plugins.farm.text import to_yaml
from sfumato_plugins.farm.tractor import word, words
from sfumato_plugins.job import Job
from sfumato_plugins.settings import Settings

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "farm"
ASKED = {
    "pool": "gpu",
    "group": "nightly",
    "priority": 60,
    "limits": ["sfumato_seats", "disk"],
    "environment": ["OCIO=/shows/ab/config.ocio"],
    "gpu_memory": 12,
    "memory": 16,
    "cores": 8,
    "minutes": 20,
    "os": "linux",
    "paths": ["linux=/shows; windows=S:/shows; macos=/Volumes/shows"],
}


@pytest.fixture
def job(tmp_path):
    """job("1001-1017", "standard") writes a job file with its inputs, empty, and gives its path."""

    def make(frames, quality="standard", folder=tmp_path, views=(), **more):
        given = {
            "inputs": {"plate": "plate/p.%V.####.exr" if views else "plate/p.####.exr", "trimap": "trimap/t.exr"},
            "outputs": {"matte": "matte/M.%V.####.exr" if views else "matte/M.####.exr"},
            "params": {"quality": quality},
            "names": {"show": "ab", "shot": "010"},
        }
        from sfumato_plugins.frames import parse_frames

        made = Job("matte", parse_frames(frames), base=str(folder), views=tuple(views), **{**given, **more})
        for one in made.each_view():
            for name in one.inputs:
                for frame in one.frames:
                    path = pathlib.Path(one.input(name).at(frame))
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
        made.save(str(folder / "job.json"))
        return str(folder / "job.json")

    return make


def farm(given=None):
    return options(Settings(), {"os": "linux", **(given or {})})


def read_yaml(path):
    yaml = pytest.importorskip("yaml", reason="PyYAML, which reads what is written, is not installed")
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


@pytest.fixture
def openjd():
    """openjd("check", FILE): the finished process, output and all."""
    program = shutil.which("openjd", path=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
    if not program:
        pytest.skip("openjd-cli is not installed in this Python")
    return lambda *told: subprocess.run(
        [program, *map(str, told)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
    )


CASES = {
    "shot": ("1001-1017", {}),
    "preview": ("1001-1010,1020", {"quality": "preview"}),
    "steps": ("-4-10x2,13", {"quality": "preview"}),
    "views": ("1-9", {"views": ("left", "right")}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_the_files_are_the_golden_ones(job, tmp_path, kind, case, request):
    """Renew them with SFUMATO_BLESS=1, and look at the difference."""
    frames, more = CASES[case]
    out = tmp_path / {"openjd": "t.yaml", "opencue": "t.py", "tractor": "t.alf", "commands": "t.txt"}.get(kind, "out")
    written = export(job(frames, **more), kind, str(out), farm(ASKED))
    found = {os.path.basename(path): plain(path, tmp_path) for path in written}
    golden = GOLDEN / f"{case}-{kind}"
    if os.environ.get("SFUMATO_BLESS"):
        shutil.rmtree(golden, ignore_errors=True)
        golden.mkdir(parents=True)
        for name, text in found.items():
            (golden / f"{name}.golden").write_text(text)
    assert found == {path.name[: -len(".golden")]: path.read_text() for path in golden.iterdir()}


def plain(path, folder):
    with open(path, encoding="utf-8") as file:
        return file.read().replace(str(folder), "/shows/ab/010")


@pytest.mark.parametrize("end", [".yaml", ".json"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("asked", [None, ASKED], ids=["plain", "asked"])
def test_openjd_accepts_the_template(job, tmp_path, openjd, case, asked, end):
    frames, more = CASES[case]
    (out,) = export(job(frames, **more), "openjd", str(tmp_path / f"t{end}"), farm(asked))
    done = openjd("check", out)
    assert done.returncode == 0, done.stdout


def test_openjd_runs_every_task_of_a_shot_in_order(job, tmp_path, openjd):
    """With a command that writes down what it was told."""
    told = tmp_path / "told"
    command = tmp_path / "sfumato"
    command.write_text(f'#!/bin/sh\necho "$1" "$2" "$3" >> {told}\n')
    command.chmod(0o755)
    (out,) = export(job("1001-1017"), "openjd", str(tmp_path / "t.yaml"), farm())
    done = openjd("run", out, "-p", f"SfumatoCommand={command}")
    assert done.returncode == 0, done.stdout
    path = str(tmp_path / "job.json")
    frames = ["1001", "1009", "1017", "1002-1008", "1010-1016"]
    assert told.read_text().splitlines() == [f"run {path} --frames={f}" for f in frames]


def test_openjd_cuts_steps_and_holes_into_chunks_the_command_understands(job, tmp_path, openjd):
    told = tmp_path / "told"
    command = tmp_path / "sfumato"
    command.write_text(f'#!/bin/sh\necho "$3" >> {told}\n')
    command.chmod(0o755)
    (out,) = export(job("-4-10x2,13", "preview"), "openjd", str(tmp_path / "t.json"), farm({"chunk": 3}))
    assert openjd("run", out, "-p", f"SfumatoCommand={command}").returncode == 0
    from sfumato_plugins.frames import parse_frames

    chunks = [line.partition("=")[2].replace(":", "x") for line in told.read_text().splitlines()]
    assert sorted(f for chunk in chunks for f in parse_frames(chunk)) == [-4, -2, 0, 2, 4, 6, 8, 10, 13]
    assert len(chunks) == 3


def test_a_template_elsewhere_asks_for_the_job_file(job, tmp_path):
    path = job("1", folder=tmp_path)
    (out,) = export(path, "openjd", str(tmp_path / "sub" / "t.json"), farm())
    assert "default" not in json.loads(pathlib.Path(out).read_text())["parameterDefinitions"][0]
    assert next_step("openjd", [out], path) == f"openjd run {out} -p JobFile={path}"
    assert next_step("openjd", [str(tmp_path / "t.json")], path) == f"openjd run {tmp_path / 't.json'}"


def test_a_deadline_bundle_names_the_files_that_go_with_the_job(job, tmp_path):
    out = tmp_path / "bundle"
    export(job("1-3"), "deadline-cloud", str(out), farm({"priority": 70, "retries": 4}))
    assets = read_yaml(out / "asset_references.yaml")["assetReferences"]
    names = [str(tmp_path / name) for name in ("plate/p.0001.exr", "plate/p.0002.exr", "plate/p.0003.exr")]
    assert assets["inputs"]["filenames"] == [str(tmp_path / "job.json"), *names, str(tmp_path / "trimap/t.exr")]
    assert assets["outputs"]["directories"] == [str(tmp_path / "matte")]
    values = {v["name"]: v["value"] for v in read_yaml(out / "parameter_values.yaml")["parameterValues"]}
    assert values["JobFile"] == str(tmp_path / "job.json")
    assert (values["deadline:priority"], values["deadline:maxRetriesPerTask"]) == (70, 4)


def test_deadline_10_gets_its_jobs_in_order_each_with_what_it_waits_for(job, tmp_path):
    """With a deadlinecommand that reads the two files as Deadline does, key by key, and gives out numbers."""
    out = tmp_path / "ten"
    written = export(job("1001-1017", views=("left", "right")), "deadline10", str(out), farm(ASKED))
    fake = tmp_path / "deadlinecommand"
    fake.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "info, plugin = ([l.rstrip().partition('=')[::2] for l in open(p)] for p in sys.argv[1:])\n"
        "assert dict(info)['Plugin'] == 'CommandLine' and set(dict(plugin)) >= {'Executable', 'Arguments'}\n"
        "assert len(dict(info)) == len(info) and all(k and v for k, v in info)\n"
        "print('JobID=' + dict(info)['Name'].replace(' ', '_'), 'after', dict(info).get('JobDependencies'))\n"
        "seen = dict(info)['Name'] + '|' + dict(info).get('JobDependencies', '')\n"
        f"open({str(tmp_path / 'seen')!r}, 'a').write(seen + chr(10))\n"
    )
    fake.chmod(0o755)
    for _ in range(2):  # submitting again is submitting, not adding to what the files say
        (tmp_path / "seen").unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, written[0]],
            env={**os.environ, "DEADLINE_PATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    seen = [line.split("|") for line in (tmp_path / "seen").read_text().splitlines()]
    assert seen == [
        ["sfumato matte ab 010 keyframes left", ""],
        ["sfumato matte ab 010 between left", "sfumato_matte_ab_010_keyframes_left"],
        ["sfumato matte ab 010 keyframes right", ""],
        ["sfumato matte ab 010 between right", "sfumato_matte_ab_010_keyframes_right"],
    ]


@pytest.mark.parametrize(
    ("kind", "out", "said"),
    [
        ("openjd", "afile/x.yaml", "afile is a file, not a folder"),
        ("deadline10", "afile/ten", "afile is a file, not a folder"),
        ("deadline10", "afile", "afile is a file, not a folder"),
        ("tractor", "afolder", "afolder is a folder"),
    ],
)
def test_what_stands_where_the_export_should_go_is_named(job, tmp_path, kind, out, said):
    (tmp_path / "afile").write_text("somebody's")
    (tmp_path / "afolder").mkdir()
    path = job("1")
    there = sorted(tmp_path.rglob("*"))
    with pytest.raises(JobError, match=said) as caught:
        export(path, kind, str(tmp_path / out), farm())
    assert str(tmp_path) in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == there
    assert (tmp_path / "afile").read_text() == "somebody's"


def test_where_a_farms_client_is_missing_its_script_says_so_in_a_sentence(job, tmp_path):
    (ten, *_) = export(job("1"), "deadline10", str(tmp_path / "ten"), farm())
    (cue,) = export(job("1"), "opencue", str(tmp_path / "job.py"), farm())
    for script, said in ((ten, str(tmp_path / "deadlinecommand")), (cue, "no module called outline")):
        done = subprocess.run(
            [sys.executable, "-S", script],  # -S: no pyoutline, should this Python have it
            env={**os.environ, "DEADLINE_PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr


def test_deadline_10_refusing_is_said(job, tmp_path):
    written = export(job("1"), "deadline10", str(tmp_path / "ten"), farm())
    fake = tmp_path / "deadlinecommand"
    fake.write_text("#!/bin/sh\necho no such pool\nexit 1\n")
    fake.chmod(0o755)
    done = subprocess.run(
        [sys.executable, written[0]], env={**os.environ, "DEADLINE_PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Deadline refused frames:\nno such pool" in done.stderr


@pytest.fixture
def outline_python():
    """A Python that has OpenCue's pyoutline: this one, or the one SFUMATO_PYOUTLINE_PYTHON names."""
    python = os.environ.get("SFUMATO_PYOUTLINE_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import outline"], capture_output=True).returncode:
        pytest.skip("pyoutline is not installed: pip install opencue-pyoutline opencue-pycue packaging")
    return python


def test_pyoutline_accepts_the_outline_and_makes_opencues_job_of_it(job, tmp_path, outline_python):
    (out,) = export(job("1001-1017"), "opencue", str(tmp_path / "my job.py"), farm(ASKED))
    done = subprocess.run([outline_python, out, "--xml"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    spec = Xml.fromstring(done.stdout)
    assert (spec.findtext("show"), spec.findtext("shot")) == ("ab", "010")
    assert spec.findtext("job/priority") == "60"
    first, second = spec.findall("job/layers/layer")
    assert [first.get("name"), second.get("name")] == ["keyframes", "between"]
    assert second.findtext("cmd") == f"sfumato run {tmp_path}/job.json --frames=#FRAMESPEC#"
    assert (second.findtext("range"), second.findtext("chunk")) == ("1002-1008,1010-1016", "7")
    assert (first.findtext("memory"), first.findtext("gpu_memory"), first.findtext("cores")) == ("16g", "12g", "8.0")
    assert [limit.text for limit in first.findall("limits/limit")] == ["sfumato_seats", "disk"]
    assert {key.get("name") for key in first.findall("env/key")} == {"OCIO", "SFUMATO_PATHS"}
    (depend,) = spec.findall("depends/depend")
    assert (depend.get("type"), depend.findtext("deplayer"), depend.findtext("onlayer")) == (
        "LAYER_ON_LAYER",
        "between",
        "keyframes",
    )


def test_pycuerun_loads_the_same_file(job, tmp_path, outline_python):
    (out,) = export(job("-4-10x2", "preview"), "opencue", str(tmp_path / "job.py"), farm())
    code = "import sys, outline; layers = outline.load_outline(sys.argv[1]).get_layers()"
    code += "; print([(l.get_name(), l.get_frame_range()) for l in layers])"
    done = subprocess.run([outline_python, "-c", code, out], capture_output=True, text=True)
    assert done.stdout == "[('frames', '-4-10x2')]\n", done.stderr


def tree(path):
    """A Tractor script as nested lists, read by a Tcl interpreter that can do nothing else."""
    tkinter = pytest.importorskip("tkinter", reason="Tcl is not installed in this Python")
    inner = tkinter.Tcl()
    inner.eval("interp create -safe job")
    text = pathlib.Path(path).read_text()
    assert text.startswith("##AlfredToDo 3.0\n")

    def read(script):
        found = []
        inner.createcommand("sfumato_seen", lambda *told: found.append(list(told)))
        for name in ("Job", "Task", "RemoteCmd"):
            inner.eval(f"interp alias job {name} {{}} sfumato_seen {name}")
        inner.call("job", "eval", script)
        return found

    return read, text


def pairs(told):
    return dict(zip(told[::2], told[1::2], strict=True))


def test_tractors_script_is_tcl_whose_stages_follow_each_other(job, tmp_path):
    (out,) = export(job("1001-1017"), "tractor", str(tmp_path / "t.alf"), farm(ASKED))
    read, text = tree(out)
    ((_, *options_of_job),) = read(text)
    told = pairs(options_of_job)
    assert told["-title"] == "sfumato matte ab 010"
    assert (told["-priority"], told["-serialsubtasks"], told["-projects"]) == ("60", "1", "ab")
    stages = read(told["-subtasks"])
    assert [stage[1] for stage in stages] == ["keyframes", "between"]
    tasks = [task for stage in stages for task in read(stage[3])]
    assert [task[1] for task in tasks] == ["1001", "1009", "1017", "1002-1008", "1010-1016"]
    ((_, launch, *more),) = read(tasks[-1][3])
    assert launch == f"sfumato run {tmp_path}/job.json --frames=1010-1016"
    assert pairs(more) == {"-tags": "sfumato_seats disk", "-maxrunsecs": "12000"}


@given(some.lists(some.text(alphabet="ab {}[]$\"\\;#\n\t'é", max_size=8), min_size=1, max_size=4))
def test_any_words_survive_tcl(given):
    tkinter = pytest.importorskip("tkinter", reason="Tcl is not installed in this Python")
    inner = tkinter.Tcl()
    (one,) = inner.splitlist(words(given))
    assert list(inner.splitlist(one)) == given
    assert inner.splitlist(word(given[0])) == (given[0],)


def test_each_line_of_the_commands_is_one_task(job, tmp_path):
    (out,) = export(job("1001-1017"), "commands", str(tmp_path / "c.txt"), farm({"environment": ["A=b c"]}))
    lines = pathlib.Path(out).read_text().splitlines()
    assert [line for line in lines if line.startswith("#")][1:] == [
        "# keyframes: 3 tasks of about 1 min",
        "# between: 2 tasks of about 7 min, after keyframes",
    ]
    assert lines[-1] == f"env 'A=b c' sfumato run {tmp_path}/job.json --frames=1010-1016"
    done = subprocess.run(
        ["sh", "-c", lines[-1].replace("sfumato run", "printenv A; echo")], capture_output=True, text=True
    )
    assert done.stdout.startswith("b c\n")


def test_a_path_with_spaces_reaches_every_farm_whole(job, tmp_path):
    folder = tmp_path / "a shot, & more"
    folder.mkdir()
    path = job("1", folder=folder)
    (commands,) = export(path, "commands", str(tmp_path / "c.txt"), farm())
    line = pathlib.Path(commands).read_text().splitlines()[-1].replace("sfumato run", "echo")
    assert subprocess.run(["sh", "-c", line], capture_output=True, text=True).stdout == f"{path} --frames=1\n"
    written = export(path, "deadline10", str(tmp_path / "ten"), farm())
    arguments = pathlib.Path(written[2]).read_text().splitlines()[1]
    assert arguments == f"Arguments=run <QUOTE>{path}<QUOTE> --frames=<STARTFRAME>-<ENDFRAME>"


def test_a_windows_farm_is_told_windows_paths(job, tmp_path):
    asked = {"os": "windows", "paths": [f"linux={tmp_path}; windows=S:/ab"], "environment": ["A=b"]}
    (out,) = export(job("1"), "commands", str(tmp_path / "c.txt"), farm(asked))
    last = pathlib.Path(out).read_text().splitlines()[-1]
    assert last.endswith("sfumato run S:/ab/job.json --frames=1")
    assert last.startswith('set "A=b" && set "SFUMATO_PATHS=')


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda path: path.replace("job.json", "none.json"), 3, "cannot be read"),
        (lambda path: pathlib.Path(path).parent.joinpath("trimap/t.exr").unlink() or path, 3, "not one file is there"),
    ],
)
def test_a_wrong_job_is_not_sent_to_a_farm(job, tmp_path, change, code, said):
    with pytest.raises(JobError, match=said) as error:
        export(change(job("1-3")), "commands", str(tmp_path / "c.txt"), farm())
    assert error.value.exit_code == code
    assert not (tmp_path / "c.txt").exists()


def test_an_unknown_farm_and_an_unwritable_place_are_said(job, tmp_path):
    path = job("1")
    with pytest.raises(JobError, match="did you mean 'tractor'"):
        export(path, "traktor", str(tmp_path / "x"))
    (tmp_path / "file").touch()
    with pytest.raises(JobError, match="is a file, not a folder"):
        export(path, "deadline10", str(tmp_path / "file"), Options())


SCALARS = (
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | some.text()
)


@given(some.recursive(SCALARS, lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=12))
def test_yaml_that_is_written_is_read_the_same(value):
    yaml = pytest.importorskip("yaml", reason="PyYAML, which reads what is written, is not installed")
    assert yaml.safe_load(to_yaml(value)) == value


def test_exporting_needs_nothing_but_the_standard_library(job, tmp_path):
    path = job("1001-1017")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from sfumato_plugins.farm import KINDS, export\n"
        "for kind in KINDS: export(sys.argv[2], kind, sys.argv[3] + kind)\n"
        "print(sorted(n for n in ('torch', 'numpy', 'yaml', 'openjd', 'sfumato') if n in sys.modules))"
    )
    plugins = pathlib.Path(sys.modules["sfumato_plugins"].__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, plugins, path, f"{tmp_path}/out-"], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
