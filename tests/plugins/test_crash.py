"""Killed, cancelled, or run twice at once: nothing is lost, nothing is done twice, nothing is half there."""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from sfumato_plugins.ledger import read_journal

COMMAND = [sys.executable, "-m", "sfumato_plugins.cli", "run"]


def start(job, *more, **environ):
    return subprocess.Popen(
        [*COMMAND, job, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ}
    )


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def computed(shot):
    return collections.Counter(line["frame"] for line in shot.journal() if line["did"] == "computed")


def kill_at_random_moments(shot, kills, frames, seed):
    """Start the job, kill it, and so on; then let it finish. After every kill what is there is whole."""
    shot.write(range(1, frames + 1))
    job = str(shot.folder / "job.json")
    shot.job(f"1-{frames}").save(job)
    pick = random.Random(seed)
    for kill in range(kills):
        run = start(job)
        if kill % 4:  # most kills while frames are being written, some while everything is still loading
            done = sum(computed(shot).values())
            wait_for(lambda done=done, run=run: sum(computed(shot).values()) > done or run.poll() is not None)
            time.sleep(pick.uniform(0, 0.03))
        else:
            time.sleep(pick.uniform(0.1, 2.0))
        run.send_signal(signal.SIGKILL)
        run.communicate()
        whole_or_absent(shot)
    last = start(job)
    _, err = last.communicate(timeout=300)
    assert last.returncode == 0, err


def whole_or_absent(shot):
    from sfumato.io import read_image

    if (shot.folder / "out").exists():
        for path in (shot.folder / "out").glob("M.*.exr"):
            assert read_image(path).channel("A").isfinite().all()
        for path in (shot.folder / "out").glob("M.*.json"):
            json.loads(path.read_text())


def nothing_lost_or_done_twice(shot, frames):
    once = computed(shot)
    assert max(once.values()) == 1
    assert {line["frame"] for line in shot.journal()} == set(range(1, frames + 1))
    names = [f"M.{f:04d}.{kind}" for f in range(1, frames + 1) for kind in ("exr", "json")]
    assert shot.listing() == sorted([*names, "M.journal.jsonl", "M.result.json"])


def test_four_kills_lose_no_frame_compute_none_twice_and_change_no_bit(shot, tmp_path_factory):
    kill_at_random_moments(shot, kills=4, frames=8, seed=1)
    nothing_lost_or_done_twice(shot, 8)
    other = type(shot)(tmp_path_factory.mktemp("whole")).write(range(1, 9))
    other.job("1-8").save(str(other.folder / "job.json"))
    from sfumato_plugins.job import load
    from sfumato_plugins.run import run

    run(load(str(other.folder / "job.json")))
    for frame in range(1, 9):
        assert pixels_of(shot.output(frame)) == pixels_of(other.output(frame))


@pytest.mark.slow
def test_twenty_kills_lose_no_frame_and_compute_none_twice(shot):
    kill_at_random_moments(shot, kills=20, frames=60, seed=2)
    nothing_lost_or_done_twice(shot, 60)


def pixels_of(path):
    from sfumato.io import read_image

    plate = read_image(path)
    return plate.channels, plate.pixels.numpy().tobytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_run_is_130_keeps_what_is_done_and_goes_on(shot, number):
    shot.write(range(1, 41))
    job = str(shot.folder / "job.json")
    shot.job("1-40").save(job)
    run = start(job)
    wait_for(lambda: len(computed(shot)) > 1)
    run.send_signal(number)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "run again to go on" in err
    assert "Traceback" not in err
    assert 0 < len(computed(shot)) < 40
    assert "M.result.json" not in shot.listing()
    assert not list((shot.folder / "out" / ".M.sfumato").glob("claims/*.claim"))


def test_two_runs_at_once_share_the_frames(shot):
    shot.write(range(1, 17))
    job = str(shot.folder / "job.json")
    shot.job("1-16").save(job)
    runs = [start(job), start(job)]
    for run in runs:
        _, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
    assert max(computed(shot).values()) == 1
    assert len(computed(shot)) == 16
    assert "M.result.json" in shot.listing()


def test_a_journal_line_that_was_cut_off_is_passed_over(tmp_path):
    path = tmp_path / "M.journal.jsonl"
    path.write_text('{"frame": 1, "did": "computed"}\n{"frame": 2, "di')
    assert [line["frame"] for line in read_journal(str(path))] == [1]
