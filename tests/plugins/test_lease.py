"""One process at a time has a GPU, whatever happens to it; artists come before farms. No GPU is needed to find out."""

import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

import pytest

from sfumato_plugins import lease as leases
from sfumato_plugins.benches import stand_in as standing
from sfumato_plugins.gpu import memory_sentence, visible_gpus
from sfumato_plugins.lease import Client

START = f"""
import os, sys, time
sys.path[:0] = {[standing.PLUGINS, standing.ENGINE]!r}
from sfumato_plugins import gpu, lease, waiting
from sfumato_plugins.lease import Client
folder = lease.folder_for_leases()
say = lambda text: print(text, flush=True)
"""
HOLD = START + "gpu.hold(['ONE'], Client('holder', True), say, lambda: None); say('has it'); time.sleep(1000)"
TURNS = (
    START
    + """
import random
random = random.Random(int(sys.argv[1]))
for turn in range(8):
    mine = waiting.wait_for(['ONE'], Client(sys.argv[1]), folder, lambda text: None, lambda: None)
    os.close(os.open(sys.argv[2], os.O_CREAT | os.O_EXCL))  # fails if somebody else is here
    time.sleep(random.uniform(0, 0.01))
    os.remove(sys.argv[2])
    if turn == 7:
        os.kill(os.getpid(), 9)
    mine.give_back()
    time.sleep(random.uniform(0, 0.02))
"""
)
FARM = (
    START
    + """
gpu.hold(['ONE'], Client('farm'), say, lambda: None)
for frame in range(1, 1000):
    say(f'begins {frame}')
    time.sleep(0.3)
    say(f'ends {frame}')
    gpu.between_frames(say, lambda: None)
"""
)


@pytest.fixture
def environ(tmp_path, monkeypatch):
    """One GPU that nobody has, and leases of our own."""
    monkeypatch.setenv("SFUMATO_LEASES", str(tmp_path / "leases"))
    monkeypatch.setenv("SFUMATO_GPUS", "ONE")
    return os.environ


@pytest.fixture
def start(environ):
    """start(code, words...) runs Python in a process of its own; killed in the end."""
    running = []

    def one(code, *words, **more):
        command = [sys.executable, "-c", code, *map(str, words)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(environ), **more))
        return running[-1]

    yield one
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def folder():
    return leases.folder_for_leases()


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_two_clients_never_both_have_it_also_when_they_are_killed_with_it(start, tmp_path):
    running = [start(TURNS, number, tmp_path / "here") for number in range(5)]
    codes = [process.wait(60) for process in running]
    assert codes == [-signal.SIGKILL] * 5  # each got through its turns; a meeting would have ended one with an error


def test_a_killed_holders_gpu_is_free_at_once(start):
    process = start(HOLD)
    assert process.stdout.readline() == "has it\n"
    assert leases.take("ONE", Client(), folder()) is None
    process.kill()
    killed = time.monotonic()
    process.wait()
    mine = None
    while mine is None:
        assert time.monotonic() - killed < 5
        mine = leases.take("ONE", Client(), folder())
    print(f"free after {(time.monotonic() - killed) * 1000:.1f} ms")
    mine.give_back()


def test_whoever_waits_knows_who_has_it_and_the_other_way_round(start):
    process = start(HOLD)
    process.stdout.readline()
    who = leases.holder("ONE", folder())
    assert (who["host"], who["pid"], who["interactive"], who["busy"]) == ("holder", process.pid, True, True)
    second = start(START + "waiting.wait_for(['ONE'], Client('second'), folder, say, lambda: None)")
    assert f"(process {process.pid}) has it" in second.stdout.readline()
    wait_until(lambda: leases.waiting("ONE", folder()))
    (waits,) = leases.waiting("ONE", folder())
    assert (waits["host"], waits["pid"]) == ("second", second.pid)
    second.kill()
    second.wait()
    assert leases.waiting("ONE", folder()) == []
    assert [name for name in os.listdir(folder()) if "wanted" in name] == []


def test_a_folder_of_leases_that_was_tidied_away_ends_nobody(environ):
    mine = leases.take("ONE", Client(), folder())
    shutil.rmtree(folder())
    assert mine.wanted_by() == []
    mine.give_back()


