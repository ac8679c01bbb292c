"""Real mattes through the queue: the same bytes as one run, whatever is killed, and no complete frame twice."""

import collections
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import pytest

COMMAND = [sys.executable, "-m", "sfumato_plugins.cli"]
SHORT = '''
"""`standard` with its whole way from keyframes to what lies between, in a few small steps."""
import dataclasses, importlib.abc, importlib.util, sys

class Short(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "sfumato.matte.settings":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        def shortened(module):
            load(module)
            full = module.PRESETS["standard"]
            module.PRESETS["standard"] = dataclasses.replace(full, size=48, steps=4, warm_steps=2)
        spec.loader.exec_module = shortened
        return spec

sys.meta_path.insert(0, Short())
'''


@pytest.fixture
def made(shot, tmp_path_factory, monkeypatch):
    """made(8) writes so many frames and a job; every process then computes `standard` in a few steps."""
    pytest.importorskip("openjd.sessions", reason="openjd-sessions, which the queue runs on, is not installed")
    folder = tmp_path_factory.mktemp("short")
    (folder / "sitecustomize.py").write_text(SHORT)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)

    def make(frames, quality="preview", **more):
        shot.write(range(1, frames + 1))
        shot.job(f"1-{frames}", params={"quality": quality, "device": "cpu"}, **more).save(
            str(shot.folder / "job.json")
        )
        return shot

    return make


def start(shot, *more, **environ):
    words = [*COMMAND, "queue", "run", str(shot.folder / "job.json"), "--slots", "2", *map(str, more)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ}
    )


