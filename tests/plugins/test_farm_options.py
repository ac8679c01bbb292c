"""What a facility says of its farm is read from its settings and corrected in a sentence; paths change by system."""

import json
import sys

import pytest

from sfumato_plugins.errors import JobError
from sfumato_plugins.farm.options import options
from sfumato_plugins.job import Job
from sfumato_plugins.paths import VARIABLE, Roots, Rule, mapped, rules, translate
from sfumato_plugins.settings import Settings, load_settings

ROWS = (Roots("/shows", "S:\\shows", "/Volumes/shows"), Roots("/shows/ab", "T:/", ""))


def site(tmp_path, text):
    path = tmp_path / "site.toml"
    path.write_text(text)
    environ = {"SFUMATO_SITE": str(path), "XDG_CONFIG_HOME": str(tmp_path / "none")}
    return load_settings(environ, start=str(tmp_path))


def test_the_settings_are_the_defaults_and_options_win(tmp_path):
    found = options(
        site(
            tmp_path, '[farm]\npool = "gpu"\npriority = 60\nlimits = ["lic"]\nenvironment = ["A=b=c"]\nmemory = 1.5\n'
        ),
        {"priority": 70, "pool": None, "cores": 4},
    )
    assert (found.pool, found.priority, found.limits, found.cores) == ("gpu", 70, ("lic",), 4)
    assert (found.environment, found.memory) == ({"A": "b=c"}, 1.5)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pol = 'gpu'", "did you mean 'pool'?"),
        ("priority = 101", "101 is outside 0 to 100"),
        ("priority = 50.5", "50.5 should be a whole number"),
        ("limits = 'lic'", "'lic' should be a list of texts, each in a line"),
        ("environment = ['9A=b']", "'9A' should be written like NAME=value"),
        ("os = 'irix'", "'irix' is not one of linux, windows, macos"),
        ("paths = ['linux=/shows']", "should name a folder on two systems or more"),
        ("paths = ['linux=shows; windows=S:/']", "'shows' is not an absolute folder"),
        ("chunk = 0", "0 is outside 1 to 100000"),
        ("memory = true", "True should be a number"),
    ],
)
def test_what_is_wrong_is_said_with_its_file(tmp_path, line, said):
    with pytest.raises(JobError) as error:
        options(site(tmp_path, f"[farm]\n{line}\n"))
    assert said in str(error.value)
    assert "site.toml: [farm]" in str(error.value)
    assert error.value.exit_code == 2


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(JobError) as error:
        options(Settings(), {"os": "irix", "cores": -1, "colour": "red"})
    assert len(error.value.problems) == 3


@pytest.mark.parametrize(
    ("path", "system", "found"),
    [
        ("/shows/xy/p.####.exr", "windows", "S:\\shows/xy/p.####.exr"),
        ("/shows/ab/p.exr", "windows", "T:/p.exr"),
        ("s:/SHOWS/ab\\p.exr", "linux", "/shows/ab/p.exr"),
        ("S:\\shows", "macos", "/Volumes/shows"),
        ("/showsteps/p.exr", "windows", "/showsteps/p.exr"),
        ("relative/p.exr", "windows", "relative/p.exr"),
        ("/Volumes/shows/x", "linux", "/shows/x"),
        ("/shows/x", "linux", "/shows/x"),
    ],
)
def test_a_path_is_called_as_each_system_calls_it(path, system, found):
    assert translate(path, rules(ROWS, system)) == found


@pytest.mark.skipif(sys.platform != "linux", reason="says what Linux calls the folders")
def test_a_job_written_on_windows_runs_here(tmp_path):
    job = Job("matte", (1,), {"plate": "S:/shows/p.exr", "trimap": "t.exr"}, {"matte": "S:/shows/M.exr"})
    job = Job(**{**vars(job), "color": {"config": "S:/shows/config.ocio", "plate": "ACEScg"}})
    here = mapped(job, {"paths": ["linux=/shows; windows=S:/shows"]}, {})
    assert here.inputs == {"plate": "/shows/p.exr", "trimap": "t.exr"}
    assert here.outputs == {"matte": "/shows/M.exr"}
    assert here.color == {"config": "/shows/config.ocio", "plate": "ACEScg"}
    assert mapped(job, {}, {VARIABLE: "linux=/shows; windows=S:/shows | linux=/a; macos=/b"}) == here
    assert mapped(job, {}, {}) is job


def test_a_sessions_own_rules_come_first(tmp_path):
    file = tmp_path / "rules.json"
    listed = [{"source_path_format": "POSIX", "source_path": "/home/a/shot", "destination_path": "/sessions/1/assets"}]
    file.write_text(json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": listed}))
    job = Job("matte", (1,), {"plate": "/home/a/shot/p.exr"}, {"matte": "/home/a/M.exr"})
    here = mapped(job, {}, {}, str(file))
    assert (here.inputs["plate"], here.outputs["matte"]) == ("/sessions/1/assets/p.exr", "/home/a/M.exr")
    file.write_text("{}")
    assert mapped(job, {}, {}, str(file)) is job
    file.write_text("[]")
    with pytest.raises(JobError, match="holds no path mapping rules"):
        mapped(job, {}, {}, str(file))


def test_a_rule_for_one_system_leaves_the_others_paths():
    assert Rule("C:/a", "/a").apply("/c:/a/b") is None
    assert Rule("/a", "/b").apply("C:/a/b") is None
