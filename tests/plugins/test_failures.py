"""However an engine fails, the artist reads a sentence, what to do, and where the log is. The processes are real."""

import contextlib
import os
import pathlib
import subprocess
import sys
import time

import pytest

from sfumato_plugins.benches import stand_in as standing
from sfumato_plugins.child import HELD, Child

GENEROUS = 5.0  # seconds; the bench measures what it is
SAYS = {
    "segfault": ("engine", "crashed (SIGSEGV, segmentation fault)"),
    "kill": ("engine", "killed from outside"),
    "memory": ("memory", "out of memory"),
    "exception": ("internal", "a bug in sfumato: KeyError"),
    "bad json": ("engine", "no message: no message at all"),
    "disk full": ("request", "the disk is full"),
    "missing module": ("engine", "has no module called a_module_nobody_installed"),
    "silence": ("timeout", "has said nothing for 1 s"),
    "leave": ("engine", "ended by itself in the middle of a job (exit code 7)"),
}


def is_for_an_artist(failed, kind, words):
    assert failed["kind"] == kind
    assert words in failed["sentence"]
    assert "Traceback" not in failed["sentence"]
    assert failed["hint"]
    assert pathlib.Path(failed["log"]).read_text()


@pytest.mark.parametrize("do", SAYS)
def test_a_job_that_goes_wrong_is_told_in_a_sentence_and_the_next_one_runs(open_engine, heard, do):
    engine = open_engine(silence=1.0)
    id = engine.run(standing.job(do))
    told = heard(engine)
    began = told.when(told.until("note", starts="now"))
    failed = told.until("failed", id=id)
    is_for_an_artist(failed, *SAYS[do])
    took = told.when(failed) - began - (1.0 if do == "silence" else 0.0)
    print(f"{do}: {took * 1000:.0f} ms to {failed['sentence']}")
    assert took < GENEROUS
    assert not engine.busy
    again = engine.run(standing.job("nothing"))
    told.until("done", id=again)
    assert [m["event"] for m in told if m["id"] == id].count("failed") == 1


@pytest.mark.parametrize("do", ["exception", "memory", "disk full", "missing module"])
def test_what_a_job_does_wrong_does_not_end_the_engine(open_engine, heard, do):
    engine = open_engine()
    engine.run(standing.job(do))
    told = heard(engine)
    pid = told.until("hello")["pid"]
    told.until("failed")
    os.kill(pid, 0)
    assert engine.alive


def test_a_job_that_ran_out_of_memory_is_not_what_a_later_one_dies_of(open_engine, heard):
    engine = open_engine()
    engine.run(standing.job("memory"))
    told = heard(engine)
    assert told.until("failed")["kind"] == "memory"
    killed = told.until("failed", id=engine.run(standing.job("kill")))
    is_for_an_artist(killed, *SAYS["kill"])


def test_the_traceback_of_a_bug_is_in_the_log(open_engine, heard):
    engine = open_engine()
    engine.run(standing.job("exception"))
    failed = heard(engine).until("failed")
    assert "Traceback" in pathlib.Path(failed["log"]).read_text()


def test_the_place_of_a_crash_is_in_the_log(open_engine, heard):
    engine = open_engine()
    engine.run(standing.job("segfault"))
    failed = heard(engine).until("failed")
    deadline = time.monotonic() + 5
    while "stand_in.py" not in pathlib.Path(failed["log"]).read_text():
        assert time.monotonic() < deadline
    assert "Segmentation fault" in pathlib.Path(failed["log"]).read_text()


def test_jobs_that_wait_behind_a_crash_are_told_too(open_engine, heard):
    engine = open_engine()
    ids = [engine.run(standing.job(do)) for do in ("segfault", "nothing", "nothing")]
    told = heard(engine)
    assert {told.until("failed", id=id)["kind"] for id in ids} == {"engine"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f'exec "{sys.executable}" -I -S "$@"', "sfumato is not installed in"),
        ("exit 3", "did not become an engine (exit code 3)"),
        ("exec cat", 'is not sfumato\'s Python; it said: {"op":"run"'),
        ("yes", "is not sfumato's Python; it said: y"),
        ("kill -SEGV $$", "did not become an engine (SIGSEGV"),
        ('echo \'{"event":"hello","protocol":99}\'; sleep 100', "speaks protocol 99, not 1"),
    ],
)
def test_a_wrong_python_is_told_and_named(open_engine, heard, tmp_path, line, words):
    engine = open_engine(standing.program(str(tmp_path / "wrong"), line))
    began = time.monotonic()
    id = engine.run(standing.job("nothing"))
    told = heard(engine)
    failed = told.until("failed", id=id)
    is_for_an_artist(failed, "engine", words)
    assert told.when(failed) - began < GENEROUS
    assert not engine.alive


@pytest.mark.skipif(sys.platform == "win32", reason="there is no program called yes")
def test_a_process_that_floods_us_is_held_back_and_leaves_no_thread_behind():
    with open(os.devnull, "w") as log:
        child = Child(["yes"], os.environ, log.fileno(), "/")
    end = time.monotonic() + 20
    while child._in.qsize() < HELD and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)
    assert HELD <= len(child.heard()) <= HELD + 1
    child.kill()
    assert child.wait(GENEROUS)
    child._reader.join(GENEROUS)
    assert not child._reader.is_alive()


