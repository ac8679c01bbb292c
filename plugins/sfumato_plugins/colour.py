"""The colour configuration of a job: what the job names, else $OCIO, else the one built in. Needs the engine."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from sfumato_plugins.job import Job

if TYPE_CHECKING:
    from sfumato.color import Config


def config_of(job: Job) -> Config:
    """The config a job is computed with.

    Raises:
        sfumato.errors.RequestError: the config named does not exist or is broken.
    """
    named = job.color.get("config")
    if isinstance(named, str) and ("/" in named or "\\" in named or named.endswith((".ocio", ".ocioz"))):
        named = named if "://" in named else os.path.normpath(os.path.join(job.base, named))
    context = tuple(sorted((job.color.get("context") or {}).items()))
    return _config(named, os.environ.get("OCIO"), context)


@lru_cache(maxsize=8)
def _config(named: str | None, environment: str | None, context: tuple[tuple[str, str], ...]) -> Config:
    from sfumato.color import choose_config

    return choose_config(named, environment, dict(context))


def pinned(job: Job) -> Job:
    """The job with its config's name, hash and context variables written in, so that a farm computes with the same."""
    config = config_of(job)
    color = {**job.color, "config": config.name, "config_hash": config.hash}
    if config.context:
        color["context"] = dict(config.context)
    return replace(job, color=color)
