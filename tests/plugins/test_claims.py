"""Two runs share frames; a dead run's claim holds nobody up; other settings are refused."""

import json
import os
import subprocess
import sys

import pytest

from sfumato_plugins.claims import SILENCE, Claims
from sfumato_plugins.errors import JobError


def forge(folder, **change):
    """Another run's claim on frame 1."""
    claims = Claims(str(folder), "same")
    found = {**claims._mine, "pid": 1, "started": "never", **change}
    folder.mkdir(exist_ok=True)
    (folder / "1.claim").write_text(json.dumps(found))


def test_a_frame_is_claimed_once_and_given_back(tmp_path):
    first, second = Claims(str(tmp_path / "c"), "same"), Claims(str(tmp_path / "c"), "same")
    assert first.take("1")
    assert not second.take("1")
    first.release("1")
    assert second.take("1")
    second.close()
    assert not (tmp_path / "c").exists()


def test_the_claim_of_a_dead_process_is_taken_over(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    forge(tmp_path / "c", pid=dead.pid, started="1")
    assert Claims(str(tmp_path / "c"), "same").take("1")


def test_another_machine_is_believed_while_it_gives_signs_of_life(tmp_path):
    forge(tmp_path / "c", host="blade7")
    assert not Claims(str(tmp_path / "c"), "same").take("1")
    os.utime(tmp_path / "c" / "1.claim", (0, os.path.getmtime(tmp_path / "c" / "1.claim") - SILENCE - 1))
    assert Claims(str(tmp_path / "c"), "same").take("1")


def test_other_settings_on_the_same_frames_are_refused(tmp_path):
    forge(tmp_path / "c", host="blade7", settings="other")
    with pytest.raises(JobError, match="blade7 is writing the same frames with other settings"):
        Claims(str(tmp_path / "c"), "same").take("1")


def test_closing_leaves_other_runs_alone(tmp_path):
    forge(tmp_path / "c", host="blade7")
    mine = Claims(str(tmp_path / "c"), "same")
    assert mine.take("2")
    assert [c["host"] for c in mine.others()] == ["blade7"]
    mine.close()
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["1.claim"]
