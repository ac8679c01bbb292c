"""Progress never falls, reaches whoever asked, and stops the work when told to."""

import io

import pytest

from sfumato.errors import Cancelled
from sfumato.report import Step
from sfumato_plugins.report import OpenJD, Progress, Teller, Terminal, choose_teller


class Listener(Teller):
    def __init__(self):
        super().__init__()
        self.shares = []
        self.lines = []

    def progress(self, share, text):
        self.shares.append(share)

    def say(self, text):
        self.lines.append(text)


def test_the_share_never_falls_and_ends_at_one():
    listener = Listener()
    progress = Progress(listener, 2)
    for frame in (1, 2):
        for phase in ("closed-form", "prior"):
            for step in range(5):
                progress.step(Step(phase, step, 4, frame=frame))
        progress.done(frame)
    assert listener.shares == sorted(listener.shares)
    assert listener.shares[-1] == 1.0


def test_a_step_after_a_stop_is_refused():
    teller = Teller()
    progress = Progress(teller, 1)
    progress.step(Step("prior", 1, 2))
    teller.stopped = "SIGTERM"
    with pytest.raises(Cancelled, match="SIGTERM"):
        progress.step(Step("prior", 2, 2))


def test_a_farm_session_reads_whole_percents_once_each(capsys):
    teller = OpenJD(io.StringIO())
    for i in range(300):
        teller.progress(i / 300, "prior")
    teller.fail("two\nlines")
    out = capsys.readouterr().out.splitlines()
    progress = [line for line in out if line.startswith("openjd_progress: ")]
    assert progress == [f"openjd_progress: {i}" for i in range(100)]
    assert out[-1] == "openjd_fail: two lines"


def test_a_log_gets_few_lines_and_a_note_only_once():
    log = io.StringIO()
    progress = Progress(Terminal(log), 4)
    for i in range(100):
        progress.step(Step("prior", i, 100, frame=1))
        progress.once("the plate names no space")
    assert len(log.getvalue().splitlines()) <= 3
    assert log.getvalue().count("names no space") == 1


def test_the_farm_is_recognised_by_its_session():
    assert isinstance(choose_teller("auto", {"OPENJD_SESSION_ID": "1"}), OpenJD)
    assert isinstance(choose_teller("auto", {"DEADLINE_SESSION_ID": "1"}), OpenJD)
    assert type(choose_teller("auto", {})) is Terminal
    assert type(choose_teller("quiet", {"OPENJD_X": "1"})) is Teller
