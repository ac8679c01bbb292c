"""Processes that `sfumato bench host` looks at from outside: bare interpreters, and hosts that are killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from sfumato_plugins.benches.stand_in import ENGINE, PLUGINS, job

IMPORTS = "sfumato_plugins, sfumato_plugins.launch"
HOST = """
import sys, time
sys.path[:0] = {path!r}
from sfumato_plugins.launch import Engine
engine = Engine({python!r}, host="bench", log_folder={folder!r})
engine.run({job!r})
while True:
    for message in engine.poll():
        if message["event"] in ("hello", "note"):
            print(message.get("pid") or message["text"], flush=True)
    time.sleep(0.001)
"""


def import_seconds() -> float:
    """What a bare interpreter needs to import all that a host needs; nothing else is loaded before."""
    code = f"import sys, time; sys.path.insert(0, {PLUGINS!r}); t = time.perf_counter(); import {IMPORTS}"
    return float(_bare(f"{code}; print(time.perf_counter() - t)"))


def compiled_after_import() -> list[str]:
    """Compiled modules that are not Python's own, after that import."""
    code = f"""
import importlib.machinery, os, sys
sys.path.insert(0, {PLUGINS!r})
import {IMPORTS}
own, ends = os.path.join(sys.base_prefix, ""), tuple(importlib.machinery.EXTENSION_SUFFIXES)
files = {{name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}}
print(" ".join(name for name, file in files.items() if file.endswith(ends) and not file.startswith(own)))
"""
    return _bare(code).split()


def _bare(code: str) -> str:
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def outlives_its_host(folder: str, python: str, do: str) -> float:
    """Seconds for which an engine lives on after its host was killed.

    Args:
        folder: For logs.
        python: A stand-in for the engine's Python.
        do: What its job is doing meanwhile.
    """
    values = job(do, steps=10**6)
    code = HOST.format(path=[PLUGINS, ENGINE], python=python, folder=os.path.join(folder, "logs"), job=values)
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    engine = int(host.stdout.readline())
    while not host.stdout.readline().startswith("torch" if do == "long operation" else "now"):
        pass
    time.sleep(0.2)
    host.kill()
    killed = time.perf_counter()
    while alive(engine) and time.perf_counter() - killed < 30:
        time.sleep(0.001)
    found = time.perf_counter() - killed
    host.wait()
    host.stdout.close()
    return found


def alive(pid: int) -> bool:
    """The process is there and not merely waiting for somebody to ask how it ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
