"""The host's side: finding the engine's Python, a clean environment, jobs, cancelling, and an end to everything."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

from sfumato_plugins import launch, logs
from sfumato_plugins.autopsy import cause
from sfumato_plugins.benches import stand_in as standing
from sfumato_plugins.engine_python import (
    NoEngine,
    clean_environment,
    command,
    find_python,
    marker,
    read_marker,
    write_marker,
)

GENEROUS = 5.0  # seconds, on a machine that does much else; `sfumato bench host` measures what it is
ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A user with nothing set, in an empty folder; programs to be named."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c", "d"):
        standing.program(str(tmp_path / name), "exit 0")
    config = tmp_path / "config"
    environ = {"XDG_CONFIG_HOME": str(config), "SFUMATO_SITE": str(tmp_path / "site.toml"), "PATH": "/bin:/usr/bin"}
    return tmp_path, environ


def mark(folder, environ, document):
    os.makedirs(os.path.dirname(marker(environ)), exist_ok=True)
    pathlib.Path(marker(environ)).write_text(json.dumps(document))


def test_the_setting_wins_then_the_variable_then_the_settings_files_then_the_marker(places):
    folder, environ = places
    mark(folder, environ, {"python": str(folder / "d"), "by_folder": {}})
    assert find_python("", environ).path == str(folder / "d")
    (folder / "site.toml").write_text(f'python = "{folder}/c"\n')
    assert find_python("", environ).path == str(folder / "c")
    assert find_python("", environ).why == str(folder / "site.toml")
    environ["SFUMATO_PYTHON"] = str(folder / "b")
    assert find_python("", environ).path == str(folder / "b")
    assert find_python(str(folder / "a"), environ).path == str(folder / "a")


def test_a_host_never_starts_itself(places, monkeypatch):
    folder, environ = places
    monkeypatch.setattr(sys, "executable", str(folder / "a"))
    with pytest.raises(NoEngine, match="nothing says which Python"):
        find_python("", environ)


def test_what_is_named_and_not_there_is_said_and_nothing_else_is_tried(places):
    folder, environ = places
    environ["SFUMATO_PYTHON"] = str(folder / "nowhere")
    mark(folder, environ, {"python": str(folder / "d"), "by_folder": {}})
    with pytest.raises(NoEngine, match=r"nowhere \(SFUMATO_PYTHON\)"):
        find_python("", environ)


def test_a_settings_file_that_is_wrong_is_said(places):
    folder, environ = places
    (folder / "site.toml").write_text("pyton = 3\n")
    with pytest.raises(NoEngine, match="pyton is not a setting"):
        find_python("", environ)


def test_a_virtual_environment_or_a_name_on_the_path_will_do(places):
    folder, environ = places
    (folder / "venv" / "bin").mkdir(parents=True)
    standing.program(str(folder / "venv" / "bin" / "python"), "exit 0")
    assert find_python(str(folder / "venv"), environ).path == str(folder / "venv" / "bin" / "python")
    assert os.path.basename(find_python("sh", environ).path) == "sh"


def test_where_prints_one_absolute_folder_and_leaves_its_python_for_hosts(places):
    _, environ = places
    for host in ("nuke", "maya"):
        done = where(host, environ)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{ROOT / host}\n"
    assert find_python("", environ).path == sys.executable


def where(host, environ):
    code = "import sys; from sfumato_plugins.cli import main; sys.exit(main(['where', sys.argv[1]]))"
    path = os.pathsep.join([standing.PLUGINS, standing.ENGINE])
    command = [sys.executable, "-c", code, host]
    return subprocess.run(command, env={**environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)


def test_where_works_for_a_user_who_cannot_write_anything(places):
    folder, environ = places
    (folder / "file").write_text("a file where a folder should be")
    environ["XDG_CONFIG_HOME"] = str(folder / "file")
    done = where("nuke", environ)
    assert (done.returncode, done.stdout) == (0, f"{ROOT / 'nuke'}\n")
    assert done.stderr.startswith(f"note: {folder / 'file' / 'sfumato' / 'engine.json'} cannot be written")
    assert f"SFUMATO_PYTHON={sys.executable}" in done.stderr


def test_two_versions_side_by_side_each_find_their_own_python(places, monkeypatch):
    folder, environ = places
    assert write_marker(environ)
    known = json.loads(pathlib.Path(marker(environ)).read_text())
    known["by_folder"]["/opt/sfumato-2"] = str(folder / "b")
    known["by_folder"]["/opt/gone"] = "/opt/gone/bin/python"
    known["python"] = str(folder / "b")
    mark(folder, environ, known)
    assert read_marker(environ) == sys.executable
    assert write_marker(environ)
    assert set(json.loads(pathlib.Path(marker(environ)).read_text())["by_folder"]) == {str(ROOT), "/opt/sfumato-2"}


@pytest.mark.parametrize("text", ["", "[]", '{"python": 3}', '{"by_folder": 3, "python": "x"}', "\x00"])
def test_a_marker_that_is_damaged_is_as_good_as_none(places, text):
    folder, environ = places
    mark(folder, environ, {})
    pathlib.Path(marker(environ)).write_text(text)
    assert read_marker(environ) == ""


def test_the_engine_inherits_nothing_that_is_meant_for_the_host():
    host = {
        "PYTHONPATH": "x",
        "PYTHONHOME": "x",
        "QT_PLUGIN_PATH": "x",
        "NUKE_PATH": "x",
        "MAYA_LOCATION": "x",
        "OCIO": "/show/config.ocio",
        "LD_LIBRARY_PATH": "/nuke",
        "LD_PRELOAD": "x",
        "VIRTUAL_ENV": "x",
        "HOME": "/home/a",
        "CUDA_VISIBLE_DEVICES": "1",
        "SHOT": "ab_010",
    }
    found = clean_environment(host)
    assert {name for name in host if name in found} == {"HOME", "CUDA_VISIBLE_DEVICES", "SHOT"}
    assert (found["PYTHONNOUSERSITE"], found["HF_HUB_OFFLINE"]) == ("1", "1")
    assert clean_environment(host, ["LD_LIBRARY_PATH"])["LD_LIBRARY_PATH"] == "/nuke"


def test_a_command_line_for_farms_and_checks_runs_on_the_engines_python(places):
    folder, _ = places
    assert command("check", "job.json", python=str(folder / "a")) == [
        str(folder / "a"),
        "-m",
        "sfumato_plugins.cli",
        "check",
        "job.json",
    ]


def test_a_job_runs_and_everything_is_told(open_engine, heard):
    engine = open_engine()
    assert not engine.alive
    id = engine.run(standing.job("steps", steps=30))
    assert engine.busy
    told = heard(engine)
    done = told.until("done")
    assert done["id"] == id
    assert {m["event"] for m in told} == {"hello", "accepted", "note", "progress", "done"}
    assert not engine.busy
    assert engine.alive
    assert oct(os.stat(engine.log).st_mode & 0o777) == "0o600"


def test_an_engine_is_warm_for_the_next_job(open_engine, heard):
    engine = open_engine()
    for _ in range(3):
        id = engine.run(standing.job("nothing"))
        told = heard(engine)
        told.until("done", id=id)
    assert not any(m["event"] == "hello" for m in told)


def test_a_host_whose_current_folder_was_deleted_can_still_start_one(open_engine, heard, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    os.rmdir(tmp_path / "gone")
    engine = open_engine()
    engine.run(standing.job("nothing"))
    heard(engine).until("done")


def test_the_hosts_colour_goes_into_a_job_that_names_none(tmp_path):
    from sfumato_plugins.asked import with_colour

    environ = {"OCIO": "/show/config.ocio"}
    job = {"schema": "sfumato.job/1", "color": {"plate": "ACEScg"}}
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job))
    asked = with_colour(str(path), environ)
    assert asked["job"]["color"] == {"plate": "ACEScg", "config": "/show/config.ocio"}
    assert asked["base"] == str(tmp_path)
    assert job["color"] == {"plate": "ACEScg"}
    assert with_colour(str(path), {}) == {"job": str(path)}
    path.write_text(json.dumps({**job, "color": {"config": "mine.ocio"}}))
    assert with_colour(str(path), environ) == {"job": str(path)}
    path.write_text("no json")
    assert with_colour(str(path), environ) == {"job": str(path)}


def test_poll_never_waits_and_a_run_does_not_wait_for_the_engine(open_engine, tmp_path):
    engine = open_engine(standing.program(str(tmp_path / "slow"), "sleep 1000"))
    began = time.monotonic()
    engine.run(standing.job("nothing", words="x" * 10**6))  # more than a pipe holds
    for _ in range(100):
        engine.poll()
    assert time.monotonic() - began < GENEROUS


def test_a_cancelled_job_says_so_once_and_the_engine_goes_on(open_engine, heard):
    engine = open_engine()
    id = engine.run(standing.job("steps", steps=10**6))
    told = heard(engine)
    told.until("progress")
    began = time.monotonic()
    engine.cancel(id)
    engine.cancel(id)
    assert "finished frames are kept" in told.until("cancelled", id=id)["sentence"]
    assert time.monotonic() - began < GENEROUS
    engine.run(standing.job("nothing"))
    told.until("done")
    assert [m["event"] for m in told].count("cancelled") == 1


def test_a_job_that_does_not_stop_is_ended_by_force_with_all_it_started(open_engine, heard, monkeypatch):
    monkeypatch.setattr(launch, "SOFT", 0.2)
    monkeypatch.setattr(launch, "HARD", 0.5)
    engine = open_engine()
    id = engine.run(standing.job("child"))
    told = heard(engine)
    child = told.until("note", starts="child")["text"].split()[1]
    engine.cancel(id)
    assert "by force" in told.until("cancelled", id=id)["sentence"]
    assert not engine.alive
    end = time.monotonic() + 5
    while not gone(child):
        assert time.monotonic() < end
    engine.run(standing.job("nothing"))
    told.until("done")


def test_what_a_crashed_engine_had_started_is_ended_too(open_engine, heard):
    engine = open_engine()
    engine.run(standing.job("child", dies=True))
    told = heard(engine)
    child = told.until("note", starts="child")["text"].split()[1]
    told.until("failed")
    end = time.monotonic() + 5
    while not gone(child):
        assert time.monotonic() < end


def test_cancelling_a_job_that_waits_does_not_touch_the_one_that_runs(open_engine, heard, monkeypatch):
    monkeypatch.setattr(launch, "SOFT", 0.2)
    monkeypatch.setattr(launch, "HARD", 0.5)
    engine = open_engine()
    first, second = engine.run(standing.job("steps", steps=150)), engine.run(standing.job("nothing"))
    told = heard(engine)
    told.until("progress")
    engine.cancel(second)
    told.until("cancelled", id=second)
    told.until("done", id=first)


def gone(pid):
    """The process has ended, whether or not anybody asked how."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_a_host_that_was_busy_itself_does_not_take_a_quiet_engine_for_dead(open_engine, heard):
    engine = open_engine(silence=0.4)
    engine.run(standing.job("stuck"))
    told = heard(engine)
    told.until("note")
    for _ in range(2):
        time.sleep(1.2)  # a modal dialog, a render
        end = time.monotonic() + 0.8
        while time.monotonic() < end:
            assert [m["event"] for m in engine.poll()] == []
            time.sleep(0.005)
    assert engine.busy


