"""Who finds objects in finished pictures: our detector for our own models, a program of the site's for others.

The program is named in the settings, `detector = "/tools/detect --cpu"`. It is given one JSON
object on stdin, {"picture": "/tmp/.../picture.png", "phrases": ["red ball"]}, and prints a list with a box
[left, top, right, bottom] in parts of the picture, y down, for each phrase, or null where there is none. `own` is ours,
for models trained on our demo's colours and shapes.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.placing.models import is_ours, model_of
from sfumato_plugins.settings import load_settings

if TYPE_CHECKING:
    from sfumato_plugins.job import Job

OWN = "own"
LIMIT = 600  # seconds for one picture


def detector_of(job: Job) -> str | None:
    """Who measures a job's pictures: "own", a command, or nobody."""
    if is_ours(model_of(job.tool, job.params)):
        return OWN
    found = load_settings(start=job.base or os.getcwd()).get("detector")
    return str(found) if found else None


def measure_of(job: Job) -> Callable[[Any, Sequence[str]], list[Any]] | None:
    """`sfumato.place.render.Measure` of a job; None where nobody measures."""
    command = detector_of(job)
    if command is None:
        return None
    if command == OWN:
        from sfumato.place.detect import measure

        return measure
    return lambda picture, phrases: _asked(command, picture, phrases)


def looks_of(job: Job) -> Callable[[Any, Sequence[str]], list[bool | None]] | None:
    """`sfumato.place.verified.Looks` of a job; None where nobody can tell."""
    if detector_of(job) != OWN:
        return None
    from sfumato.place.detect import looks

    return looks


def _asked(command: str, picture: Any, phrases: Sequence[str]) -> list[Any]:
    from sfumato.errors import RequestError, SfumatoError
    from sfumato.matte.sheet import encoded
    from sfumato.place.box import Box

    with tempfile.TemporaryDirectory(prefix="sfumato-") as folder:  # mode 0700: pictures are nobody else's
        path = os.path.join(folder, "picture.png")
        with open(path, "wb") as file:
            file.write(encoded(picture))
        asked = json.dumps({"picture": path, "phrases": list(phrases)})
        try:
            words = command if os.name == "nt" else shlex.split(command)  # Windows splits by its own rules
            done = subprocess.run(words, input=asked, capture_output=True, text=True, timeout=LIMIT, check=True)
            rows = json.loads(done.stdout)
            boxes = [Box(*map(float, row)) if row is not None else None for row in rows]
            if len(boxes) != len(phrases):
                raise ValueError(f"{len(boxes)} boxes for {len(phrases)} phrases")
            return boxes
        except (OSError, IndexError, subprocess.SubprocessError, ValueError, TypeError, SfumatoError) as error:
            what = f"the site's detector gave no boxes: {command}: {error}"
            raise RequestError(what, "it prints a JSON list of [left, top, right, bottom] or null") from error
