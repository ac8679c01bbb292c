"""The queue runs commands side by side in their order, tries again, stops at once, and says what went wrong."""

import json
import os
import sys
import time

import pytest

pytest.importorskip("openjd.sessions", reason="openjd-sessions, which the queue runs on, is not installed")

from sfumato_plugins.queue_engine import Engine, codes
from sfumato_plugins.queue_slots import slots_of, visible
from sfumato_plugins.queue_tasks import Task, Tasks

TWO = {"a": {}, "b": {}}


def python(code, *words):
    return [sys.executable, "-c", code, *map(str, words)]


def shell(text):
    return ["/bin/sh", "-c", text]


def run(tasks, tmp_path, slots=TWO, look=lambda: None, **more):
    tasks = Tasks(tasks)
    engine = Engine(tasks, slots, str(tmp_path / "logs"), **more)
    engine.run(look)
    return {task.name: task for task in tasks.all}


class Stop(Exception):  # noqa: N818
    pass


def test_all_is_done_and_nothing_is_left_behind(tmp_path):
    done = run([Task(str(i), shell(f"echo {i} > {tmp_path}/{i}")) for i in range(5)], tmp_path)
    assert {task.state for task in done.values()} == {"done"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "3", "4"]


def test_a_task_waits_for_those_it_needs(tmp_path):
    seen = tmp_path / "seen"
    tasks = [
        Task("last", shell(f"echo last >> {seen}"), needs=frozenset({"slow", "quick"})),
        Task("slow", shell(f"sleep 0.3; echo slow >> {seen}")),
        Task("quick", shell(f"echo quick >> {seen}")),
    ]
    run(tasks, tmp_path)
    assert seen.read_text().split() == ["quick", "slow", "last"]


def test_two_slots_work_at_the_same_time(tmp_path):
    """Each task waits until the other has begun."""
    meet = "touch {0}/{1}; for i in $(seq 300); do [ -e {0}/{2} ] && exit 0; sleep 0.1; done; exit 9"
    tasks = [Task("1", shell(meet.format(tmp_path, 1, 2))), Task("2", shell(meet.format(tmp_path, 2, 1)))]
    assert {task.state for task in run(tasks, tmp_path).values()} == {"done"}


def test_words_reach_the_command_as_they_are(tmp_path):
    words = ["{{Param.Nothing}}", "a b", "'\"$HOME", "-x", "é"]
    out = tmp_path / "out"
    code = "import json, sys; json.dump(sys.argv[2:], open(sys.argv[1], 'w'))"
    assert run([Task("t", python(code, out, *words))], tmp_path)["t"].state == "done"
    assert json.loads(out.read_text()) == words


def test_a_task_that_fails_once_is_tried_again_in_a_fresh_session(tmp_path):
    text = f'echo "$OPENJD_SESSION_WORKING_DIR" >> {tmp_path}/seen; [ $(wc -l < {tmp_path}/seen) -gt 1 ]'
    task = run([Task("t", shell(text))], tmp_path, {"a": {}})["t"]
    assert [tried["exit_code"] for tried in task.tries] == [1, 0]
    first, second = (tmp_path / "seen").read_text().split()
    assert first != second
    assert not os.path.exists(first)


def test_a_task_that_always_fails_stops_only_what_needs_it(tmp_path):
    tasks = [
        Task("bad", shell("echo 'openjd_fail: the trimap has no frame 7'; exit 3")),
        Task("needs it", shell("true"), needs=frozenset({"bad"})),
        Task("needs that", shell("true"), needs=frozenset({"needs it"})),
        *(Task(f"good {i}", shell("true")) for i in range(3)),
    ]
    found = run(tasks, tmp_path, retries=2)
    assert [task.state for task in found.values()] == ["failed", "blocked", "blocked", "done", "done", "done"]
    assert [tried["said"] for tried in found["bad"].tries] == ["the trimap has no frame 7"] * 3
    assert codes([found["bad"]]) == 3


@pytest.mark.parametrize(
    ("text", "said", "code"),
    [
        ("echo first; echo the disk is full >&2; exit 4", "ended with exit code 4: the disk is full", 4),
        ("kill -SEGV $$", "killed by SIGSEGV", 1),
        ("exit 7", "ended with exit code 7", 1),
    ],
)
def test_a_failure_is_told_in_the_tasks_own_words_with_its_log(tmp_path, text, said, code):
    task = run([Task("t", shell(text))], tmp_path, retries=0)["t"]
    (tried,) = task.tries
    assert tried["said"] == said
    assert codes([task]) == code
    assert os.path.isfile(tried["log"])


def test_the_log_holds_all_that_the_task_printed(tmp_path):
    task = run([Task("my task", shell("for i in 1 2 3; do echo line $i; done; exit 1"))], tmp_path, retries=0)[
        "my task"
    ]
    with open(task.tries[0]["log"], encoding="utf-8") as log:
        assert "line 1\nline 2\nline 3\n" in log.read()
    assert os.path.basename(task.tries[0]["log"]) == "my-task.1.log"


