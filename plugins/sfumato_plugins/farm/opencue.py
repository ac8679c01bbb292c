"""An OpenCue outline: a Python file that pycuerun loads, and that launches itself. Layers are the stages.

OpenCue tells hosts apart by tags, so pool and group become tags. Its agent kills without warning, which costs nothing.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import Any

from sfumato_plugins.farm.plan import Stage
from sfumato_plugins.farm.sheet import Sheet
from sfumato_plugins.frames import format_frames

OUTLINE = '''\
"""{title}: an OpenCue outline made by sfumato.

python {name} launches it, python {name} --xml shows what Cuebot would get.
"""

import sys

try:
    import outline
    import outline.cuerun
    from outline.modules.shell import Shell
except ModuleNotFoundError as error:
    sys.exit("%s has no module called %s: install opencue-pyoutline and opencue-pycue" % (sys.executable, error.name))

JOB = {job!r}

if __name__ == "__main__":  # otherwise pycuerun has made the outline
    outline.Outline(JOB["name"], show=JOB["show"], shot=JOB["shot"], current=True)

{layers}
if __name__ == "__main__":
    flags = {{"priority": JOB["priority"], "maxretries": JOB["maxretries"], "nomail": True}}
    launcher = outline.cuerun.OutlineLauncher(outline.current_outline(), **flags)
    if "--xml" in sys.argv:
        print(launcher.serialize(use_pycuerun=False))
    else:
        launcher.launch(use_pycuerun=False)
'''


def files(given: Sheet, out: str) -> dict[str, str]:
    import os

    names = given.job.names
    job = {
        "name": _name(given.title),
        "show": names.get("show", "testing"),
        "shot": names.get("shot", "default"),
        "priority": given.options.priority,
        "maxretries": given.options.retries,
    }
    layers = "\n".join(_layer(given, stage) for stage in given.stages)
    title = given.title.replace("\\", "/").replace('"', "'")
    return {"": OUTLINE.format(title=title, name=os.path.basename(out), job=job, layers=layers)}


def next_step(written: list[str], job_path: str) -> str:
    return f"python {written[0]}"


def _name(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")


def _layer(given: Sheet, stage: Stage) -> str:
    wanted = given.options
    most = max(map(len, stage.tasks))
    told = given.words("#FRAMESPEC#", stage.view)
    line = subprocess.list2cmdline(told) if wanted.os == "windows" else shlex.join(told)
    values: dict[str, Any] = {
        "command": [line.replace("'--frames=#FRAMESPEC#'", "--frames=#FRAMESPEC#")],
        "range": format_frames(stage.frames),
        "chunk": most,
        "timeout": given.limit(most),
        "env": given.environment,
        "tags": " ".join(filter(None, (wanted.pool, wanted.group))),
        "limits": list(wanted.limits),
        "cores": wanted.cores,
        "memory": f"{wanted.memory:g}g" if wanted.memory else "",
        "gpus": given.gpus,
        "gpu_memory": f"{wanted.gpu_memory:g}g" if wanted.gpu_memory else "",
    }
    lines = [f"{_name(stage.name)} = Shell(", f'    "{_name(stage.name)}",']
    lines += [f"    {name}={value!r}," for name, value in values.items() if value]
    after = [f"{_name(stage.name)}.depend_all({_name(name)})" for name in stage.after]
    return "\n".join([*lines, ")", *after]) + "\n"
