"""Sending one node's job to a farm: the queue of this machine, or a file for a render manager."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import nuke

from sfumato_nuke import knobs, results, scratch
from sfumato_nuke.local_queue import Queue, last_words
from sfumato_nuke.order import Order, absolute, order, reserved
from sfumato_nuke.panel import QUEUE
from sfumato_nuke.send import free, looked, with_inputs
from sfumato_nuke.under_way import Run
from sfumato_nuke.watch import WATCH, named_python
from sfumato_plugins.engine_python import clean_environment, command
from sfumato_plugins.errors import wrong
from sfumato_plugins.job import Job
from sfumato_plugins.tool import Tool

Node = Any
SUFFIXES = {"openjd": "openjd.yaml", "opencue": "opencue.py", "tractor": "alf", "commands": "commands.txt"}
"""What a render manager's file is called; the others take a folder."""
CHECKING = 300  # seconds that looking at every file's header may take


def send_to_farm(node: Node, tool: Tool) -> str:
    """Hand the node's job to the local queue, or write it for a render manager. Gives a sentence on what was done.

    Raises:
        JobError: also when the script has unsaved changes: the copy that goes along would not be what was sent.
        NoEngine, inputs.Cancelled: with a sentence.
    """
    script = nuke.root().name()
    if nuke.root().modified() or not os.path.isfile(script):
        raise wrong("", "the script has changes that are not saved", "save it, then send again: a copy goes along")
    free(node)
    asked = order(node, tool)
    found = looked(node, asked, asked.job)
    job = reserved(asked)
    pattern = results.pattern_of(tool, job)
    folder = pattern.beside(".inputs") if found.render else ""
    try:
        job = with_inputs(node, asked, job, found, folder)
        path = _job_file(script, tool, job, asked)
        if node["farm_target"].value() != QUEUE:
            said = _export(node, asked, path, node["farm_target"].value())
        else:
            said = _queue(node, asked, job, path, folder)
    except BaseException:
        scratch.remove(folder)
        raise
    if folder:
        scratch.leave(asked.settings, folder, pattern.beside(".result.json"))
    return said


def _job_file(script: str, tool: Tool, job: Job, asked: Order) -> str:
    """Lay the job and a copy of the script beside the result, and have the engine look at it."""
    pattern = results.pattern_of(tool, job)
    path = pattern.beside(".job.json")
    results.remember(tool, job, asked)
    replace(job, base=os.path.dirname(path), outputs=absolute(job)).save(path)
    shutil.copyfile(script, pattern.beside(".nk"))
    _check_there(path, asked)
    return path


def _queue(node: Node, asked: Order, job: Job, path: str, folder: str) -> str:
    options = {name: int(knobs.one(node, f"farm_{name}")) for name in ("slots", "retries", "chunk")}
    if not options["slots"]:
        del options["slots"]  # the queue's own choice: the GPUs
    if folder:
        os.chmod(folder, 0o700)  # no other user's machine reads it
    queue = Queue(path, job, results.pattern_of(asked.tool, job), options, named_python(asked.settings))
    WATCH.follow(Run(node, "queue", asked, job, folder, queue=queue))
    return f"{job.names.get('version', 'the job')} is in the local queue, log: {queue.log}"


def _check_there(path: str, asked: Order) -> None:
    """What only the engine can see: headers, sizes, colour names. Waits for it; a farm would find it much later."""
    line = command("check", path, python=named_python(asked.settings))
    try:
        done = subprocess.run(
            line, env=clean_environment(os.environ), capture_output=True, text=True, timeout=CHECKING, check=False
        )
    except subprocess.TimeoutExpired:
        what = f"checking the job's files took longer than {CHECKING} s"
        raise wrong("", what, "is a drive asleep or very slow? send it again") from None
    if done.returncode:
        sentence, hint = last_words(done.stderr) or ("the engine cannot check the job", "")
        raise wrong("", done.stdout.strip() or sentence, "" if done.stdout.strip() else hint)


def _export(node: Node, asked: Order, path: str, target: str) -> str:
    """Write the job for a render manager; the site's settings hold where the Farm tab says nothing."""
    from sfumato_plugins import farm
    from sfumato_plugins.farm.options import options

    given: dict[str, Any] = {name: knobs.text(node, f"farm_{name}") or None for name in ("pool", "group")}
    given["name"] = f"{os.path.splitext(os.path.basename(nuke.root().name()))[0]} {node.fullName()}"
    priority = knobs.text(node, "farm_priority")
    if priority and not priority.isdigit():
        raise wrong("farm_priority", f"{priority!r} is not a whole number", "0 to 100, or empty for the site's")
    given["priority"] = int(priority) if priority else None
    for name, usual in (("chunk", 12), ("retries", 2)):
        value = int(knobs.one(node, f"farm_{name}"))
        given[name] = None if value == usual else value
    out = knobs.text(node, "farm_out") or f"{os.path.splitext(path)[0]}.{SUFFIXES.get(target, target)}"
    written = farm.export(path, target, out, options(asked.settings, given))
    return f"written for {target}: {farm.next_step(target, written, path)}"
