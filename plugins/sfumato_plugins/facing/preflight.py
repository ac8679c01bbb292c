"""What only opening its files says of a face job: take, rig, solver, map. Nothing is solved and nothing written."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from sfumato_plugins.errors import JobError, Problem
from sfumato_plugins.facing import inputs
from sfumato_plugins.job import Job

if TYPE_CHECKING:
    from sfumato.face.markers import Markers
    from sfumato.face.rig import Rig

Opened = TypeVar("Opened")


def opened_problems(job: Job, values: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong with the job's files, in the solve's own words; a file that is not there is said elsewhere.

    A take that the job's folder has read already is not read again. Laying a take onto a rig is left to the solve.
    """
    if importlib.util.find_spec("torch") is None:
        return []
    found: list[Problem] = []

    def opened(name: str, load: Callable[[], Opened]) -> Opened | None:
        from sfumato.errors import SfumatoError

        if not inputs.is_there(job, name):
            return None
        try:
            return load()
        except SfumatoError as error:
            found.append(Problem(f"inputs.{name}", error.message, error.hint, error.exit_code))
        except JobError as error:
            found.extend(error.problems)
        return None

    rig = opened("rig", lambda: inputs.rig_of(job))
    take = None if _read_before(job, values) else opened("markers", lambda: inputs.take_of(job, values, _silent))
    if rig:
        opened("solver", lambda: inputs.solver_of(job, values, rig, _silent))
    if rig and take and (inputs.path_of(job, "binding") or getattr(rig, "markers", None)):
        opened("binding" if inputs.path_of(job, "binding") else "markers", lambda: _sits(job, rig, take))
    if "export" in job.outputs:
        opened("map", lambda: _map(job))
    return found


def _silent(line: str) -> None:
    """The solve says it."""


def _read_before(job: Job, values: Mapping[str, Any]) -> bool:
    """Whether the folder holds this very take, read in this very way."""
    from sfumato_plugins.facing.folder import solve_of
    from sfumato_plugins.facing.made_of import take_of
    from sfumato_plugins.tools.face import folder_of

    if not job.output("solve") or not inputs.is_there(job, "markers"):
        return False
    try:
        return bool(solve_of(folder_of(job)).get("take") == take_of(job, values))
    except JobError:
        return False


def _sits(job: Job, rig: Rig, take: Markers) -> None:
    from sfumato.face.stabilise import located

    located(take, inputs.binding_of(job, rig, take, _silent))


def _map(job: Job) -> None:
    from sfumato_plugins import control_map

    control_map.load(inputs.path_of(job, "map"))