def test_a_wrong_request_is_not_tried_again(tmp_path):
    assert len(run([Task("t", shell("exit 2"))], tmp_path, retries=2)["t"].tries) == 1


def test_a_command_that_is_not_there_is_a_failure(tmp_path):
    task = run([Task("t", ["/no/such/program"])], tmp_path, retries=0)["t"]
    assert task.state == "failed"
    assert "exit code" in task.tries[0]["said"]


def test_a_task_that_takes_too_long_is_stopped_with_all_it_started(tmp_path):
    text = f"sleep 60 & echo $! > {tmp_path}/child; wait"
    began = time.monotonic()
    task = run([Task("t", shell(text))], tmp_path, retries=0, timeout=1)["t"]
    assert task.state == "failed"
    assert task.tries[0]["said"] == "stopped after 1 s, the time it was given"
    assert time.monotonic() - began < 10
    assert_gone(int((tmp_path / "child").read_text()))


def test_a_stop_ends_everything_within_a_moment_also_what_will_not_hear(tmp_path):
    deaf = f"trap '' TERM; echo $$ >> {tmp_path}/pids; touch {tmp_path}/$$; while true; do sleep 0.1; done"
    tasks = [Task(str(i), shell(deaf)) for i in range(4)]
    asked = []

    def look():
        if len(list(tmp_path.glob("[0-9]*"))) == 2:
            asked.append(time.monotonic())
            raise Stop

    with pytest.raises(Stop):
        run(tasks, tmp_path, look=look)
    assert time.monotonic() - asked[0] < 5
    assert [task.state for task in tasks] == ["cancelled"] * 4
    for pid in (tmp_path / "pids").read_text().split():
        assert_gone(int(pid))


def test_progress_is_what_the_tasks_say_of_themselves(tmp_path):
    text = f"echo openjd_progress: 50; echo openjd_status: halfway; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    tasks = [Task("long", shell(text), (1, 2, 3)), Task("short", shell("true"), (4,)), Task("old", [], state="kept")]
    shares = []

    def look():
        shares.append((Tasks(tasks).share(), tasks[0].words))
        if shares[-1] == (0.625, "halfway"):
            (tmp_path / "go").touch()

    run(tasks, tmp_path, look=look)
    assert (0.625, "halfway") in shares
    assert Tasks(tasks).share() == 1.0


def test_slots_give_their_tasks_their_gpu(tmp_path):
    code = "import os, sys; open(sys.argv[1] + os.environ['CUDA_VISIBLE_DEVICES'], 'a').close()"
    slots = slots_of(None, "auto", {"CUDA_VISIBLE_DEVICES": "2,5"})
    assert list(slots) == ["gpu 2", "gpu 5"]
    tasks = [Task(str(i), python(code + "; import time; time.sleep(0.5)", f"{tmp_path}/gpu")) for i in range(4)]
    run(tasks, tmp_path, slots)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gpu2", "gpu5"]


@pytest.mark.parametrize(
    ("number", "device", "environ", "names"),
    [
        (None, "cpu", {"CUDA_VISIBLE_DEVICES": "0"}, ["cpu"]),
        (3, "cpu", {}, ["cpu 1", "cpu 2", "cpu 3"]),
        (None, "auto", {"CUDA_VISIBLE_DEVICES": ""}, ["cpu"]),
        (None, "auto", {"CUDA_VISIBLE_DEVICES": "-1"}, ["cpu"]),
        (3, "cuda", {"CUDA_VISIBLE_DEVICES": "0,1"}, ["gpu 0", "gpu 1", "gpu 0 (2)"]),
        (1, "auto", {"CUDA_VISIBLE_DEVICES": "GPU-8f,GPU-9a"}, ["gpu GPU-8f"]),
    ],
)
def test_slots_are_gpus_or_the_cpu(number, device, environ, names):
    assert list(slots_of(number, device, environ)) == names


def test_gpus_are_asked_of_the_driver(tmp_path, monkeypatch):
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert visible({}) == ["0", "1"]
    fake.write_text("#!/bin/sh\nexit 9\n")
    assert visible({}) == []


def assert_gone(pid):
    end = time.monotonic() + 5
    while True:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                if file.read().rpartition(")")[2].split()[0] in "ZX":
                    return
        except OSError:
            return
        assert time.monotonic() < end, f"{pid} is still there"
        time.sleep(0.02)


def test_the_bench_says_what_two_slots_gain_and_a_task_costs():
    pytest.importorskip("sfumato", reason="the bench says the engine's version, and there is no engine here")
    from sfumato_plugins.benches import queue

    found = queue.run(tasks=2)
    assert found["bench"] == "queue"
    assert [target["name"] for target in found["targets"]] == ["2 slots over 1", "overhead, ms a task", "stop, ms"]
    assert all({"case", "method", "seconds"} <= set(row) for row in found["rows"])
    assert "2 slots over 1" in queue.as_text(found)
