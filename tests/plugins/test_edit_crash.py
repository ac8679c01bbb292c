"""Edits that are killed or cancelled: nothing half there, nothing done twice, no answer of the network asked twice."""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace as Bag

import pytest
import torch

from sfumato.diffusion.protocols import Context
from sfumato.errors import Cancelled
from sfumato_plugins.editing import answers
from sfumato_plugins.editing.answers import Kept
from sfumato_plugins.report import Teller
from sfumato_plugins.run import run
from sfumato_plugins.store import FolderStore


def killed_and_run_again(editing, kills, frames, seed):
    """Start the job, kill it, and so on; then let it finish. What is there is whole after every kill."""
    job = str(editing.folder / "job.json")
    editing.write(*range(1, frames + 1)).job(f"1-{frames}").save(job)
    command = [sys.executable, "-m", "sfumato_plugins.cli", "run", job]
    pick = random.Random(seed)
    for _ in range(kills):
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before, end = len(editing.journal()), time.monotonic() + 120
        while len(editing.journal()) == before and started.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(pick.uniform(0, 0.05))
        started.send_signal(signal.SIGKILL)
        started.wait()
        for path in (editing.folder / "out").glob("E.*.exr"):
            assert editing.read(int(path.name.split(".")[1])).channel("mask.A").isfinite().all()
        for path in (editing.folder / "out").glob("E.*.json"):
            json.loads(path.read_text())
    last = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert last.returncode == 0, last.stderr


@pytest.mark.parametrize(("kills", "frames"), [(1, 6), pytest.param(8, 60, marks=pytest.mark.slow)])
def test_sigkill_loses_no_frame_and_the_bytes_are_those_of_an_undisturbed_run(editing, kills, frames, tmp_path_factory):
    killed_and_run_again(editing, kills, frames, seed=kills)
    done = collections.Counter(line["frame"] for line in editing.journal() if line["did"] == "computed")
    assert set(done.values()) == {1}
    names = {f"E.{f:04d}.{end}" for f in range(1, frames + 1) for end in ("exr", "json")}
    assert set(os.listdir(editing.folder / "out")) == names | {"E.journal.jsonl", "E.result.json"}
    out = tmp_path_factory.mktemp("undisturbed")
    job = editing.job(f"1-{frames}")
    run(replace(job, outputs={"edit": str(out / "E.####.exr")}))
    for frame in range(1, frames + 1):
        assert torch.equal(*(pixels(folder / f"E.{frame:04d}.exr") for folder in (editing.folder / "out", out)))


def pixels(path):
    from sfumato.io import read_image

    return read_image(path).pixels.view(torch.int32)


class Impatient(Teller):
    """Stops a run after so many looks."""

    def __init__(self, looks):
        super().__init__()
        self.looks = looks

    def pause(self):
        self.looks -= 1
        if self.looks == 0:
            raise Cancelled("stopped by a test")


@pytest.mark.parametrize("attention", ["off", "replace"])
def test_a_frame_in_flight_goes_on_with_the_answers_it_had(editing, attention, monkeypatch):
    monkeypatch.setattr(answers, "EVERY", 0.0)
    job = editing.write(1).job(params={"attention": attention})
    run(job)
    whole, stats = editing.output().read_bytes(), editing.result()["frames"][0]["stats"]
    assert stats["calls_remembered"] == 0
    editing.output().unlink()
    with pytest.raises(Cancelled):
        run(job, teller=Impatient(5))
    assert not editing.output().exists()
    assert list((editing.folder / "out").glob(".E.sfumato/states/answers.*"))
    run(job)
    again = editing.result()["frames"][0]["stats"]
    assert again["calls_remembered"] >= 2
    assert again["calls"] == stats["calls"], "calls are those of the trip, whoever made them"
    assert editing.output().read_bytes() == whole
    assert not (editing.folder / "out" / ".E.sfumato").exists()


class Network:
    """Answers with twice the latent, and counts."""

    prediction = "eps"

    def __init__(self):
        self.calls = 0

    def __call__(self, latent, node, context):
        self.calls += 1
        return 2 * latent + context.tokens.mean()

    def told(self, weight):
        return lambda latent, node, context: self(weight * latent, node, context)


def ask(kept, count, offset=0.0):
    context = Context(torch.ones(1, 2, 3, dtype=torch.bfloat16), torch.ones(1, 2, dtype=torch.bool))
    return [kept(torch.full((1, 3), float(i) + offset), Bag(time=float(i)), context) for i in range(count)]


@pytest.fixture
def store(tmp_path):
    return FolderStore(str(tmp_path / "states"), lambda frame: "f" * 12)


def test_answers_are_given_again_to_the_same_questions_only(store, monkeypatch):
    monkeypatch.setattr(answers, "EVERY", 0.0)
    network = Network()
    first = ask(Kept(network, store, 7), 4)
    again = Kept(network, store, 7)
    assert all(torch.equal(a, b) for a, b in zip(ask(again, 6), first, strict=False))
    assert (network.calls, again.remembered) == (6, 4)
    other = Kept(network, store, 7)
    ask(other, 6, offset=0.5)
    assert (network.calls, other.remembered) == (12, 0)
    assert Kept(network, store, 8).remembered == 0


def test_nothing_is_written_for_a_frame_that_takes_less_than_the_interval(store, tmp_path):
    ask(Kept(Network(), store, 7), 5)
    assert not (tmp_path / "states").exists()
    ask(Kept(Network(), None, 7), 2)


def test_a_network_that_is_told_its_weight_is_remembered_too(store, monkeypatch):
    from sfumato.diffusion.protocols import Distilled

    monkeypatch.setattr(answers, "EVERY", 0.0)
    network = Network()
    kept = Kept(network, store, 1)
    assert isinstance(kept, Distilled)
    latent, node, context = torch.ones(1, 3), Bag(time=1.0), Context(torch.zeros(1, 1, 1))
    assert torch.equal(kept.told(3.0)(latent, node, context), 6 * latent)
    assert torch.equal(Kept(network, store, 1).told(3.0)(latent, node, context), 6 * latent)
    assert network.calls == 1