def test_an_engine_that_leaves_before_every_job_is_not_started_for_ever(open_engine, heard, tmp_path):
    says = '{"event":"hello","protocol":1}'
    engine = open_engine(standing.program(str(tmp_path / "shy"), f"echo '{says}'; exit 0"))
    id = engine.run(standing.job("nothing"))
    told = heard(engine)
    assert told.until("failed", id=id)["kind"] == "engine"
    assert [m["event"] for m in told].count("hello") == 2


def test_two_jobs_asked_of_an_engine_that_just_left_both_go_to_one_new_engine(open_engine, heard, tmp_path, stand_in):
    left = tmp_path / "left"
    says = """echo '{"event":"hello","protocol":1}'"""
    leaves_once = f'if [ -e "{left}" ]; then exec "{stand_in}" "$@"; fi; {says}; touch "{left}"; exit 0'
    engine = open_engine(standing.program(str(tmp_path / "leaves"), leaves_once))
    first = engine.run(standing.job("nothing"))
    while not left.exists() or engine.alive:
        time.sleep(0.01)
    second = engine.run(standing.job("nothing"))
    told = heard(engine)
    told.until("done", id=first)
    told.until("done", id=second)
    assert [m["event"] for m in told].count("hello") == 2


def test_what_an_engine_said_before_it_was_closed_is_heard(open_engine, tmp_path):
    said = tmp_path / "said"
    lines = (
        "read -r line",
        r"""id=$(echo "$line" | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/')""",
        """echo '{"event":"hello","protocol":1}'""",
        r"""echo "{\"event\":\"done\",\"id\":\"$id\"}" """,
        f'touch "{said}"',
        "exec cat >/dev/null",
    )
    engine = open_engine(standing.program(str(tmp_path / "quick"), "\n".join(lines)))
    id = engine.run(standing.job("nothing"))
    while not said.exists():
        time.sleep(0.01)
    engine.close()
    assert [m["event"] for m in engine.poll() if m["id"] == id] == ["done"]


