"""sfumato itself, called the way a job calls it, and timed the way the peers are."""

from __future__ import annotations

import hashlib
import pathlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches.cases import Case

if TYPE_CHECKING:
    from torch import Tensor

Say = Callable[[str], None]


@dataclass(frozen=True)
class Solved:
    """A case as sfumato solves it: alpha, straight foreground and background a frame; mean seconds a frame."""

    alphas: list[Tensor]
    foregrounds: list[Tensor]
    backgrounds: list[Tensor]
    seconds: float


def solve(
    case: Case, quality: str, device: str = "auto", seed: int = 0, changes: Mapping[str, Any] | None = None
) -> Solved:
    """Solve every frame of a case with a preset; `changes` overrides single settings (an ablation).

    Seconds count from pixels in memory to alpha, foreground and background in memory; the peers' count alpha only.
    """
    from sfumato.device import pick_device
    from sfumato.matte.settings import preset
    from sfumato.matte.shot import FrameInput, solve_shot
    from sfumato.report import silent
    from sfumato_plugins.segments import plan

    settings = replace(preset(quality), **dict(changes or {}))
    cut = plan(case.numbers, quality)
    inputs = {number: case.load(number) for number in case.numbers}
    start = time.perf_counter()
    found = dict(
        solve_shot(
            case.numbers,
            cut.frames,
            cut.keys,
            lambda number: FrameInput(
                inputs[number].image, inputs[number].trimap, inputs[number].clean, not case.linear
            ),
            settings,
            seed,
            silent,
            radius=cut.radius,
            device=pick_device(device),
        )
    )
    seconds = (time.perf_counter() - start) / len(case.numbers)
    ordered = [found[number] for number in case.numbers]
    return Solved(
        alphas=[m.alpha.detach().cpu() for m in ordered],
        foregrounds=[m.foreground.detach().cpu() for m in ordered],
        backgrounds=[m.background.detach().cpu() for m in ordered],
        seconds=seconds,
    )


def ablations(quality: str) -> dict[str, dict[str, Any]]:
    """What can be switched off in a preset, by the name it gets in the table."""
    from sfumato.matte.settings import preset

    settings = preset(quality)
    if not getattr(settings, "prior", False):  # preview: there is nothing to switch off
        return {}
    known = {field.name for field in fields(settings)}
    wanted: dict[str, dict[str, Any]] = {
        "sfumato, prior off": {"prior": False},
        "sfumato, reconstruction head off": {"reconstruction": 0.0},
    }
    return {name: changes for name, changes in wanted.items() if set(changes) <= known}


def fingerprint() -> str:
    """Hash of the engine's matte code: a saved row is kept only while the code that made it is the same."""
    import sfumato.matte

    digest = hashlib.sha256()
    for path in sorted(pathlib.Path(str(sfumato.matte.__file__)).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
