"""`sfumato worker`: the engine side of the pipe. Says hello before torch is imported, then computes one job at a time.

host --stdin--> reader thread --jobs--> main thread --stdout--> host
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import queue
import signal
import sys
import threading
import time
import traceback
from types import FrameType
from typing import Any, BinaryIO

from sfumato_plugins import gpu, logs, wire
from sfumato_plugins.failure import failure
from sfumato_plugins.pipes import take_pipes
from sfumato_plugins.request import Compute, Request, Talker, computing
from sfumato_plugins.runtime import prepare_process
from sfumato_plugins.stopping import leave

LONGEST = 1 << 24  # bytes of a line; a job file is a few kilobytes
GRACE = 0.6  # seconds a job has to stop in when the host is gone
LOOK = 0.25  # seconds between looks at the parent, and at who wants the GPU


def main(host: str = "", idle: float = 120.0, compute: Compute | None = None) -> int:
    """Serve a host until it says quit, goes away, or the GPU has not been used for `idle` seconds."""
    inward, outward = take_pipes()
    faulthandler.enable()  # where it was, in the log, if it crashes
    worker = Worker(outward, compute or computing(host), idle)
    signal.signal(signal.SIGTERM, worker.told_to_stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the host's terminal is for the host
    worker.hello()
    prepare_process()
    threading.Thread(target=worker.listen, args=(inward,), name="sfumato-listen", daemon=True).start()
    threading.Thread(target=worker.watch_parent, args=(os.getppid(),), name="sfumato-parent", daemon=True).start()
    worker.work()
    leave(0)
    return 0


class Worker:
    """Jobs come in on one thread and are computed on another: the main one, which is where torch likes to be."""

    def __init__(self, outward: BinaryIO, compute: Compute, idle: float) -> None:
        self._outward = outward
        self._compute = compute
        self._idle = idle
        self._lock = threading.Lock()
        self._todo: queue.SimpleQueue[tuple[Request, Talker] | None] = queue.SimpleQueue()
        self._jobs: dict[str, Talker] = {}
        self._current = ""
        self._choosing = threading.Lock()  # what comes next: a job, its being cancelled, the end
        self._leaving = False
        self._resting = threading.Event()
        self._resting.set()
        self._released = False

    def say(self, event: str, **more: Any) -> None:
        """Send one message; nobody listening is for the reader thread to notice."""
        line = wire.encode({"event": event, **more})
        with self._lock, contextlib.suppress(OSError):
            while line:
                line = line[self._outward.write(line) or 0 :]

    def hello(self) -> None:
        import sfumato_plugins

        try:
            from sfumato import __version__ as version
        except ImportError:  # said when a job needs it
            version = ""
        tools = [tool.name for tool in sfumato_plugins.TOOLS]
        python = "{}.{}.{}".format(*sys.version_info[:3])
        self.say("hello", id="", protocol=wire.PROTOCOL, version=version, python=python, pid=os.getpid(), tools=tools)

    def listen(self, inward: BinaryIO) -> None:
        """The reader thread: hear every line until the host is gone, then leave."""
        while True:
            line = inward.readline(LONGEST)
            if not line:
                return self._leave_at_once("the end of the host")
            try:
                self._hear(line)
            except wire.NotAMessage as error:
                self._refuse("", f"the engine was sent something it cannot read: {error}")
            except Exception as error:  # whatever a message holds, it never ends the engine
                traceback.print_exc()
                self._refuse("", f"the engine could not take a message: {type(error).__name__}: {error}")

    def _hear(self, line: bytes) -> None:
        message = wire.decode(line)
        op, id = message.get("op"), str(message.get("id") or "")
        if op == "run":
            self._run(message, id)
        elif op == "cancel":
            self._cancel(id)
        elif op == "ping":
            self.say("pong", id=id)
        elif op == "hello":
            self.hello()
        elif op == "release":
            self._released = True
            self._todo.put(None)
        elif op == "quit":
            self._stop_all("quit")
        else:
            self._refuse(id, f"the engine does not know the word {op!r}", f"it knows {', '.join(wire.OPS)}")

    def _run(self, message: Request, id: str) -> None:
        if not id or id in self._jobs:
            return self._refuse(id, "a job needs an id of its own")
        if not isinstance(message.get("job"), (str, dict)):
            return self._refuse(id, "there is no job to run", "give the path of a job file, or its values")
        with self._choosing:
            if self._leaving:  # not accepted, so the host asks the next engine
                return
            ahead = len(self._jobs)
            self._jobs[id] = Talker(id, self.say)
        self.say("accepted", id=id, ahead=ahead)
        self._todo.put((message, self._jobs[id]))

    def _cancel(self, id: str) -> None:
        """What is computed stops between two steps; what waits is forgotten at once."""
        with self._choosing:
            talker = self._jobs.get(id)
            if talker is None:
                return
            talker.stopped = "the artist"
            if id == self._current:
                return
            del self._jobs[id]
        self.say("cancelled", id=id, sentence="stopped by the artist before it began")

    def _begins(self, id: str) -> bool:
        """A job's turn has come; False if it was cancelled meanwhile."""
        with self._choosing:
            self._current = id
            return id in self._jobs

    def _refuse(self, id: str, sentence: str, hint: str = "") -> None:
        self.say("failed", id=id, kind="request", sentence=sentence, hint=hint, log="")

    def work(self) -> None:
        """The main thread: one job after another, until it is time to leave."""
        rested = time.monotonic()
        while True:
            try:
                item = self._todo.get(timeout=LOOK if _holds_gpu() else None)
            except queue.Empty:
                item = None
            if item is not None:
                self._resting.clear()
                if self._begins(item[1].id):
                    self._do(*item)
                    gpu.rest()
                self._resting.set()
                rested = time.monotonic()
            elif self._time_to_leave(time.monotonic() - rested):
                return

    def _time_to_leave(self, rested: float) -> bool:
        with self._choosing:
            if not self._jobs:
                self._leaving = self._released or (_holds_gpu() and (rested > self._idle or _gpu_is_wanted()))
            return self._leaving

    def _do(self, request: Request, talker: Talker) -> None:
        print(f"{logs.JOB}{talker.id} begins", file=sys.stderr, flush=True)  # for autopsy.py
        try:
            talker.pause()
            done = self._compute(request, talker)
            told = {key: done.get(key) for key in ("complete", "result", "computed", "kept", "skipped", "seconds")}
            self._jobs.pop(talker.id)
            self.say("done", id=talker.id, **told)
        except BaseException as error:
            self._jobs.pop(talker.id, None)
            self._failed(talker.id, error)
        print(f"{logs.JOB}{talker.id} is over", file=sys.stderr, flush=True)

    def _failed(self, id: str, error: BaseException) -> None:
        found = failure(error)
        if found.bug or found.kind == "memory":
            traceback.print_exception(type(error), error, error.__traceback__)
        print(f"{found.kind}: {found.sentence}", file=sys.stderr, flush=True)
        if found.kind == "cancelled":
            self.say("cancelled", id=id, sentence="; ".join(filter(None, (found.sentence, found.hint))))
        else:
            hint = "please send the log to whoever looks after sfumato" if found.kind == "internal" else found.hint
            self.say("failed", id=id, kind=found.kind, sentence=found.sentence, hint=hint, log="")

    def _stop_all(self, why: str) -> None:
        """Ask every job to stop between two steps, and leave after that."""
        self._released = True
        for talker in tuple(self._jobs.values()):
            talker.stopped = talker.stopped or why
        self._todo.put(None)

    def told_to_stop(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGTERM."""
        self._stop_all("SIGTERM")

    def watch_parent(self, parent: int) -> None:
        """Leave when the host is gone although somebody keeps our stdin open: a forked child of it.

        Not PR_SET_PDEATHSIG: the kernel sends that when the host's *thread* that started us ends.
        """
        while os.getppid() == parent:
            time.sleep(LOOK)
        self._leave_at_once("the end of the host")

    def _leave_at_once(self, why: str) -> None:
        """End the process from whatever thread; a job has a moment to stop, then goes down with all its children."""
        self._stop_all(why)
        if self._resting.wait(GRACE):
            os._exit(0)
        print(f"the job did not stop within {GRACE:g} s of {why}", file=sys.stderr, flush=True)
        if hasattr(os, "getpgrp") and os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)


def _holds_gpu() -> bool:
    return gpu.held() is not None


def _gpu_is_wanted() -> bool:
    lease = gpu.held()
    return lease is not None and bool(lease.wanted_by())
