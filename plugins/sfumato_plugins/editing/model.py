"""The model of a job: where it lies, what this site may use it for, and the model itself, loaded once a process."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sfumato_plugins.errors import Problem
from sfumato_plugins.job import Job
from sfumato_plugins.settings import load_settings

if TYPE_CHECKING:
    import torch

    from sfumato.models.load import About
    from sfumato.models.model import Model
    from sfumato_plugins.place import Place

EMBEDDED = "embedded"
EMBEDDED_NAMES = ("embedded", "embedded_place", "embedded_trail", "embedded_micro")  # `sfumato.models.load_files` knows
NETWORKS = ("UNet2DConditionModel", "SD3Transformer2DModel", "FluxTransformer2DModel", "PixArtTransformer2DModel")
KINDS = "give a diffusers folder of Stable Diffusion 1, 2, XL or 3, Flux or PixArt"
PACKAGES = ("diffusers", "transformers", "accelerate")

_COMMERCIAL = re.compile(
    r"apache-?2\.0|mit|0?bsd(-\d-clause(-clear)?)?|isc|zlib|unlicense|wtfpl|cc0(-1\.0)?|cc-by(-sa)?-\d\.\d|mpl-2\.0|"
    r"(creativeml-|bigscience-)?openrail(\+\+|-m)?"
)
_NOT = re.compile(r"non-?commercial|\bnc\b|-nc-|research", re.IGNORECASE)


def folder_of(job: Job, given: str) -> str:
    """Where a job's model lies: ours by name, a folder, or the one of that name among the site's `models`."""
    if given in EMBEDDED_NAMES:
        return given
    beside = os.path.normpath(os.path.join(job.base, os.path.expanduser(given)))
    if not os.path.isdir(beside) and os.path.basename(given) == given:
        for root in load_settings(start=job.base or os.getcwd()).get("models", []):
            if os.path.isdir(os.path.join(root, given)):
                return os.path.join(root, given)
    return beside


def folder_problems(job: Job, given: str, networks: Sequence[str] = NETWORKS) -> list[Problem]:
    """What can be seen of a model's folder by the standard library alone.

    networks: Classes of denoising networks that the job's tool works with.
    """
    folder, where = folder_of(job, given), "params.model"
    if folder in EMBEDDED_NAMES:
        return []
    if not os.path.isdir(folder):
        return [Problem(where, f"there is no model folder {folder}", f"{KINDS}, or embedded")]
    try:
        with open(os.path.join(folder, "model_index.json"), encoding="utf-8") as file:
            index = json.load(file)
        named = (index.get("transformer") or index.get("unet") or ["", ""])[1]
    except (OSError, ValueError, AttributeError, IndexError, TypeError):
        return [Problem(where, f"{folder} is no model: its model_index.json is missing or damaged", KINDS)]
    if named not in networks:
        what = f"{folder} is a {index.get('_class_name')} with {named or 'no denoising network'}"
        return [Problem(where, f"{what}, an architecture sfumato does not know", KINDS)]
    return []


def about(job: Job, given: str) -> About:
    """Name, licence and digest of a job's model, without loading it.

    Raises:
        sfumato.errors.RequestError: it holds code, or no whole safetensors weights (exit 2).
    """
    from sfumato.models.load import read_about

    return read_about(folder_of(job, given))


def content(job: Job, given: str) -> Mapping[str, str]:
    """What stands for everything in a model's folder that decides what it answers."""
    import hashlib

    from sfumato.models.load_files import folder_path

    digest = hashlib.sha256(about(job, given).digest.encode())
    root = str(folder_path(folder_of(job, given)))
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(n for n in names if n.endswith((".json", ".txt", ".model"))):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                digest.update(f"{os.path.relpath(path, root)}\n".encode() + file.read())
    return {"model": digest.hexdigest()[:32]}


def provenance(job: Job, given: str) -> str:
    """Name, SHA-256 and licence of the weights, for people and for metadata."""
    found = about(job, given)
    return f"{found.name}, sha256 {found.digest}, licence {found.licence}"


def inside_problems(job: Job, given: str, networks: Sequence[str] = NETWORKS) -> list[Problem]:
    """A folder that holds code or no whole weights; a licence that the site does not want. Imports no torch."""
    from sfumato.errors import SfumatoError
    from sfumato.models.load_files import folder_path, network_files, read_index

    if folder_problems(job, given, networks):  # said already
        return []
    lacking = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        what = f"{sys.executable} has no {' and no '.join(lacking)}, which diffusion models are made of"
        return [Problem("tool", what, "pip install 'sfumato[diffusion]', from a wheelhouse where there is no network")]
    try:
        path = folder_path(folder_of(job, given))
        network_files(path, read_index(path))
        doubt = licence_doubt(job, given)
    except SfumatoError as error:
        return [Problem("params.model", error.message, error.hint, error.exit_code)]
    if not doubt or not load_settings(start=job.base or os.getcwd()).get("require_commercial", False):
        return []
    return [Problem("params.model", f"{doubt}, and the site requires a commercial licence", "use another model")]


def licence_doubt(job: Job, given: str) -> str:
    """A sentence where a model's licence does not clearly allow commercial work; empty where it does."""
    from sfumato.models.load_files import folder_name, folder_path, read_index
    from sfumato.models.load_licence import read_licence

    where = folder_of(job, given)
    path = folder_path(where)
    licence = read_licence(path, read_index(path))
    allowed = commercial(licence)
    if allowed:
        return ""
    end = ", which excludes commercial work" if allowed is False else ", which sfumato cannot judge"
    return f"the licence of {folder_name(where)} is {licence}{'' if licence == 'unknown' else end}"


def commercial(licence: str) -> bool | None:
    """Whether a licence allows commercial work; None where that cannot be told from its name."""
    if _NOT.search(licence):
        return False
    return True if _COMMERCIAL.fullmatch(licence.strip().lower()) else None


def load(job: Job, values: Mapping[str, Any], place: Place) -> Model:
    """The job's model on the place's device. A process keeps the last one.

    Raises:
        sfumato.errors.RequestError: it cannot be loaded (exit 2).
    """
    import torch

    doubt = licence_doubt(job, values["model"])
    if doubt:
        place.note(f"warning: {doubt}")
    folder, device = folder_of(job, values["model"]), place.device or torch.device("cpu")
    return _loaded(folder, content(job, values["model"])["model"], device, getattr(torch, values["precision"]))


@lru_cache(maxsize=1)
def _loaded(folder: str, content: str, device: torch.device, dtype: torch.dtype) -> Model:
    from sfumato.models.load import load_model

    return load_model(folder, device, dtype)