def test_of_two_gpus_the_second_client_gets_the_other_one(start):
    first = leases.take("TWO", Client(), folder())
    code = START + "say(gpu.hold(['TWO', 'ONE'], Client(), say, lambda: None)); time.sleep(100)"
    assert start(code).stdout.readline() == "ONE\n"
    first.give_back()


def test_an_idle_engine_hands_over_at_once_and_its_host_hears_of_no_failure(open_engine, heard, environ):
    one, two = open_engine(), open_engine()
    one.run(standing.job("on gpu"))
    told = heard(one)
    told.until("done")
    assert leases.holder("ONE", folder())["busy"] is False
    began = time.monotonic()
    two.run(standing.job("on gpu"))
    told_two = heard(two)
    told_two.until("note", text="has the GPU")
    took = time.monotonic() - began
    print(f"handed over after {took:.2f} s, the start of the second engine included")
    assert took < 5
    told_two.until("done")
    wait_until(lambda: [*one.poll()] == [] and not one.alive)
    one.run(standing.job("on gpu"))
    told.until("done")


def test_an_engine_that_works_keeps_its_gpu_and_the_other_may_stop_waiting(open_engine, heard, environ):
    one, two = open_engine(), open_engine()
    one.run(standing.job("on gpu", steps=10**6))
    heard(one).until("note", text="has the GPU")
    id = two.run(standing.job("on gpu"))
    told = heard(two)
    assert "waiting for the GPU: stand-in of" in told.until("note", starts="waiting")["text"]
    time.sleep(1)
    assert one.busy
    began = time.monotonic()
    two.cancel(id)
    told.until("cancelled")
    assert time.monotonic() - began < 5


def test_an_engine_without_work_gives_its_gpu_back_after_a_while(open_engine, heard, environ):
    engine = open_engine(idle=0.6)
    engine.run(standing.job("on gpu"))
    heard(engine).until("done")
    assert engine.alive
    wait_until(lambda: engine.poll() == [] and not engine.alive, 5)
    assert leases.holder("ONE", folder()) == {}


def test_an_engine_that_has_no_gpu_stays_warm(open_engine, heard, environ):
    engine = open_engine(idle=0.1)
    engine.run(standing.job("steps"))
    heard(engine).until("done")
    time.sleep(1.2)
    assert engine.alive


def test_a_farms_run_lets_an_artist_in_after_its_frame_and_goes_on_later(start, open_engine, heard, environ):
    farm = start(FARM)
    assert farm.stdout.readline() == "begins 1\n"
    artist = open_engine(idle=0.5)
    artist.run(standing.job("on gpu", steps=30))
    began = time.monotonic()
    told = heard(artist)
    told.until("note", text="has the GPU")
    print(f"the artist had it after {time.monotonic() - began:.2f} s")
    assert time.monotonic() - began < 5
    told.until("done")
    lines = []
    while len(lines) < 3 or "needs the GPU" not in lines[-2]:
        lines.append(farm.stdout.readline().strip())
    assert lines[-3].startswith("ends ")  # never in the middle of a frame
    assert lines[-1].startswith("begins ")  # and it went on


def test_a_farms_run_does_not_make_way_for_another_one(start):
    first = start(FARM)
    first.stdout.readline()
    second = start(FARM)
    assert "has it" in second.stdout.readline()
    lines = [first.stdout.readline().split()[0] for _ in range(7)]
    assert lines == ["ends", "begins"] * 3 + ["ends"]


