"""The engine side of the pipe, as a process of its own that is spoken to in lines."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from sfumato_plugins import wire
from sfumato_plugins.benches import stand_in as standing

GENEROUS = 5.0  # seconds, on a machine that does much else; `sfumato bench host` measures what it is
HOST = """
import sys, time, os
sys.path[:0] = {path!r}
from sfumato_plugins.launch import Engine
engine = Engine({python!r}, host="test", log_folder={logs!r})
id = engine.run({job!r})
seen = set()
while True:
    for message in engine.poll():
        if message["event"] == "hello":
            print(message["pid"], flush=True)
        if message["event"] == "note":
            print(message["text"], flush=True)
    if {fork!r} and not seen and engine._child is not None:
        seen.add(1)
        if os.fork() == 0:  # a child that keeps the host's ends of the pipes open
            time.sleep(20)
            os._exit(0)
    time.sleep(0.002)
"""


class Spoken:
    """A worker and what it said, line by line."""

    def __init__(self, python, *options):
        command = [python, "-m", "sfumato_plugins.cli", "worker", *options]
        pipe = subprocess.PIPE
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([standing.PLUGINS, standing.ENGINE])}
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environ)
        self.log = []
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()

    def say(self, line):
        self.process.stdin.write(line if isinstance(line, bytes) else wire.encode(line))
        self.process.stdin.flush()

    def run(self, id, do, **more):
        self.say({"op": "run", "id": id, "job": standing.job(do, **more)})

    def next(self, event):
        """The next message of a kind; what comes before it is dropped."""
        for line in self.process.stdout:
            message = json.loads(line)
            if message["event"] == event:
                return message
        raise AssertionError(f"no {event} before the end: {b''.join(self.log).decode()}")


@pytest.fixture
def worker(stand_in):
    started = []

    def start(*options, python=stand_in):
        started.append(Spoken(python, *options))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
        one.process.stdin.close()
        one.process.stdout.close()


def test_hello_comes_unasked_and_says_what_there_is(worker):
    hello = worker().next("hello")
    assert hello["protocol"] == 1
    assert "matte" in hello["tools"]
    assert hello["python"] == "{}.{}.{}".format(*sys.version_info[:3])


def test_hello_needs_neither_torch_nor_anything_else_that_is_compiled(worker, tmp_path):
    poison = "sys.modules.update(dict.fromkeys(['torch', 'numpy', 'OpenImageIO', 'PyOpenColorIO']))"
    python = standing.python_that(str(tmp_path), before=poison)
    assert worker(python=python).next("hello")["protocol"] == 1


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[1]\n",
        b"\xff\xfe\n",
        b'{"op":"dance","id":"x"}\n',
        b'{"id":"x"}\n',
        b'{"op":"run","id":"x"}\n',
        b'{"op":"run","job":{}}\n',
        b'{"op":"run","id":"x","job":7}\n',
        b'{"op":["run"],"id":{"a":1}}\n',
    ],
)
def test_what_it_cannot_use_is_refused_and_never_ends_it(worker, line):
    one = worker()
    one.say(line)
    refused = one.next("failed")
    assert refused["kind"] == "request"
    assert refused["sentence"]
    one.run("j", "nothing")
    assert one.next("done")["id"] == "j"


def test_keys_it_does_not_know_are_ignored(worker):
    one = worker()
    one.say({"op": "run", "id": "j", "job": standing.job("nothing"), "mood": "green"})
    assert one.next("done")["complete"] is True


def test_one_job_is_computed_at_a_time_in_the_order_they_were_asked(worker):
    one = worker()
    for id in "abc":
        one.run(id, "steps", steps=5)
    assert [one.next("accepted")["ahead"] for _ in "abc"] == [0, 1, 2]
    assert [one.next("done")["id"] for _ in "abc"] == ["a", "b", "c"]


def test_a_ping_is_answered_while_it_computes(worker):
    one = worker()
    one.run("j", "stuck")
    one.next("note")
    one.say({"op": "ping", "id": "p"})
    assert one.next("pong")["id"] == "p"


def test_progress_is_whole_percents_that_never_fall_ten_times_a_second(worker):
    one = worker()
    one.run("j", "steps", steps=100)
    began, shares = time.monotonic(), []
    for line in one.process.stdout:
        message = json.loads(line)
        if message["event"] == "progress":
            shares.append(message["share"])
        if message["event"] == "done":
            break
    assert shares == sorted(shares)
    assert all(round(share * 100, 9).is_integer() for share in shares)
    assert 5 <= len(shares) <= 2 + 10 * (time.monotonic() - began)  # of a hundred steps


def test_a_job_stops_between_two_steps_and_a_waiting_one_before_it_begins(worker):
    one = worker()
    one.run("now", "steps", steps=10**6)
    one.run("later", "nothing")
    one.next("note")
    one.say({"op": "cancel", "id": "later"})
    one.say({"op": "cancel", "id": "now"})
    assert {one.next("cancelled")["id"] for _ in "ab"} == {"now", "later"}
    one.run("again", "nothing")
    assert one.next("done")["id"] == "again"


def test_a_job_that_waits_is_cancelled_at_once_whatever_runs(worker):
    one = worker()
    one.run("now", "stuck")
    one.run("later", "nothing")
    one.next("note")
    one.say({"op": "cancel", "id": "later"})
    assert one.next("cancelled")["id"] == "later"
    one.say({"op": "ping", "id": "p"})
    assert one.next("pong")["id"] == "p"


def test_what_libraries_and_children_say_reaches_the_log_and_not_the_host(worker):
    one = worker()
    one.run("j", "chatter")
    events = []
    for line in one.process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == "done":
            break
    assert {m["event"] for m in events} <= {"hello", "accepted", "note", "done"}
    assert events[-1]["id"] == "j"
    one.say({"op": "quit"})
    one.process.wait(10)
    time.sleep(0.1)
    log = b"".join(one.log)
    assert b"a library prints" in log
    assert b"a child speaks" in log
    assert b"forged" in log


@pytest.mark.parametrize("how", ["quit", "release", "end of stdin", "SIGTERM"])
def test_an_idle_one_leaves_when_told_with_exit_code_0(worker, how):
    one = worker()
    one.next("hello")
    if how == "end of stdin":
        one.process.stdin.close()
    elif how == "SIGTERM":
        one.process.send_signal(signal.SIGTERM)
    else:
        one.say({"op": how})
    assert one.process.wait(5) == 0


def test_release_lets_what_runs_end_first(worker):
    one = worker()
    one.run("j", "steps", steps=20)
    one.next("note")
    one.say({"op": "release"})
    assert one.next("done")["id"] == "j"
    assert one.process.wait(5) == 0


def test_sigterm_stops_a_job_between_two_steps(worker):
    one = worker()
    one.run("j", "steps", steps=10**6)
    one.next("note")
    one.process.send_signal(signal.SIGTERM)
    assert "SIGTERM" in one.next("cancelled")["sentence"]
    assert one.process.wait(5) == 0


def gone(pid):
    """The process has ended, whether or not anybody asked how."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def host(tmp_path, python, job, fork=False):
    """A host as a process, and the pid of its worker."""
    path = [standing.PLUGINS, standing.ENGINE]
    code = HOST.format(path=path, python=python, logs=str(tmp_path / "logs"), job=job, fork=fork)
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    return started, int(started.stdout.readline())


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes in /proc")
@pytest.mark.parametrize(
    ("do", "fork"), [("nothing", False), ("steps", False), ("stuck", False), ("child", False), ("stuck", True)]
)
def test_it_is_gone_soon_after_its_hosts_death(tmp_path, stand_in, do, fork):
    started, pid = host(tmp_path, stand_in, standing.job(do, steps=10**6), fork)
    assert started.stdout.readline().startswith("now")
    child = int(started.stdout.readline().split()[1]) if do == "child" else None
    time.sleep(0.1)
    started.kill()
    killed = time.monotonic()
    started.wait()
    while not gone(pid) and time.monotonic() - killed < 10:
        time.sleep(0.01)
    took = time.monotonic() - killed
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    started.stdout.close()
    print(f"{do}, fork {fork}: gone after {took:.2f} s")
    assert took < GENEROUS
    while child and not gone(child) and time.monotonic() - killed < GENEROUS:
        time.sleep(0.01)
    assert child is None or gone(child)


def test_it_is_gone_soon_also_in_the_middle_of_a_torch_operation(tmp_path, stand_in):
    pytest.importorskip("torch", reason="torch is not installed")
    started, pid = host(tmp_path, stand_in, standing.job("long operation"))
    assert started.stdout.readline().startswith("now")
    assert started.stdout.readline() == "torch\n"
    time.sleep(0.2)
    started.kill()
    killed = time.monotonic()
    started.wait()
    while not gone(pid) and time.monotonic() - killed < 10:
        time.sleep(0.01)
    print(f"gone after {time.monotonic() - killed:.2f} s")
    assert time.monotonic() - killed < GENEROUS
    started.stdout.close()
