"""What a folder of a solve was made of: digests that say whether a part of it is still right. Needs the engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato_plugins.facing import inputs
from sfumato_plugins.facing.folder import digest, digest_of
from sfumato_plugins.job import Job

if TYPE_CHECKING:
    from sfumato.face.binding import Binding

LIES = ("units", "fps", "up", "start", "timecode", "offset", "timeline_fps", "samples")  # how a take is read


def stages_of(job: Job, values: Mapping[str, Any], binding: Binding) -> str:
    """Stands for what every stage is made with, besides the files it reads."""
    solver = content(job, "solver") if values["method"] != "clip" else []
    seats = [binding.names, binding.corners.tolist(), binding.weights.tolist()]
    return digest(repr((content(job, "rig"), seats, solver)).encode())


def binding_of(job: Job, names: tuple[str, ...]) -> str:
    """Stands for what says where markers of these names sit."""
    return digest(repr((content(job, "rig"), content(job, "binding"), names)).encode())


def take_of(job: Job, values: Mapping[str, Any]) -> str:
    """Stands for the take on its timeline."""
    from sfumato import __version__

    return digest(repr((content(job, "markers"), [values[name] for name in LIES], __version__)).encode())


def content(job: Job, name: str) -> list[str]:
    """Digests of an input's files; nothing where the job gives none."""
    path = inputs.path_of(job, name)
    if not path:
        return []
    if os.path.isdir(path):
        return [digest_of(at, one) for at, _, names in sorted(os.walk(path)) for one in sorted(names)]
    return [digest_of(os.path.dirname(path), os.path.basename(path))]
