"""Who is told where the work is: a terminal with an estimate, a farm's log, or nobody. On stderr but for the farm."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from sfumato.report import Step


class Teller:
    """Hears of progress and passes it on. This one passes nothing on; all of them stop when they were told to.

    frame: The frame that the progress being told is about, where there is one.
    """

    def __init__(self) -> None:
        self.stopped = ""
        self.kept = "finished frames are kept; run again to go on"
        self.frame: int | None = None

    def say(self, text: str) -> None:
        """A sentence worth a line: what is computed and why, which colour space was assumed."""

    def progress(self, share: float, text: str) -> None:
        """How much is done, 0 to 1, never falling."""

    def made(self, frame: int, view: str | None, files: tuple[str, ...]) -> None:
        """A frame's files are complete on disk and in the books."""

    def fail(self, text: str) -> None:
        """Why nothing comes of it."""

    def end(self) -> None:
        """Nothing follows."""

    def pause(self) -> None:
        """Stop here if somebody asked for it.

        Raises:
            sfumato.errors.Cancelled: exit 130.
        """
        if self.stopped:
            from sfumato.errors import Cancelled

            raise Cancelled(f"stopped by {self.stopped}", self.kept)


class Terminal(Teller):
    """Lines for people; on a terminal one line that is rewritten, in a log a line every ten seconds."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._began = time.monotonic()
        self._told = -1e9
        self._open = False

    def say(self, text: str) -> None:
        if text:
            self._clear()
            print(text, file=self._stream, flush=True)

    def progress(self, share: float, text: str) -> None:
        now = time.monotonic()
        if now - self._told < (0.1 if self._live else 10.0):
            return
        self._told = now
        left = spoken((now - self._began) * (1 - share) / share) if share > 0.01 else ""
        line = f"{share:4.0%}  {text}" + (f"  {left} left" if left else "")
        if self._live:
            self._stream.write(f"\r\033[K{line[:100]}")
            self._stream.flush()
            self._open = True
        else:
            print(line, file=self._stream, flush=True)

    def fail(self, text: str) -> None:
        self.say(text)

    def end(self) -> None:
        self._clear()

    def _clear(self) -> None:
        if self._open:
            self._stream.write("\r\033[K")
            self._open = False


class OpenJD(Terminal):
    """Lines an Open Job Description session reads on stdout (openjd_progress, _status, _fail), and a log beside it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._whole = -1

    def progress(self, share: float, text: str) -> None:
        whole = int(share * 100)
        if whole > self._whole:
            self._whole = whole
            print(f"openjd_progress: {whole}\nopenjd_status: {text}", flush=True)
        super().progress(share, text)

    def fail(self, text: str) -> None:
        print(f"openjd_fail: {' '.join(text.split())}", flush=True)
        super().fail(text)


class Progress:
    """The share of a run that is done, from the engine's steps and the frames that are finished.

    between: Called after each frame.
    """

    def __init__(self, teller: Teller, frames: int, between: Callable[[], None] = lambda: None) -> None:
        self._teller = teller
        self._between = between
        self._frames = max(frames, 1)
        self._finished = 0
        self._share = 0.0
        self._said: set[str] = set()

    def step(self, step: Step) -> None:
        """The engine's report.

        Raises:
            sfumato.errors.Cancelled: somebody asked to stop.
        """
        self._teller.pause()
        within = min(step.step / step.of, 1.0) if step.of else 0.0
        self._tell(self._finished + 0.95 * within, f"{step.phase} {step.step}/{step.of}", step.frame)

    def made(self, frame: int, view: str | None, files: tuple[str, ...]) -> None:
        """A frame was computed and its files are complete."""
        self._teller.made(frame, view, files)
        self.done(frame)

    def done(self, frame: int) -> None:
        """A frame needs nothing more: it was computed, here or by a run beside this one."""
        self._finished += 1
        self._tell(self._finished, f"{self._finished} of {self._frames} frames", frame)
        self._teller.pause()
        self._between()

    def say(self, text: str) -> None:
        self._teller.say(text)

    def once(self, text: str) -> None:
        """Say something unless it was said before."""
        if text not in self._said:
            self._said.add(text)
            self._teller.say(text)

    def _tell(self, frames: float, text: str, frame: int | None) -> None:
        self._share = max(self._share, min(frames / self._frames, 1.0))
        self._teller.frame = frame
        self._teller.progress(self._share, text if frame is None else f"frame {frame}  {text}")


def choose_teller(how: str, environ: Mapping[str, str]) -> Teller:
    """The teller for "auto", "terminal", "openjd" or "quiet"; auto speaks OpenJD inside a farm's session."""
    if how == "auto":
        inside = any(name.startswith("OPENJD_") for name in environ) or "DEADLINE_SESSION_ID" in environ
        how = "openjd" if inside else "terminal"
    return {"terminal": Terminal, "openjd": OpenJD, "quiet": Teller}[how]()


def spoken(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 1.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
