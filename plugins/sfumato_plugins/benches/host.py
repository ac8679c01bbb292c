"""`sfumato bench host`: what the process boundary costs a host, and how soon an artist knows that something went wrong.

Real engines are started, asked, cancelled, crashed and orphaned. Times are wall clock in milliseconds.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, Callable
from weakref import WeakKeyDictionary

from sfumato_plugins.benches import orphans, stand_in
from sfumato_plugins.benches.table import as_table
from sfumato_plugins.benches.tiny import tiny_job
from sfumato_plugins.launch import Engine
from sfumato_plugins.lease import Client, take

Row = dict[str, Any]
Say = Callable[[str], None]

SILENCE = 1.0  # seconds of silence after which the bench's engines are given up
TARGETS = {  # the start of a case's name: milliseconds, at most
    "import": 50,
    "hello": 150,
    "message, median": 1,
    "cancel": 1000,
    "host killed": 2000,
    "GPU": 5000,
    "failure": 1000,
}


def run(say: Say = lambda line: None, *, quick: bool = False) -> dict[str, Any]:
    """Measure everything.

    Args:
        say: Gets one line for each case, for people.
        quick: Fewer repetitions.

    Returns:
        The bench document. A row: case, method, ms (median), best and worst (ms), runs; for failures what the artist
        reads, its kind, and whether the log holds anything.
    """
    import sfumato
    from sfumato.device import describe, pick_device

    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="sfumato-bench-") as folder:
        for row in _cases(folder, quick):
            rows.append(row)
            say(f"{row['case']:36} {row['ms']:9.2f} ms  {row.get('said', '')}".rstrip())
    compiled = orphans.compiled_after_import()
    return {
        "bench": "host",
        "version": sfumato.__version__,
        "device": describe(pick_device("cpu")),
        "settings": {"python": sys.version.split()[0], "quick": quick, "load": round(_load(), 2)},
        "rows": rows,
        "means": {"sfumato": {row["case"]: row["ms"] for row in rows}},
        "targets": [*_targets(rows), _compiled(compiled)],
        "compiled": compiled,
    }


def as_text(document: dict[str, Any]) -> str:
    """The document for people."""
    said = [{"case": r["case"], "what the artist reads": r["said"]} for r in document["rows"] if r.get("said")]
    parts = [
        as_table(document["rows"], ("case", "ms", "best", "worst", "runs")),
        as_table(said, ("case", "what the artist reads")),
        as_table(document["targets"], ("name", "value", "bound", "met")),
        f"sfumato {document['version']}, Python {document['settings']['python']}, {document['device']}, "
        f"{document['settings']['load']} processes a core wanted to run",
    ]
    return "\n\n".join(parts)


def _cases(folder: str, quick: bool) -> Iterator[Row]:
    few = 3 if quick else 9
    own = {**os.environ, "XDG_STATE_HOME": folder}  # the engines' logs go with the folder
    yield _row("import of tools and launch", [orphans.import_seconds() for _ in range(few)])
    yield _row("hello after the start", [_hello(own) for _ in range(few)])
    yield from _messages(200 if quick else 2000, own)
    job = tiny_job(os.path.join(folder, "shot"))
    yield _row("cancel between optimiser steps", _cancels(job, 2 if quick else 7, own))
    python = stand_in.python_that(folder)
    for words, do in (("idle", "nothing"), ("working", "steps"), ("stuck", "stuck"), ("in torch", "long operation")):
        seconds = [orphans.outlives_its_host(folder, python, do) for _ in range(1 if quick else 3)]
        yield _row(f"host killed, engine {words}", seconds)
    shared = {**own, "SFUMATO_GPUS": "bench", "SFUMATO_LEASES": os.path.join(folder, "leases")}
    yield _row("GPU handed over by an idle engine", [_handed_over(python, shared) for _ in range(1 if quick else 5)])
    yield _row("GPU free after SIGKILL", [_freed(python, shared) for _ in range(1 if quick else 5)])
    for what, make in _failures(folder, python, job, own).items():
        yield make(f"failure: {what}")


def _load() -> float:
    """Processes that want to run, a core: above 1 they wait for each other, and so does everything timed here."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def _row(case: str, seconds: list[float], **more: Any) -> Row:
    ms = sorted(1000 * s for s in seconds)
    return {
        "case": case,
        "method": "sfumato",
        "ms": statistics.median(ms),
        "best": ms[0],
        "worst": ms[-1],
        "runs": len(ms),
        **more,
    }


def _hello(environ: dict[str, str]) -> float:
    """Seconds from the call that starts an engine to its hello."""
    engine = Engine(sys.executable, host="bench", environ=environ)
    began = time.perf_counter()
    engine.start()
    until(engine, "hello")
    found = time.perf_counter() - began
    engine.close()
    return found


def _messages(count: int, environ: dict[str, str]) -> list[Row]:
    """Seconds from a ping to its pong in the host's hands, with a host that looks all the time."""
    engine = Engine(sys.executable, host="bench", environ=environ)
    engine.start()
    until(engine, "hello")
    found = []
    for _ in range(count):
        began = time.perf_counter()
        engine.ping()
        until(engine, "pong", look=0)
        found.append(time.perf_counter() - began)
    engine.close()
    worst = sorted(found)[int(0.99 * count)]
    return [_row("message, median", found), {**_row("message, 99th percentile", [worst]), "runs": count}]


