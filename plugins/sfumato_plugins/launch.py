"""The host's side of the pipe: an engine that is started when needed, told jobs, and asked what there is to know.

    engine = Engine(host="nuke")
    id = engine.run("/shots/ab_010/job.json")       # starts it; raises NoEngine with a sentence for the artist
    for message in engine.poll(): ...               # on a timer of the main thread; see wire.py for the messages

Nothing here waits, but `close`. Standard library only; nothing of the host's own Python is given to the engine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from sfumato_plugins import logs, wire
from sfumato_plugins.asked import Asked, with_colour
from sfumato_plugins.autopsy import AGAIN, Death, cause, nonsense
from sfumato_plugins.child import Child
from sfumato_plugins.engine_python import Found, NoEngine
from sfumato_plugins.patience import Patience
from sfumato_plugins.starting import start

__all__ = ["Engine", "NoEngine"]

SOFT = 5.0  # seconds after a cancel: SIGTERM
HARD = 10.0  # seconds after a cancel: SIGKILL
LOOK_AT_LOG = 10.0  # seconds between looks at the log's size
TO_END = 5.0  # seconds an engine that has hung up may take to exit
BEAT = "beat"  # the id of pings that ask for a sign of life; their answers are not the host's
LAST = ("done", "failed", "cancelled")


class Engine:
    """One warm engine. Call it from one thread, the host's main one.

    Args:
        python: The host's own setting for the engine's Python; empty: `find_python` decides.
        host: A word for logs and for who waits for the GPU: "nuke", "maya".
        log_folder: Where logs go; empty: the user's own folder.
        environ: What the engine's environment is made from; default: this process's.
        idle: Seconds an engine without work keeps a GPU.
        patience: Seconds until an engine that starts must have said hello.
        silence: Seconds a working engine may say nothing, not even to a ping. Loading torch from a cold network
            drive can take minutes in which it cannot answer.
    """

    def __init__(
        self,
        python: str = "",
        *,
        host: str = "",
        log_folder: str = "",
        environ: Mapping[str, str] | None = None,
        idle: float = 120.0,
        patience: float = 60.0,
        silence: float = 300.0,
    ) -> None:
        self.log = ""
        self._python, self._host, self._log_folder, self._idle = python, host, log_folder, idle
        self._environ = os.environ if environ is None else environ
        self._patience = Patience(patience, silence)
        self._child: Child | None = None
        self._found = Found("", "")
        self._greeted = False
        self._asked: dict[str, Asked] = {}
        self._messages: list[dict[str, Any]] = []
        self._given_up = False
        self._last_look = 0.0

    @property
    def alive(self) -> bool:
        """A process is there and has not ended."""
        return self._child is not None and self._child.code is None and not self._child.hung_up

    @property
    def busy(self) -> bool:
        """A job was asked for and has not ended; its last message may still lie in `poll`."""
        return bool(self._asked)

    def start(self) -> None:
        """Start the engine unless it runs.

        Raises:
            NoEngine: no Python is named, or what is named cannot be started.
        """
        if self.alive:
            return
        if self._child is not None:
            self._child.settle()
            self._bury()
            if self.alive:  # started again for what the last one was still asked
                return
        started = start(self._python, self._host, self._log_folder, self._idle, self._environ)
        self._child, self._found, self.log = started
        self._greeted = self._given_up = False
        self._patience.begin()

    def run(self, job: str | Mapping[str, Any], *, frames: str = "", force: bool = False, mixed: bool = False) -> str:
        """Ask for a job; one that is asked for while another is computed comes after it.

        Args:
            job: The path of a job file, or its JSON values (relative paths in them start from the current folder).
            frames: Only these of its frames.
            force: Compute even what is complete.
            mixed: Let its frames come from several kinds of device.

        Returns:
            The id that its messages carry. A job that holds what JSON does not know gets its `failed` at once.

        Raises:
            NoEngine: as `start`.
        """
        id = os.urandom(6).hex()
        asked = with_colour(job, self._environ)
        message = {"op": "run", "id": id, **asked, "frames": frames, "force": force, "mixed": mixed}
        self.start()
        try:
            self._say(message)
        except (TypeError, ValueError) as error:  # NaN
            self._fail(id, Death("request", f"the job cannot be written as JSON: {error}", "look at its numbers"))
        else:
            self._asked[id] = Asked(message)
        return id

    def ping(self) -> str:
        """Ask for a pong; it carries the id returned."""
        id = os.urandom(6).hex()
        self._say({"op": "ping", "id": id})
        return id

    def cancel(self, id: str) -> None:
        """Stop a job between two steps. An engine that does not is ended after 5 s (SIGTERM) or 10 s (SIGKILL)."""
        asked = self._asked.get(id)
        if asked is not None and asked.cancelled is None:
            asked.cancelled = time.monotonic()
            self._say({"op": "cancel", "id": id})

    def release(self) -> None:
        """Give the GPU back: an idle engine ends now, a busy one when its jobs are done. The next run starts anew."""
        self._say({"op": "release"})

    def poll(self) -> list[dict[str, Any]]:
        """Every message since the last call, oldest first."""
        if self._child is not None:
            for line in self._child.heard():
                self._hear(line)
        if self._child is not None and self._child.ended:
            self._bury()
        if self._child is not None:
            self._climb()
        if self._child is not None:
            self._watch()
        self._patience.polled()
        found, self._messages = self._messages, []
        return found

    def close(self, wait: float = 2.0) -> None:
        """End the engine: ask, wait, then insist. Waits at most `wait` seconds and a little more."""
        child = self._child
        if child is None:
            return
        self._say({"op": "quit"})
        child.hang_up()
        if not child.wait(wait):
            child.terminate()
            if not child.wait(0.2):
                child.kill()
        child.settle()
        child.sweep()
        self._child = None
        for line in child.heard():
            self._hear(line)
        for id in tuple(self._asked):
            self._end({"event": "cancelled", "id": id, "sentence": "the engine was closed; finished frames are kept"})

    def _say(self, message: Mapping[str, Any]) -> None:
        if self._child is not None:
            self._child.say(wire.encode(message))

    def _hear(self, line: bytes) -> None:
        if self._given_up:
            return
        self._patience.heard()
        try:
            message = wire.decode(line)
        except wire.NotAMessage:
            message = {}
        event = message.get("event")
        if not isinstance(event, str) or (event != "hello" and not self._greeted):
            return self._give_up(nonsense(line, self._greeted, self._found.path))
        if event == "hello":
            return self._greet(message)
        id = message.get("id")
        if event == "pong" and id == BEAT:
            return
        if event == "accepted" and id in self._asked:
            self._asked[id].accepted = True
        if event == "failed":
            message["log"] = message.get("log") or self.log
        if event in LAST and id in self._asked:
            self._end(message)
        else:
            self._messages.append(message)

    def _greet(self, message: dict[str, Any]) -> None:
        if message.get("protocol") != wire.PROTOCOL:
            what = f"the engine at {self._found.path} speaks protocol {message.get('protocol')}, not {wire.PROTOCOL}"
            return self._give_up(Death("engine", what, "use the engine and the host plug-in of one sfumato version"))
        self._greeted = True
        message.setdefault("id", "")
        self._messages.append(message)

    def _end(self, message: dict[str, Any]) -> None:
        """The last message of a job."""
        self._asked.pop(str(message.get("id")), None)
        self._messages.append(message)

    def _give_up(self, death: Death) -> None:
        """End the engine and fail what it was asked; what it says from now on is not heard."""
        self._given_up = True
        if self._child is not None:
            self._child.kill()
            self._child.sweep()
            self._child = None
        for id in tuple(self._asked) or ("",):
            self._fail(id, death)

    def _fail(self, id: str, death: Death) -> None:
        told = {"kind": death.kind, "sentence": death.sentence, "hint": death.hint, "log": self.log}
        self._end({"event": "failed", "id": id, **told})

    def _bury(self) -> None:
        """The engine has ended: whatever it was asked and did not answer gets its last message now."""
        child, self._child = self._child, None
        assert child is not None
        child.sweep()
        for line in child.heard():
            self._hear(line)
        if self._given_up:
            return
        code = child.code or 0
        if code == 0 and self._greeted and all(asked.can_be_asked_again for asked in self._asked.values()):
            return self._start_again()
        death = cause(code, self._greeted, self._found.path, self.log)
        if child.killed and any(asked.cancelled is not None for asked in self._asked.values()):
            death = Death("engine", "the engine had to be ended because another job did not stop", AGAIN)
        if not self._asked and not (code == 0 and self._greeted):
            self._fail("", death)
        for id, asked in tuple(self._asked.items()):
            if asked.cancelled is None:
                self._fail(id, death)
            else:
                sentence = "stopped by force; finished frames are kept, run again to go on"
                self._end({"event": "cancelled", "id": id, "sentence": sentence})

    def _start_again(self) -> None:
        """It left because it was idle, just as it was asked for more."""
        if not self._asked:
            return
        try:
            self.start()
        except NoEngine as error:
            for id in tuple(self._asked):
                self._fail(id, Death("engine", error.message, error.hint))
            return
        for asked in self._asked.values():
            asked.again = True
            self._say(asked.message)

    def _climb(self) -> None:
        """The next rung for a job that was told to stop and has not, and for an engine that cannot end."""
        assert self._child is not None
        now = time.monotonic()
        for asked in self._asked.values():
            if asked.cancelled is not None and now - asked.cancelled > HARD:
                self._child.kill()
            elif asked.cancelled is not None and now - asked.cancelled > SOFT and not asked.softened:
                asked.softened = True
                self._child.terminate()
        if self._child.hung_up > TO_END:
            self._child.kill()
        if now - self._last_look > LOOK_AT_LOG:
            self._last_look = now
            logs.trim(self.log)

    def _watch(self) -> None:
        """Ask a working engine for signs of life, and give up one that gives none."""
        assert self._child is not None
        late = self._patience.lost(self._greeted, self.busy, f"{self._found.path} ({self._found.why})")
        if late:
            self._give_up(late)
        elif self._patience.asks(self._greeted and self.busy):
            self._say({"op": "ping", "id": BEAT})