def test_a_job_that_is_no_json_fails_by_itself_and_the_engine_goes_on(open_engine, heard):
    engine = open_engine()
    told = heard(engine)
    for value in (float("nan"), {1}):
        id = engine.run(standing.job("nothing", words=value))
        assert told.until("failed", id=id)["kind"] == "request"
    assert not engine.busy
    engine.run(standing.job("nothing"))
    told.until("done")


def test_a_job_that_waits_behind_one_ended_by_force_is_told_so(open_engine, heard, monkeypatch):
    monkeypatch.setattr(launch, "SOFT", 0.2)
    monkeypatch.setattr(launch, "HARD", 0.5)
    engine = open_engine()
    first, second = engine.run(standing.job("stuck")), engine.run(standing.job("nothing"))
    told = heard(engine)
    told.until("note")
    engine.cancel(first)
    assert "another job did not stop" in told.until("failed", id=second)["sentence"]
    assert [m["id"] for m in told if m["event"] == "cancelled"] == [first]


def test_an_engine_that_hangs_up_and_does_not_end_is_ended(open_engine, heard, tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "TO_END", 0.3)
    says = '{"event":"hello","protocol":1}'
    engine = open_engine(standing.program(str(tmp_path / "mute"), f"echo '{says}'; exec sleep 1000 >&-"))
    id = engine.run(standing.job("nothing"))
    assert heard(engine).until("failed", id=id)["kind"] == "engine"


