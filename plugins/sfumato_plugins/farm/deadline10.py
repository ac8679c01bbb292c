"""Deadline 10: a job for each stage with the CommandLine plug-in, and a script that submits them in their order.

Job info and plug-in info are Deadline's own key=value files. What Deadline has no key for (memory, expected minutes) is
written as extra info, for a site's own event plug-ins; Deadline chooses machines by pool, group and limits.
"""

from __future__ import annotations

import subprocess

from sfumato_plugins.farm.plan import Stage
from sfumato_plugins.farm.sheet import Sheet
from sfumato_plugins.frames import format_frames

SUBMIT = '''\
"""Submit this folder's jobs to Deadline 10, each waiting for those it needs: python submit.py"""

import os
import re
import subprocess
import sys

JOBS = {jobs!r}  # stage, stages it waits for
HERE = os.path.dirname(os.path.abspath(__file__))
COMMAND = os.path.join(os.environ.get("DEADLINE_PATH", ""), "deadlinecommand")

ids = {{}}
for stage, after in JOBS:
    info = os.path.join(HERE, stage + "_job_info.job")
    if after:
        with open(info, encoding="utf-8") as file:
            lines = [line for line in file if not line.startswith("JobDependencies=")]
        with open(info, "w", encoding="utf-8") as file:
            file.writelines([*lines, "JobDependencies=" + ",".join(ids[name] for name in after) + "\\n"])
    words = [COMMAND, info, os.path.join(HERE, stage + "_plugin_info.job")]
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, universal_newlines=True)
    except OSError as error:
        sys.exit(COMMAND + " cannot be run: " + error.strerror + ". Is DEADLINE_PATH the folder of Deadline's client?")
    found = re.search(r"^JobID=(\\S+)", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        sys.exit("Deadline refused " + stage + ":\\n" + done.stdout)
    ids[stage] = found.group(1)
    print(stage, ids[stage])
'''


def files(given: Sheet, out: str) -> dict[str, str]:
    named = {stage.name: _name(stage.name) for stage in given.stages}
    jobs = [(named[stage.name], [named[name] for name in stage.after]) for stage in given.stages]
    found = {"submit.py": SUBMIT.format(jobs=jobs)}
    for stage in given.stages:
        found[f"{named[stage.name]}_job_info.job"] = _text(_job_info(given, stage))
        found[f"{named[stage.name]}_plugin_info.job"] = _text(_plugin_info(given, stage))
    return found


def next_step(written: list[str], job_path: str) -> str:
    return f"python {written[0]}"


def _name(stage: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in stage)


def _text(values: dict[str, object]) -> str:
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _job_info(given: Sheet, stage: Stage) -> dict[str, object]:
    wanted = given.options
    most = max(map(len, stage.tasks))
    extra = {
        "minimum_gpu_memory_gib": f"{wanted.gpu_memory:g}" if wanted.gpu_memory else "",
        "minimum_memory_gib": f"{wanted.memory:g}" if wanted.memory else "",
        "minimum_cores": wanted.cores or "",
        "expected_minutes": f"{given.minutes(most):g}" if given.minutes(most) else "",
    }
    folders = [given.on_farm(folder) for folder in given.output_folders()]
    lines: dict[str, object] = {
        "Plugin": "CommandLine",
        "Name": f"{given.title} {stage.name}",
        "BatchName": given.title,
        **({"Pool": wanted.pool} if wanted.pool else {}),
        **({"Group": wanted.group} if wanted.group else {}),
        "Priority": wanted.priority,
        **({"LimitGroups": ",".join(wanted.limits)} if wanted.limits else {}),
        # Deadline makes a task of frames that follow each other, so the holes that keyframes leave cut between them
        "Frames": format_frames(stage.frames),
        "ChunkSize": most,
        "TaskTimeoutMinutes": given.limit(most),
        "OnTaskTimeout": "Error",
        "OverrideTaskFailureDetection": "true",
        "FailureDetectionTaskErrors": wanted.retries + 1,
    }
    for prefix, values in (
        ("EnvironmentKeyValue", given.environment),
        ("ExtraInfoKeyValue", {name: value for name, value in extra.items() if value}),
    ):
        lines.update({f"{prefix}{i}": f"{name}={value}" for i, (name, value) in enumerate(values.items())})
    lines.update({f"OutputDirectory{i}": folder for i, folder in enumerate(folders)})
    return lines


def _plugin_info(given: Sheet, stage: Stage) -> dict[str, object]:
    told = given.words("<STARTFRAME>-<ENDFRAME>", stage.view)
    arguments = subprocess.list2cmdline(told[1:]).replace('"', "<QUOTE>")
    return {"Executable": told[0], "Arguments": arguments, "Shell": "default", "ShellExecute": "False"}