def test_a_python_that_never_says_hello_is_ended(open_engine, heard, tmp_path):
    engine = open_engine(standing.program(str(tmp_path / "slow"), "sleep 1000"), patience=0.3)
    id = engine.run(standing.job("nothing"))
    is_for_an_artist(heard(engine).until("failed", id=id), "timeout", "has not answered for 0.3 s")
    assert not engine.alive


def test_a_python_that_cannot_be_executed_is_refused_at_once(open_engine, tmp_path):
    from sfumato_plugins.launch import NoEngine

    (tmp_path / "text").write_text("I am no program")
    os.chmod(tmp_path / "text", 0o755)
    for name, words in (("text", "cannot be started"), ("nowhere", "there is no Python at")):
        with pytest.raises(NoEngine, match=words) as refused:
            open_engine(str(tmp_path / name)).run(standing.job("nothing"))
        assert refused.value.hint


def test_a_job_file_that_is_no_json_is_the_requests_fault(open_engine, heard, tmp_path):
    pytest.importorskip("torch", reason="the engine is not installed here")
    (tmp_path / "job.json").write_text('{"schema": ')
    engine = open_engine(sys.executable)
    engine.run(str(tmp_path / "job.json"))
    failed = heard(engine).until("failed")
    assert (failed["kind"], "is not JSON" in failed["sentence"]) == ("request", True)


# What follows are mattes: the real engine, really failing.


@pytest.fixture
def tiny(shot):
    pytest.importorskip("torch", reason="the engine is not installed here")
    return shot.write(range(1, 3))


def failed_matte(open_engine, heard, job, python=sys.executable, **more):
    engine = open_engine(python, **more)
    values = {**job.to_json(), "outputs": dict(job.outputs)}
    id = engine.run(values)
    failed = heard(engine).until("failed", seconds=120, id=id)
    print(failed)
    return failed


def test_a_job_for_a_gpu_where_there_is_none_is_told(open_engine, heard, tiny):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    failed = failed_matte(open_engine, heard, tiny.job("1-2", params={"quality": "preview", "device": "cuda"}))
    is_for_an_artist(failed, "request", "cuda cannot be used")


def test_an_installation_without_torch_is_told(open_engine, heard, tiny, tmp_path):
    python = standing.python_that(
        str(tmp_path), "import sys; from sfumato_plugins import cli; sys.exit(cli.main(sys.argv[3:]))", NO_TORCH
    )
    failed = failed_matte(open_engine, heard, tiny.job("1-2"), python)
    is_for_an_artist(failed, "engine", "has no module called torch")


NO_TORCH = "sys.modules['torch'] = None"


@pytest.fixture
def disk(tmp_path):
    """A folder on a disk of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up_under_a_matte_is_told_and_holds_no_half_file(open_engine, heard, tiny, disk):
    engine = open_engine(sys.executable)
    job = tiny.job("1-2", outputs={"matte": str(disk / "M.####.exr")})
    engine.run(job.to_json())
    told = heard(engine)
    told.until("note", seconds=60, starts="matte: cpu")
    with contextlib.suppress(OSError), open(disk / "others.bin", "wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
    failed = told.until("failed", seconds=60)
    print(failed)
    is_for_an_artist(failed, "request", str(disk))
    assert not list(disk.glob("M.*.exr"))


def test_a_log_on_a_full_disk_is_no_reason_to_stop(open_engine, heard, disk):
    with contextlib.suppress(OSError), open(disk / "others.bin", "wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
    engine = open_engine(log_folder=str(disk))
    for do in ("warnings", "exception", "nothing"):
        engine.run(standing.job(do))
    told = heard(engine)
    assert told.until("failed")["kind"] == "internal"
    told.until("done", id=engine.run(standing.job("nothing")))
    assert [m["event"] for m in told if m["event"] in ("done", "failed")] == ["done", "failed", "done", "done"]


def test_a_file_that_outgrows_the_users_limit_is_told(open_engine, heard, tiny, tmp_path):
    limit = "sys.dont_write_bytecode = True; import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))"
    python = standing.python_that(
        str(tmp_path), "import sys; from sfumato_plugins import cli; sys.exit(cli.main(sys.argv[3:]))", limit
    )
    failed = failed_matte(open_engine, heard, tiny.job("1-2"), python)
    assert failed["kind"] in ("request", "input")
    assert "M.0001" in failed["sentence"]
    assert not list(tmp_path.glob("out/M.*.exr"))


def test_a_matte_that_runs_out_of_memory_is_told(open_engine, heard, tiny, tmp_path):
    """The address space ends while torch computes: the plate is large and the limit is what was used before it."""
    limit = """
import sfumato.matte.solve as solve
whole = solve.solve_classical
def solve_classical(*given, **more):
    import resource, torch
    now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (16 << 20), resource.RLIM_INFINITY))
    return torch.zeros(1 << 30) + whole(*given, **more).alpha
solve.solve_classical = solve_classical
"""
    then = f"import sys; from sfumato_plugins import cli\n{limit}\nsys.exit(cli.main(sys.argv[3:]))"
    failed = failed_matte(open_engine, heard, tiny.job("1-2"), standing.python_that(str(tmp_path), then))
    is_for_an_artist(failed, "memory", "out of memory")


def test_a_folder_that_cannot_be_written_is_the_artists_to_mend():
    from sfumato_plugins.failure import failure

    found = failure(PermissionError(13, "Permission denied", "/shows/ab/.job.json.1.part"))
    assert (found.code, found.bug) == (2, False)
    assert found.sentence == "/shows/ab cannot be used: Permission denied"
    assert "write there" in found.hint