def finish(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return out, err


def plain_run(shot, *more):
    words = [*COMMAND, "run", str(shot.folder / "job.json"), "--progress", "openjd", *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def pictures(shot):
    return {path.name: path.read_bytes() for path in (shot.folder / "out").glob("M.*.exr")}


def computed(shot):
    return collections.Counter((line["view"], line["frame"]) for line in shot.journal() if line["did"] == "computed")


def journal(shot):
    return json.loads((shot.folder / "out" / "M.queue.json").read_text())


def unbroken(shot):
    """The bytes of a run in one process, which is then cleared away."""
    finish(plain_run(shot))
    found = pictures(shot)
    for path in (shot.folder / "out").iterdir():
        path.unlink()
    return found


def tasks_of(process):
    """Tasks a queue has started; its other child is the guard that ends it when it does not stop."""
    asked = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True)
    lines = [line.split(None, 1) for line in asked.stdout.splitlines()]
    return [int(pid) for pid, told in lines if "sfumato_plugins.cli run" in told]


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


@pytest.mark.parametrize(
    ("quality", "chunk", "cut"),
    [
        ("preview", 2, ["frames 1-2", "frames 3-4", "frames 5"]),
        ("standard", 12, ["keyframes 1", "keyframes 5", "between 2-4"]),
    ],
)
def test_the_queue_gives_the_bytes_of_one_run(made, quality, chunk, cut):
    shot = made(5, quality)
    whole = unbroken(shot)
    out, err = finish(start(shot, "--chunk", chunk, "--json"))
    assert pictures(shot) == whole
    done = json.loads(out)
    assert (done["state"], done["frames"]) == ("done", {"computed": 5, "kept": 0})
    assert max(computed(shot).values()) == 1
    names = [f"M.{frame:04d}.{kind}" for frame in range(1, 6) for kind in ("exr", "json")]
    assert shot.listing() == sorted([*names, "M.journal.jsonl", "M.queue.json", "M.result.json"])
    assert [task["name"] for task in journal(shot)["tasks"]] == cut
    assert "queue: 5 frames in 3 tasks on 2 slots" in err


def test_running_again_starts_no_task(made):
    shot = made(4)
    finish(start(shot, "--chunk", 2))
    before = {path.name: path.stat().st_mtime_ns for path in (shot.folder / "out").glob("M.0*")}
    _, err = finish(start(shot, "--chunk", 2))
    assert "0 computed, 4 kept" in err
    assert before == {path.name: path.stat().st_mtime_ns for path in (shot.folder / "out").glob("M.0*")}


def test_only_what_changed_is_computed_again_and_the_reason_said(made):
    shot = made(4)
    finish(start(shot, "--chunk", 2))
    shot.write_plate(3, change=0.5)
    _, err = finish(start(shot, "--chunk", 2))
    assert "matte 3: plate 3 changed" in err
    assert "1 computed, 3 kept" in err
    assert [task["state"] for task in journal(shot)["tasks"]] == ["kept", "done"]


def test_a_missing_result_is_made_without_computing(made):
    shot = made(2)
    finish(start(shot))
    (shot.folder / "out" / "M.result.json").unlink()
    _, err = finish(start(shot))
    assert "0 computed, 2 kept" in err
    assert "M.result.json" in shot.listing()


def test_views_are_tasks_of_their_own(made):
    shot = made(1)
    for frame in (1, 2):
        for view in ("left", "right"):
            shot.save(shot.folder / f"{view}.{frame:04d}.exr", shot.plate_of(frame + (view == "left")))
            shot.write_trimap(frame)
    job = shot.job(
        "1-2",
        inputs={"plate": str(shot.folder / "%V.####.exr"), "trimap": shot.trimap},
        outputs={"matte": str(shot.folder / "out" / "M.%V.####.exr"), "page": str(shot.folder / "%V.html")},
        views=("left", "right"),
    )
    job.save(str(shot.folder / "job.json"))
    _, err = finish(start(shot))
    assert err.splitlines()[-2:] == [f"page {shot.folder / view}.html" for view in ("left", "right")]
    assert [task["name"] for task in journal(shot)["tasks"]] == ["frames left 1-2", "frames right 1-2"]
    assert set(computed(shot)) == {(view, frame) for view in ("left", "right") for frame in (1, 2)}
    assert max(computed(shot).values()) == 1


def test_what_lies_between_reads_the_keyframes_and_does_not_make_them_again(made):
    shot = made(10, "standard")
    states = shot.folder / "out" / ".M.sfumato" / "states"
    finish(plain_run(shot, "--frames=1,5,10"))
    kept = {path: path.stat().st_mtime_ns for path in states.glob("key-*")}
    assert len(kept) == 3
    out, _ = finish(plain_run(shot, "--frames=2-4"))
    assert {path: path.stat().st_mtime_ns for path in states.glob("key-*")} == kept
    assert not re.search(r"openjd_status: frame (1|5|10)  prior", out)
    assert re.search(r"openjd_status: frame [234] ", out)


def test_two_tasks_that_make_the_same_keyframe_at_once_agree(made):
    """A farm without dependencies may do that; the last one to write it wins, and both wrote the same."""
    shot = made(5, "standard")
    whole = unbroken(shot)
    for run in [plain_run(shot, "--frames=2"), plain_run(shot, "--frames=3")]:
        finish(run)
    finish(plain_run(shot))
    assert pictures(shot) == whole
    assert max(computed(shot).values()) == 1


def test_a_failed_task_is_named_with_its_words_and_log_and_the_others_are_done(made):
    import torch

    shot = made(2)
    shot.save(shot.folder / "plate.0002.exr", torch.full((3, 48, 64), float("nan")))
    out, err = finish(start(shot, "--chunk", 1, "--retries", 1, "--json"), 3)
    done = json.loads(out)
    (failed,) = done["failed"]
    assert (failed["task"], failed["exit_code"], done["frames"]["computed"]) == ("frames 2", 3, 1)
    assert "no finite" in failed["said"]
    assert f"failed  frames 2: {failed['said']}" in err
    assert failed["log"] in err
    assert "no finite" in pathlib.Path(failed["log"]).read_text()
    assert len(journal(shot)["tasks"][1]["tries"]) == 2
    assert "M.result.json" not in shot.listing()
    shot.write_plate(2)
    finish(start(shot, "--chunk", 1))
    assert len(journal(shot)["tasks"][1]["tries"]) == 3
    assert "M.queue-logs" not in shot.listing()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_queue_is_130_leaves_no_task_and_goes_on(made, number):
    shot = made(24)
    run = start(shot, "--chunk", 12)
    wait_for(lambda: len(computed(shot)) >= 1)
    tasks = tasks_of(run)
    began = time.monotonic()
    run.send_signal(number)
    _, err = finish(run, 130)
    assert time.monotonic() - began < 5
    assert "run again to go on" in err
    assert all(gone(task) for task in tasks)
    assert journal(shot)["state"] == "cancelled"
    _, err = finish(start(shot, "--chunk", 12))
    assert max(computed(shot).values()) == 1
    assert "complete: " in err


def test_a_second_queue_on_the_same_job_is_refused(made):
    shot = made(6)
    first = start(shot)
    wait_for(lambda: (shot.folder / "out" / "M.queue.json").exists())
    _, err = finish(start(shot), 2)
    assert "another queue is running this job" in err
    finish(first)


def test_a_wrong_job_is_said_before_anything_starts(made):
    shot = made(2)
    (shot.folder / "trimap.0002.exr").unlink()
    _, err = finish(start(shot), 3)
    assert "no frame 2" in err
    _, err = finish(start(shot, "--retries", "-1"), 2)
    assert "--retries" in err


class Killer:
    """Kills a queue, or tasks of it, at moments a seed decides; then lets it finish and looks at what is there."""

    def __init__(self, shot, seed):
        self.shot = shot
        self.pick = random.Random(seed)

    def trial(self):
        whom = self.pick.choice(["queue", "a task", "both tasks"])
        run = start(self.shot, "--chunk", 2, "--retries", 9)
        done = len(computed(self.shot))
        assert "M.result.json" not in os.listdir(self.shot.folder / "out"), "nothing is left to lose: take more frames"
        if self.pick.random() < 0.7:  # most kills while frames are being written, some while everything is loading
            wait_for(lambda: len(computed(self.shot)) > done or run.poll() is not None)
            time.sleep(self.pick.uniform(0, 0.05))
        else:
            time.sleep(self.pick.uniform(0.3, 2.5))
        tasks = tasks_of(run)
        if whom == "queue":
            run.kill()
            run.communicate()
            wait_for(lambda: all(gone(task) for task in tasks), 5)  # nobody goes on writing
        else:
            for task in tasks[: 1 if whom == "a task" else 2]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(task, signal.SIGKILL)
            time.sleep(self.pick.uniform(0, 0.3))
            run.kill()
            run.communicate()
        self.whole_or_absent()

    def whole_or_absent(self):
        from sfumato.io import read_image

        if (self.shot.folder / "out").exists():
            for path in (self.shot.folder / "out").glob("M.*.exr"):
                assert read_image(path).channel("A").isfinite().all()
            for path in (self.shot.folder / "out").glob("M.*.json"):
                json.loads(path.read_text())


def killed_and_resumed(shot, trials, seed):
    whole = unbroken(shot)
    killer = Killer(shot, seed)
    for _ in range(trials):
        killer.trial()
    finish(start(shot, "--chunk", 2))
    assert pictures(shot) == whole
    assert max(computed(shot).values()) == 1
    assert {frame for _, frame in computed(shot)} <= {int(name.split(".")[1]) for name in whole}
    names = [f"{name[:-4]}.{kind}" for name in whole for kind in ("exr", "json")]
    assert shot.listing() == sorted([*names, "M.journal.jsonl", "M.queue.json", "M.result.json"])


def test_three_kills_lose_nothing_and_compute_nothing_twice(made):
    killed_and_resumed(made(16), trials=3, seed=4)


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_compute_nothing_twice(made):
    killed_and_resumed(made(100), trials=20, seed=5)


@pytest.mark.slow
def test_kills_between_keyframes_and_the_rest_lose_nothing_either(made):
    killed_and_resumed(made(26, "standard"), trials=6, seed=6)


def test_a_task_killed_by_somebody_is_tried_again(made):
    shot = made(4)
    run = start(shot, "--chunk", 2)
    wait_for(lambda: len(tasks_of(run)) == 2)
    os.kill(tasks_of(run)[0], signal.SIGKILL)
    finish(run)
    tries = [tried for task in journal(shot)["tasks"] for tried in task["tries"] if tried["exit_code"]]
    assert [tried["said"] for tried in tries] == ["killed by SIGKILL"]


def test_openjd_runs_a_real_matte_in_chunks_with_the_same_bytes(made):
    openjd = pathlib.Path(sys.executable).with_name("openjd")
    if not openjd.exists():
        pytest.skip("openjd-cli is not installed in this Python")
    shot = made(8)
    whole = unbroken(shot)
    from sfumato_plugins.farm import export
    from sfumato_plugins.farm.options import Options

    job = str(shot.folder / "job.json")
    command = shot.folder / "sfumato"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sfumato_plugins.cli "$@"\n')
    command.chmod(0o755)
    (template,) = export(job, "openjd", str(shot.folder / "job.yaml"), Options(chunk=3))
    words = [str(openjd), "run", template, "-p", f"SfumatoCommand={command}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert "Chunks run: 3" in done.stdout
    assert pictures(shot) == whole
    assert "M.result.json" in shot.listing()


def test_openjd_hears_why_a_matte_failed(made):
    openjd = pathlib.Path(sys.executable).with_name("openjd")
    if not openjd.exists():
        pytest.skip("openjd-cli is not installed in this Python")
    from sfumato_plugins.farm import export

    shot = made(2)
    (template,) = export(str(shot.folder / "job.json"), "openjd", str(shot.folder / "job.yaml"))
    (shot.folder / "plate.0002.exr").unlink()
    command = shot.folder / "sfumato"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sfumato_plugins.cli "$@"\n')
    command.chmod(0o755)
    words = [str(openjd), "run", template, "-p", f"SfumatoCommand={command}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert "openjd_fail: inputs.plate: no frame 2" in done.stdout


def test_openjd_stops_a_matte_within_its_notice(made):
    """Ctrl-C in the middle of a matte: SIGTERM, 130, and the next run goes on."""
    openjd = pathlib.Path(sys.executable).with_name("openjd")
    if not openjd.exists():
        pytest.skip("openjd-cli is not installed in this Python")
    from sfumato_plugins.farm import export

    shot = made(30)
    (template,) = export(str(shot.folder / "job.json"), "openjd", str(shot.folder / "job.yaml"))
    command = shot.folder / "sfumato"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sfumato_plugins.cli "$@"\n')
    command.chmod(0o755)
    words = [str(openjd), "run", template, "-p", f"SfumatoCommand={command}"]
    run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: len(computed(shot)) > 1)
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert run.returncode != 0
    assert "exited with code: 130" in out
    assert 0 < len(computed(shot)) < 30
