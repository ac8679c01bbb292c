"""What each thing done for speed buys: the same photograph, with one of them undone at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any, Callable

from sfumato_plugins.benches import ours
from sfumato_plugins.benches.cases import Case, Frame, Path

STOCK_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}  # glibc's own values
LONG = 5.0  # seconds after which one timing says enough
FRAMES = 3  # of the shot that shows what a warm start buys: two keyframes and one between them


def steps(
    data: Path, case: Case, quality: str, long: int, device: str, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Rows of step, undone (what stands in its place), seconds, undone_seconds and times, for one photograph."""
    found: list[dict[str, Any]] = []

    def add(step: str, undone: str, seconds: float, without: float) -> None:
        times = without / seconds
        found.append({"step": step, "undone": undone, "seconds": seconds, "undone_seconds": without, "times": times})
        say(f"steps: {step}: {seconds:.2f} s, without {without:.2f} s")

    base = _seconds(case, quality, device)
    whole = _seconds(_uncropped(case), quality, device)
    add("only around the unknown band", "the whole frame", base, whole)
    settings = _settings(quality)
    if settings.prior:
        small = f"the prior on a picture of {settings.size} pixels"
        add(small, "as large as the photograph", base, _seconds(case, quality, device, {"size": long}))
        shot = replace(case, numbers=tuple(range(1, FRAMES + 1)))
        warm, cold = _seconds(shot, quality, device), _seconds(shot, quality, device, {"warm_steps": settings.steps})
        add(f"frames between keys start warm (shot of {FRAMES})", "cold", warm, cold)
    else:
        exact = {"classical": replace(settings.classical, slack=0.0)}
        add("neighbours nearly nearest", "exact", base, _seconds(case, quality, device, exact))
    add("threads", "one thread", base, _one_thread(case, quality, device))
    add("memory kept", "glibc's thresholds", base, _elsewhere(data, case, quality, long, device))
    return found


def _seconds(case: Case, quality: str, device: str, changes: dict[str, Any] | None = None) -> float:
    """Seconds a frame; of what takes little, the least of three, because other programs take their share too."""
    spent: list[float] = []
    while len(spent) < (1 if spent and spent[0] > LONG else 3):
        spent.append(ours.solve(case, quality, device, changes=changes).seconds)
    return min(spent)


def _settings(quality: str) -> Any:
    from sfumato.matte.settings import preset

    return preset(quality)


def _uncropped(case: Case) -> Case:
    """The same case with an unknown pixel in two corners, so that the box around the band is the frame."""

    def load(number: int) -> Frame:
        frame = case.load(number)
        trimap = frame.trimap.clone()
        trimap[0, 0, 0] = trimap[0, -1, -1] = 0.5
        return replace(frame, trimap=trimap)

    return replace(case, load=load)


def _one_thread(case: Case, quality: str, device: str) -> float:
    from sfumato.device import one_thread

    with one_thread():
        return _seconds(case, quality, device)


def _elsewhere(data: Path, case: Case, quality: str, long: int, device: str) -> float:
    """Seconds in a process whose allocator is as the system has it: its settings are read once, at the start."""
    code = (
        "import json, sys; from sfumato_plugins.runtime import prepare_process; prepare_process();"
        "from sfumato_plugins.benches import steps, stills; from pathlib import Path;"
        "data, name, trimap, long, quality, device = sys.argv[1:];"
        "case = next(c for c in stills.find_stills(Path(data), int(long), int(trimap)) if c.name == name);"
        "steps._seconds(case, 'preview', device); print(json.dumps(steps._seconds(case, quality, device)))"
    )
    words = [str(data), case.name, str(case.trimap), str(long), quality, device]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, **STOCK_ALLOCATOR},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout))
