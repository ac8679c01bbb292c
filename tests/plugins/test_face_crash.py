"""Solves that are killed or cancelled: stages that are done are not done again, and the end is the same."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sfumato.errors import Cancelled
from sfumato_plugins.cli import main
from sfumato_plugins.facing.folder import job_of
from sfumato_plugins.job import load
from sfumato_plugins.report import Teller
from sfumato_plugins.run import run


def has(folder, stage):
    """Whether a stage is done and booked."""
    manifest = folder / "manifest.json"
    return manifest.is_file() and stage in json.loads(manifest.read_text())


def test_a_killed_solve_goes_on_on_another_machine_and_ends_in_the_same_bytes(head, solved, tmp_path):
    torch = pytest.importorskip("torch")
    out = tmp_path / "v001"
    command = [sys.executable, "-m", "sfumato_plugins.cli", *head.words(out)]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not has(out, "jaw") and started.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    started.wait()
    jaw = (out / "jaw.json").stat().st_mtime_ns
    for path in out.glob("*.json"):
        json.loads(path.read_text())
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert main(head.words(out)) == 0
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert (out / "jaw.json").stat().st_mtime_ns == jaw, "a stage that is done is not done again"
    assert (out / "curves.json").read_bytes() == (solved / "curves.json").read_bytes()
    assert not [name for name in os.listdir(out) if name.endswith(".part")]


def test_a_cancelled_solve_is_130_and_keeps_the_stages_it_has(head, tmp_path):
    class Impatient(Teller):
        def progress(self, share, text):
            if text.startswith("frame") or "regions" in text:
                self.stopped = "a test"

    job = tmp_path / "job.json"
    assert main([*head.words(tmp_path / "v001"), "--save-job", str(job)]) == 0
    with pytest.raises(Cancelled):
        run(load(str(job)), teller=Impatient())
    assert (tmp_path / "v001" / "jaw.json").is_file()
    assert not (tmp_path / "v001" / "finetune.json").exists()
    assert job_of(str(tmp_path / "v001")).tool == "face"
