"""The model that places: which of ours a name means for which tool, and how long the clips of one are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfumato_plugins.editing.model import NETWORKS, folder_of

if TYPE_CHECKING:
    from sfumato_plugins.job import Job

EMBEDDED = "embedded"
OURS = {"place": "embedded_place", "trail": "embedded_trail"}  # what "embedded" means; both are demos
CLIPS = {"embedded_trail": 8}  # frames of ours that make more than one
PLACING = (*NETWORKS, "LatteTransformer3DModel")


def model_of(tool: str, params: Mapping[str, Any]) -> str:
    """What a job's model is called for `sfumato_plugins.editing.model`: "embedded" is another one for each tool."""
    given = str(params.get("model", EMBEDDED))
    return OURS[tool] if given == EMBEDDED else given


def is_ours(name: str) -> bool:
    """A demo of ours, whose objects the palette and shape detector knows."""
    return name.startswith(EMBEDDED)


def clip_length(job: Job) -> int:
    """Frames of the clips that a job's model makes; 1 for a model of stills, or where its folder does not say."""
    name = model_of(job.tool, job.params)
    if is_ours(name):
        return CLIPS.get(name, 1)
    try:
        with open(os.path.join(folder_of(job, name), "transformer", "config.json"), encoding="utf-8") as file:
            return max(1, int(json.load(file).get("video_length", 1)))
    except (OSError, ValueError, TypeError, AttributeError):
        return 1
