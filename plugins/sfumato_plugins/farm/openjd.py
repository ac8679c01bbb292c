"""An Open Job Description template: `openjd run`, AWS Deadline Cloud, and whatever else speaks it.

    JobFile          the job file, a path the farm may map
    SfumatoCommand   default: sfumato, from PATH
    Frames, ChunkSize   where every frame stands alone

Steps are the stages; a step waits for those it reads from. Specification 2023-09.
"""

from __future__ import annotations

import json
import os
import shlex
from typing import Any

from sfumato_plugins.farm.plan import Stage, command
from sfumato_plugins.farm.sheet import Sheet
from sfumato_plugins.farm.text import to_yaml
from sfumato_plugins.frames import format_frames

NOTICE = 5  # seconds from SIGTERM to SIGKILL; the runner needs one


def files(given: Sheet, out: str) -> dict[str, str]:
    found = template(given, _default(given.path, out))
    return {"": json.dumps(found, indent=1) + "\n" if out.lower().endswith(".json") else to_yaml(found)}


def next_step(written: list[str], job_path: str) -> str:
    named = "" if _default(job_path, written[0]) else f" -p {shlex.quote(f'JobFile={job_path}')}"
    return f"openjd run {shlex.quote(written[0])}{named}"


def _default(path: str, out: str) -> str:
    """The job file from the template's folder: the only default the specification allows. Empty where it is not below;
    then the one who submits names it."""
    below = os.path.relpath(path, os.path.dirname(os.path.abspath(out)))
    return "" if below.startswith("..") or os.path.isabs(below) else below.replace(os.sep, "/")


def template(given: Sheet, job_file: str) -> dict[str, Any]:
    """The template as JSON values."""
    apart = [stage for stage in given.stages if stage.apart]
    parameters: list[dict[str, Any]] = [
        {
            "name": "JobFile",
            "type": "PATH",
            "objectType": "FILE",
            "dataFlow": "IN",
            "description": "the sfumato job; relative paths in it start from its folder",
            **({"default": job_file} if job_file else {}),
        },
        {"name": "SfumatoCommand", "type": "STRING", "default": given.options.command},
    ]
    if apart:
        frames = to_openjd(tuple(sorted({f for stage in apart for f in stage.frames})))
        parameters += [
            {"name": "Frames", "type": "STRING", "default": frames},
            {"name": "ChunkSize", "type": "INT", "default": given.options.chunk, "minValue": 1},
        ]
    environment = given.environment
    return {
        "specificationVersion": "jobtemplate-2023-09",
        **({"extensions": ["TASK_CHUNKING"]} if apart else {}),
        "name": given.title,
        "parameterDefinitions": parameters,
        **({"jobEnvironments": [{"name": "Settings", "variables": environment}]} if environment else {}),
        "steps": [_step(given, stage) for stage in given.stages],
    }


def _step(given: Sheet, stage: Stage) -> dict[str, Any]:
    requirements = _requirements(given)
    return {
        "name": stage.name,
        **({"dependencies": [{"dependsOn": name} for name in stage.after]} if stage.after else {}),
        "parameterSpace": {"taskParameterDefinitions": [_space(stage)]},
        **({"hostRequirements": requirements} if requirements else {}),
        "script": {"actions": {"onRun": _action(given, stage)}},
    }


def _space(stage: Stage) -> dict[str, Any]:
    if not stage.apart:
        return {"name": "Frames", "type": "STRING", "range": [format_frames(task) for task in stage.tasks]}
    chunks = {"defaultTaskCount": "{{Param.ChunkSize}}", "rangeConstraint": "NONCONTIGUOUS"}
    return {"name": "Frames", "type": "CHUNK[INT]", "range": "{{Param.Frames}}", "chunks": chunks}


def _action(given: Sheet, stage: Stage) -> dict[str, Any]:
    longest = given.options.chunk if stage.apart else max(map(len, stage.tasks))
    args = command("{{Param.JobFile}}", "{{Task.Param.Frames}}", stage.view)
    return {
        "command": "{{Param.SfumatoCommand}}",
        "args": [*args, "--path-mapping={{Session.PathMappingRulesFile}}"],
        "timeout": 60 * given.limit(longest),
        "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": NOTICE},
    }


def _requirements(given: Sheet) -> dict[str, Any]:
    """Pool and group are attributes, limits are amounts: that is how Deadline Cloud has them."""
    wanted = given.options
    amounts = {
        "amount.worker.vcpu": wanted.cores,
        "amount.worker.memory": round(wanted.memory * 1024),
        "amount.worker.gpu": given.gpus,
        "amount.worker.gpu.memory": round(wanted.gpu_memory * 1024),
        **{f"amount.{name}": 1 for name in wanted.limits},
    }
    attributes = {"attr.worker.os.family": wanted.os, "attr.pool": wanted.pool, "attr.group": wanted.group}
    asked = [{"name": name, "min": least} for name, least in amounts.items() if least]
    return {
        **({"amounts": asked} if asked else {}),
        "attributes": [{"name": name, "anyOf": [value]} for name, value in attributes.items() if value],
    }


def to_openjd(frames: tuple[int, ...]) -> str:
    """Frames as Open Job Description writes them: a step after a colon.

    >>> to_openjd((1, 2, 3, 10, 12, 14))
    '1-3,10-14:2'
    """
    return format_frames(frames).replace("x", ":")