def _cancels(job: dict[str, Any], times: int, environ: dict[str, str]) -> list[float]:
    """Seconds from a cancel in the middle of a real matte to the engine's word that it stopped."""
    engine = Engine(sys.executable, host="bench", environ=environ)
    found = []
    for turn in range(times):
        id = engine.run(job, force=True)
        until(engine, "progress", lambda m: "prior" in m["text"])
        time.sleep(0.037 * turn)  # at another place in a step each time
        engine.poll()
        began = time.perf_counter()
        engine.cancel(id)
        until(engine, "cancelled")
        found.append(time.perf_counter() - began)
    engine.close()
    return found


def _handed_over(python: str, environ: dict[str, str]) -> float:
    """Seconds from asking a second engine to its having the GPU that a first one holds without work."""
    first, second = (Engine(python, host="bench", environ=environ) for _ in range(2))
    first.run(stand_in.job("on gpu"))
    until(first, "done")
    began = time.perf_counter()
    second.run(stand_in.job("on gpu"))
    until(second, "note", lambda m: m["text"] == "has the GPU")
    found = time.perf_counter() - began
    for engine in (first, second):
        engine.close()
    return found


def _freed(python: str, environ: dict[str, str]) -> float:
    """Seconds from the SIGKILL of an engine that computes to its GPU's lease being ours."""
    engine = Engine(python, host="bench", environ=environ)
    engine.run(stand_in.job("on gpu", steps=10**6))
    pid = until(engine, "hello")["pid"]
    until(engine, "note", lambda m: m["text"] == "has the GPU")
    os.kill(pid, signal.SIGKILL)
    began = time.perf_counter()
    while True:
        lease = take("bench", Client("bench"), environ["SFUMATO_LEASES"])
        if lease is not None:
            break
    found = time.perf_counter() - began
    lease.give_back()
    engine.close()
    return found


def _failures(folder: str, python: str, job: dict[str, Any], own: dict[str, str]) -> dict[str, Callable[[str], Row]]:
    """The ten ways an engine fails, each measured from the moment it does."""
    no_torch = stand_in.real_python(folder, "sys.modules['torch'] = None")
    wrong = stand_in.program(os.path.join(folder, "wrong"), f'exec "{sys.executable}" -I -S "$@"')
    cuda = {**job, "params": {**job["params"], "device": "cuda"}}

    def stand(do: str, waits: float = 0.0) -> Callable[[str], Row]:
        return lambda case: _failure(case, python, own, stand_in.job(do), "note", waits)

    return {
        "segfault": stand("segfault"),
        "killed": stand("kill"),
        "out of memory": stand("memory"),
        "exception": stand("exception"),
        "bad JSON": stand("bad json"),
        "disk full": stand("disk full"),
        "no GPU": lambda case: _failure(case, sys.executable, own, cuda, "accepted"),
        "wrong Python": lambda case: _failure(case, wrong, own, job, ""),
        "missing module": lambda case: _failure(case, no_torch, own, job, "accepted"),
        "timeout": stand("silence", SILENCE),
    }


def _failure(case: str, python: str, own: dict[str, str], job: dict[str, Any], since: str, waits: float = 0.0) -> Row:
    """From the moment it goes wrong to the sentence, less what was meant to be waited for.

    since: What the engine says then: a note with the time on its own clock, which is ours too, or `accepted`, or
        nothing: from the start on.
    """
    environ = {**own, "CUDA_VISIBLE_DEVICES": ""}
    engine = Engine(python, host="bench", silence=SILENCE if waits else 300.0, environ=environ)
    began = time.perf_counter()
    engine.run(job)
    if since:
        said = until(engine, since)
        began = float(said["text"].split()[1]) if since == "note" else time.perf_counter()
    failed = until(engine, "failed")
    seconds = time.perf_counter() - began - waits
    engine.close()
    logged = os.path.getsize(failed["log"]) > 0
    return _row(case, [seconds], said=failed["sentence"].splitlines()[0], kind=failed["kind"], logged=logged)


_unread: WeakKeyDictionary[Engine, list[dict[str, Any]]] = WeakKeyDictionary()


def until(
    engine: Engine, event: str, fits: Callable[[dict[str, Any]], bool] = lambda m: True, look: float = 0.001
) -> dict[str, Any]:
    """The engine's next message of a kind, looked for every `look` seconds; those before it are dropped."""
    waiting = _unread.setdefault(engine, [])
    end = time.perf_counter() + 120
    while time.perf_counter() < end:
        waiting += engine.poll()
        while waiting:
            message = waiting.pop(0)
            if message["event"] == event and fits(message):
                return message
        time.sleep(look)
    raise TimeoutError(f"the engine did not say {event}")


def _targets(rows: list[Row]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        bound = next((ms for start, ms in TARGETS.items() if row["case"].startswith(start)), None)
        if bound is not None:
            met = row["ms"] <= bound and row.get("logged", True)
            found.append({"name": f"{row['case']}, ms", "value": round(row["ms"], 3), "bound": bound, "met": met})
    return found


def _compiled(found: list[str]) -> dict[str, Any]:
    return {"name": "compiled third-party modules in a host", "value": len(found), "bound": 0, "met": not found}
