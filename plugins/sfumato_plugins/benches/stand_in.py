"""An engine that goes wrong on demand: the real worker in a real process, with a stand-in for the matte.

A job's `params` say what happens: {"do": "segfault"}. Tests and `sfumato bench host` find out what a host gets to know.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Callable

from sfumato_plugins import cli, gpu, worker
from sfumato_plugins.lease import Client
from sfumato_plugins.report import Teller

PLUGINS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENGINE = os.path.join(os.path.dirname(PLUGINS), "engine")
START = "import sys; sys.path[:0] = [{plugins!r}, {engine!r}]; {before}\nfrom sfumato_plugins.benches import stand_in"


def python_that(folder: str, then: str = "stand_in.main()", before: str = "") -> str:
    """Make a program in a folder that a host takes for the engine's Python, and that behaves as told."""
    code = START.format(plugins=PLUGINS, engine=ENGINE, before=before) + "\n" + then
    script, path = os.path.join(folder, "python.py"), os.path.join(folder, "python")
    with open(script, "w", encoding="utf-8") as file:
        file.write(code + "\n")
    return program(path, f'exec "{sys.executable}" "{script}" "$@"')


def real_python(folder: str, before: str) -> str:
    """As `python_that`, with the real engine, after some preparation."""
    inside = os.path.join(folder, "real")
    os.makedirs(inside, exist_ok=True)
    return python_that(inside, "sys.exit(stand_in.cli.main(sys.argv[3:]))", before)


def program(path: str, line: str) -> str:
    """Write a shell script of one line; its path."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{line}\n")
    os.chmod(path, 0o755)
    return path


def job(do: str, **more: Any) -> dict[str, Any]:
    """A job for the stand-in."""
    return {"schema": "sfumato.job/1", "tool": "stand-in", "params": {"do": do, **more}}


def main() -> None:
    """Be `sfumato worker`, with jobs of our own."""
    global _pipe
    _pipe = os.dup(1)
    serve = worker.main
    worker.main = lambda host="", idle=120.0, compute=None: serve(host, idle, compute or _compute)
    sys.exit(cli.main(sys.argv[3:]))


_pipe = -1


def _compute(request: Mapping[str, Any], teller: Teller) -> Mapping[str, Any]:
    params = request["job"]["params"]
    teller.say(f"now {time.perf_counter():.6f}")
    DO[params["do"]](params, teller)
    return {"complete": True, "result": None, "computed": {}, "kept": {}, "skipped": {}, "seconds": 0.0}


def _steps(params: Mapping[str, Any], teller: Teller) -> None:
    """Work for `steps` times 10 ms, and listen between them."""
    for step in range(params.get("steps", 10)):
        teller.progress(step / params.get("steps", 10), f"step {step}")
        teller.pause()
        time.sleep(0.01)


def _out_of_memory(params: Mapping[str, Any], teller: Teller) -> None:
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), resource.RLIM_INFINITY))
    bytearray(1 << 30)


def _full_disk(params: Mapping[str, Any], teller: Teller) -> None:
    with open(params.get("to", "/dev/full"), "wb", buffering=0) as file:
        file.write(b"0" * (64 << 20))


def _nonsense(params: Mapping[str, Any], teller: Teller) -> None:
    os.write(_pipe, b"no message at all\n")
    time.sleep(1000)


def _on_gpu(params: Mapping[str, Any], teller: Teller) -> None:
    """Steps, with the lease of a GPU that is not there."""
    gpu.hold(os.environ["SFUMATO_GPUS"].split(","), Client("stand-in", interactive=True), teller.say, teller.pause)
    teller.say("has the GPU")
    _steps(params, teller)


def _chatter(params: Mapping[str, Any], teller: Teller) -> None:
    """What libraries and children say while they work."""
    print("a library prints")
    sys.stdout.flush()
    os.write(1, b'{"event":"done","id":"forged"}\n')
    subprocess.run(["sh", "-c", "echo a child speaks; cat"], check=True)


def _with_child(params: Mapping[str, Any], teller: Teller) -> None:
    child = subprocess.Popen(["sleep", "1000"])
    teller.say(f"child {child.pid}")
    if params.get("dies"):
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(1000)


def _long_operation(params: Mapping[str, Any], teller: Teller) -> None:
    import torch

    big = torch.ones(7000, 7000, dtype=torch.float64)
    teller.say("torch")
    torch.mm(big, big)


DO: dict[str, Callable[[Mapping[str, Any], Teller], object]] = {
    "nothing": lambda params, teller: None,
    "steps": _steps,
    "on gpu": _on_gpu,
    "segfault": lambda params, teller: ctypes.string_at(0),
    "kill": lambda params, teller: os.kill(os.getpid(), signal.SIGKILL),
    "memory": _out_of_memory,
    "exception": lambda params, teller: params["nothing here"],
    "bad json": _nonsense,
    "disk full": _full_disk,
    "missing module": lambda params, teller: __import__("a_module_nobody_installed"),
    "silence": lambda params, teller: os.kill(os.getpid(), signal.SIGSTOP),
    "stuck": lambda params, teller: time.sleep(1000),
    "leave": lambda params, teller: os._exit(7),
    "chatter": _chatter,
    "warnings": lambda params, teller: print("a library warns\n" * 10_000, file=sys.stderr, flush=True),
    "child": _with_child,
    "long operation": _long_operation,
}
