"""How long a host waits for an engine that says nothing: while it starts, and while it works."""

from __future__ import annotations

import time

from sfumato_plugins.autopsy import AGAIN, Death

BEAT = 5.0  # seconds between two pings to an engine that works
GAP = 1.0  # seconds between two polls after which the host was busy itself


class Patience:
    """Counts from an unanswered ping, not from the last word: a host that does not poll hears nothing either.

    start: Seconds until an engine that starts must have said hello.
    silence: Seconds a working engine may leave a ping unanswered.
    """

    def __init__(self, start: float, silence: float) -> None:
        self._start, self._silence = start, silence
        self.begin()

    def begin(self) -> None:
        """An engine was started."""
        self._began = self._last_poll = self._last_ping = time.monotonic()
        self._unanswered: float | None = None

    def heard(self) -> None:
        """It said something."""
        self._unanswered = None

    def polled(self) -> None:
        """The host has looked."""
        self._last_poll = time.monotonic()

    def asks(self, working: bool) -> bool:
        """Whether it is time for a ping, which the caller then sends."""
        now = time.monotonic()
        if not working or now - self._last_ping <= min(BEAT, self._silence / 4):
            return False
        self._last_ping = now
        self._unanswered = self._unanswered or now
        return True

    def lost(self, greeted: bool, busy: bool, python: str) -> Death | None:
        """Why an engine is given up now, or None. A host that was busy itself starts to count anew."""
        now = time.monotonic()
        if not greeted:
            if now - self._began <= self._start:
                return None
            hint = "is its disk slow, or is it not the Python sfumato is in?"
            return Death("timeout", f"{python} has not answered for {self._start:g} s", hint)
        if now - self._last_poll > GAP:
            self._unanswered = None
        if not busy or self._unanswered is None or now - self._unanswered <= self._silence:
            return None
        return Death("timeout", f"the engine has said nothing for {self._silence:g} s and was ended", AGAIN)
