"""Waiting for a GPU that somebody else has, and making way for somebody who waits."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from sfumato_plugins.lease import Client, Lease, calling_card, holder, lock_file, locking, take, waiting
from sfumato_plugins.shared_lock import discard, lock, open_shared, write

POLL = 0.1  # seconds between two tries to get a GPU


class Queue:
    """Waiting for one of some GPUs, seen by whoever holds it. Use it with `with`."""

    def __init__(self, gpus: Sequence[str], client: Client, folder: str) -> None:
        self._gpus, self._client, self._folder = gpus, client, folder
        self._wanted = ""
        self._handle = -1
        self._path = ""

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *exception: object) -> None:
        self._leave()

    def easiest(self) -> tuple[str, dict[str, Any]]:
        """The GPU that is likely to be free first, and its holder: idle ones first, then those that make way."""
        holders = {gpu: holder(gpu, self._folder) for gpu in self._gpus}
        gpu = min(self._gpus, key=lambda g: (holders[g].get("busy", False), holders[g].get("interactive", False)))
        return gpu, holders[gpu]

    def ask(self, gpu: str) -> None:
        """Let the holder of a GPU know that somebody waits for it."""
        if gpu == self._wanted:
            return
        self._leave()
        while True:
            self._path = f"{lock_file(gpu, self._folder)[: -len('lock')]}wanted-{os.urandom(4).hex()}"
            self._handle = open_shared(self._path)
            if lock(self._handle) and os.path.exists(self._path):  # else the holder took it for a dead one's
                break
            os.close(self._handle)
        write(self._handle, calling_card(self._client))
        self._wanted = gpu

    def _leave(self) -> None:
        if self._handle >= 0:
            discard(self._path, self._handle)
            self._handle, self._wanted = -1, ""


def wait_for(
    gpus: Sequence[str], client: Client, folder: str, say: Callable[[str], None], pause: Callable[[], None]
) -> Lease:
    """The first of some GPUs that is free. Who is waited for is said once; `pause` may raise to stop waiting.

    Raises:
        NoLocks: the folder cannot be used.
    """
    told, looked = "", -1e9
    with Queue(gpus, client, folder) as queue:
        while True:
            for gpu in gpus:
                with locking():
                    lease = take(gpu, client, folder)
                if lease is not None:
                    return lease
            pause()
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                with locking():
                    gpu, who = queue.easiest()
                    queue.ask(gpu)
                sentence = f"waiting for the GPU: {_described(who)} has it"
                if who and sentence != told:
                    told = sentence
                    say(sentence)
            time.sleep(POLL)


def make_way(lease: Lease, say: Callable[[str], None], pause: Callable[[], None]) -> Lease:
    """Between two frames of a run nobody watches: let an artist have the GPU, and wait until it is free again.

    Returns:
        The lease to go on with; the same one where no artist waits.
    """
    artists = [] if lease.client.interactive else [who for who in lease.wanted_by() if who.get("interactive")]
    if not artists:
        return lease
    say(f"{_described(artists[0])} needs the GPU: waiting until it is free again")
    folder = lease.folder
    lease.give_back()
    while any(who.get("interactive") for who in waiting(lease.gpu, folder)):
        pause()
        time.sleep(POLL)
    return wait_for([lease.gpu], lease.client, folder, lambda text: None, pause)


def _described(who: Mapping[str, Any]) -> str:
    return f"{who.get('host', 'somebody')} of {who.get('user', '?')} (process {who.get('pid', '?')})"