def test_a_release_ends_an_idle_engine_and_the_next_run_starts_a_new_one(open_engine, heard):
    engine = open_engine()
    engine.run(standing.job("nothing"))
    told = heard(engine)
    told.until("done")
    engine.release()
    for _ in range(500):
        engine.poll()
        if not engine.alive:
            break
        time.sleep(0.01)
    assert not engine.alive
    assert engine.poll() == []
    engine.run(standing.job("nothing"))
    heard(engine).until("done")


def test_a_job_asked_of_an_engine_that_is_just_leaving_is_not_lost(open_engine, heard):
    engine = open_engine()
    for _ in range(5):
        engine.start()
        engine.release()
        id = engine.run(standing.job("nothing"))
        heard(engine).until("done", id=id)


def test_closing_ends_the_process_whatever_it_does_and_tells_about_its_jobs(open_engine, heard):
    engine = open_engine()
    id = engine.run(standing.job("stuck"))
    heard(engine).until("note")
    began = time.monotonic()
    engine.close(wait=0.3)
    assert time.monotonic() - began < GENEROUS
    assert not engine.alive
    assert [m["event"] for m in engine.poll() if m["id"] == id] == ["cancelled"]
    engine.close()


def test_twenty_logs_are_kept_and_one_that_grows_loses_its_head(tmp_path):
    folder = str(tmp_path / "logs")
    for _ in range(30):
        path, handle = logs.new_log(folder, "nuke")
        os.close(handle)
    kept = os.listdir(folder)
    assert len(kept) == logs.KEPT
    assert [name for name in kept if not re.fullmatch(r"nuke-\d{8}-\d{6}-\d{6}\.log", name)] == []
    with open(path, "ab", buffering=0) as file:
        for number in range(100_000):
            file.write(b"%06d a warning that comes again and again and again\n" % number)
        logs.trim(path)
        file.write(b"the end\n")
    lines = pathlib.Path(path).read_text().splitlines()
    assert os.path.getsize(path) < logs.TAIL + 1000
    assert lines[0] == "(the head of this log was dropped)"
    assert lines[1][:6].isdigit()
    assert lines[-1] == "the end"