def test_every_user_of_the_machine_can_take_a_turn_whatever_the_umask(start):
    before = os.umask(0o077)
    try:
        leases.take("ONE", Client(), folder()).give_back()
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(folder()).st_mode) == 0o1777
    assert {stat.S_IMODE(os.stat(os.path.join(folder(), n)).st_mode) for n in os.listdir(folder())} == {0o666}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_a_user_waits_for_another_users_lease_and_takes_it_over(monkeypatch, start):
    shared = tempfile.mkdtemp(prefix="leases-", dir="/tmp")
    plugins = os.path.join(shared, "plugins")
    shutil.copytree(standing.PLUGINS, plugins, ignore=shutil.ignore_patterns("__pycache__"))
    os.chmod(shared, 0o755)
    monkeypatch.setenv("SFUMATO_LEASES", os.path.join(shared, "leases"))
    python = next((p for p in ("/usr/bin/python3", sys.executable) if os.access(p, os.X_OK)), "")
    code = HOLD.replace(repr(standing.PLUGINS), repr(plugins))
    command = [python, "-B", "-c", code]
    try:
        mine = leases.take("ONE", Client(), folder())
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, user=65534, group=65534, cwd="/")
        line = other.stdout.readline()
        if not line:
            pytest.skip("no Python that another user can start")
        assert "has it" in line
        assert line.startswith("waiting")
        wait_until(lambda: mine.wanted_by())
        mine.give_back()
        assert other.stdout.readline() == "has it\n"
        assert leases.holder("ONE", folder())["pid"] == other.pid
        other.kill()
        other.wait()
        other.stdout.close()
        wait_until(lambda: leases.take("ONE", Client(), folder()) is not None)
    finally:
        shutil.rmtree(shared)


def test_a_link_in_the_place_of_the_folder_or_of_a_lock_is_refused(environ, tmp_path):
    os.symlink(tmp_path / "elsewhere", tmp_path / "leases")
    with pytest.raises(OSError, match="not a folder"):
        folder()
    os.remove(tmp_path / "leases")
    os.symlink(tmp_path / "victim", os.path.join(folder(), "ONE.lock"))
    with pytest.raises(OSError, match=r"ONE\.lock"):
        leases.take("ONE", Client(), folder())
    assert not (tmp_path / "victim").exists()


def test_where_no_lock_can_be_kept_it_is_said_and_the_work_goes_on(environ, tmp_path, monkeypatch):
    from sfumato_plugins import gpu

    (tmp_path / "leases").write_text("a file where the folder should be")
    said = []
    monkeypatch.setattr(gpu, "_held", None)
    assert gpu.hold(["ONE"], Client(), said.append, lambda: None) == "ONE"
    assert "cannot be kept from others" in said[0]


def test_the_list_of_gpus_can_be_made_up_for_tests():
    assert visible_gpus({"SFUMATO_GPUS": "A,B"}) == {"A": None, "B": None}
    assert visible_gpus({"SFUMATO_GPUS": ""}) == {}


def test_what_is_free_on_a_gpu_is_said_and_too_little_is_too():
    assert memory_sentence(20 * 2**30, 24 * 2**30) == "GPU memory: 20.0 of 24.0 GiB free"
    assert "too little" in memory_sentence(1 * 2**30, 24 * 2**30)
    limited = memory_sentence(20 * 2**30, 24 * 2**30, 1.5 * 2**30)
    assert "1.5 GiB allowed" in limited
    assert "too little" in limited


def test_a_real_matte_on_any_device_has_the_lease_and_one_on_the_cpu_needs_none(shot, open_engine, heard, environ):
    pytest.importorskip("torch", reason="the engine is not installed here")
    shot.write([1, 2])
    path = pathlib.Path(shot.folder / "job.json")
    engine = open_engine(sys.executable)
    told = heard(engine)
    shot.job("1").save(str(path))
    engine.run(str(path))
    told.until("done", seconds=60)
    assert leases.holder("ONE", folder()) == {}
    job = json.loads(path.read_text())
    path.write_text(json.dumps({**job, "frames": "1-2", "params": {"quality": "preview", "device": "auto"}}))
    id = engine.run(str(path), force=True)
    told.until("done", seconds=60, id=id)
    pid = told.until("hello")["pid"]
    assert leases.holder("ONE", folder())["pid"] == pid


def test_a_teller_that_cannot_speak_is_not_taken_for_a_lock_that_does_not_hold(start):
    from sfumato_plugins import gpu

    said = []

    def say(text):
        said.append(text)
        if len(said) == 1:
            raise BrokenPipeError(32, "whoever read this is gone")

    mine = leases.take("ONE", Client("comp", interactive=True), folder())
    with pytest.raises(BrokenPipeError):
        gpu.hold(["ONE"], Client(), say, lambda: None)
    assert len(said) == 1
    assert "comp of" in said[0]
    assert gpu.held() is None
    assert leases.waiting("ONE", folder()) == []
    mine.give_back()