def test_logs_lie_in_a_folder_of_the_users_own_or_in_a_spare_one(tmp_path):
    folder = logs.log_folder({"XDG_STATE_HOME": str(tmp_path)})
    assert folder == str(tmp_path / "sfumato" / "logs")
    assert oct(os.stat(folder).st_mode & 0o777) == "0o700"
    (tmp_path / "file").write_text("")
    spare = logs.log_folder({"XDG_STATE_HOME": str(tmp_path / "file")})
    assert os.path.isdir(spare)
    assert not spare.startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("code", "said", "kind", "sentence"),
    [
        (-11, "", "engine", "segmentation fault"),
        (-9, "", "engine", "killed from outside"),
        (-6, "terminate called after throwing an instance of 'std::bad_alloc'\n", "memory", "ran out of memory"),
        (7, "", "engine", "exit code 7"),
    ],
)
def test_every_end_has_a_sentence(tmp_path, code, said, kind, sentence):
    log = tmp_path / "log"
    log.write_text(said)
    death = cause(code, True, "/x/python", str(log))
    assert death.kind == kind
    assert sentence in death.sentence
    assert death.hint


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("--- job 1 begins\nMemoryError\n--- job 1 is over\n--- job 2 begins\nsome warning\n", "engine"),
        ("--- job 1 begins\nMemoryError\n--- job 1 is over\n", "engine"),
        ("--- job 1 begins\nfine\n--- job 1 is over\n--- job 2 begins\nMemoryError\n", "memory"),
        ("out of memory, and the log's head was cut off\n", "memory"),
    ],
)
def test_only_what_was_logged_since_the_job_began_is_its_cause_of_death(tmp_path, said, kind):
    (tmp_path / "log").write_text(said)
    assert cause(-9, True, "/x/python", str(tmp_path / "log")).kind == kind


def test_importing_the_host_side_loads_nothing_compiled_but_pythons_own():
    code = f"""
import importlib.machinery, os, sys
sys.path.insert(0, {standing.PLUGINS!r})
import sfumato_plugins.launch, sfumato_plugins.lease
own = os.path.join(sys.base_prefix, "")
files = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
print([f for f in files if f.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)) and not f.startswith(own)])
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.fixture
def matte(shot):
    """A tiny shot of three frames, and its job file."""
    pytest.importorskip("torch", reason="the engine is not installed here")
    shot.write(range(1, 4))
    path = shot.folder / "job.json"
    shot.job("1-3").save(str(path))
    return shot, path


def test_a_real_matte_tells_each_frame_when_its_files_are_there_and_keeps_them(open_engine, heard, matte):
    shot, path = matte
    engine = open_engine(sys.executable)
    told = heard(engine)
    id = engine.run(str(path), frames="1-2")
    part = told.until("done", seconds=60, id=id)
    frames = [m for m in told if m["event"] == "frame"]
    assert [(m["frame"], m["view"], m["files"]) for m in frames] == [(f, "main", [str(shot.output(f))]) for f in (1, 2)]
    assert all(shot.output(f).is_file() for f in (1, 2))
    assert (part["complete"], part["result"], part["computed"]) == (False, None, {"main": [1, 2]})
    shares = [m["share"] for m in told if m["event"] == "progress"]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    id = engine.run(str(path))
    whole = told.until("done", seconds=60, id=id)
    assert (whole["complete"], whole["computed"], whole["kept"]) == (True, {"main": [3]}, {"main": [1, 2]})
    assert os.path.isfile(whole["result"])


def test_a_job_of_json_values_starts_from_the_hosts_current_folder(open_engine, heard, matte, monkeypatch):
    shot, path = matte
    monkeypatch.chdir(shot.folder)
    values = json.loads(path.read_text())
    values.update(inputs={"plate": "plate.####.exr", "trimap": "trimap.####.exr"}, outputs={"matte": "rel/M.####.exr"})
    engine = open_engine(sys.executable)
    engine.run({**values, "frames": "2"})
    done = heard(engine).until("done", seconds=60)
    assert done["result"] == str(shot.folder / "rel" / "M.result.json")


def test_a_real_solve_stops_between_two_optimiser_steps(open_engine, heard, matte):
    shot, path = matte
    shot.job("1", params={"quality": "standard", "device": "cpu"}).save(str(path))
    engine = open_engine(sys.executable)
    told = heard(engine)
    for _ in range(2):
        id = engine.run(str(path))
        while "prior" not in told.until("progress", seconds=60)["text"]:
            del told[:], told.at[:]
        began = time.monotonic()
        engine.cancel(id)
        told.until("cancelled", id=id)
        took = time.monotonic() - began
        print(f"cancelled after {took:.3f} s")
        assert took < GENEROUS
        del told[:], told.at[:]
    assert not list(shot.folder.glob("out/M.*.exr"))
