"""What placing costs in memory: bytes of tensors alive at once while one picture is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfumato_plugins.benches.place_cases import cases

if TYPE_CHECKING:
    from sfumato.models.model import Model
    from sfumato.place.calibration import Calibration

Row = dict[str, Any]
STEPS = 8  # enough for every method to be at work in some


def memory(model: Model, calibration: Calibration) -> list[Row]:
    """A row for each of our methods: its peak beside that of the same render unedited, decoding not counted."""
    plain = _peak(model, calibration, "none")
    found = []
    for method in ("fast", "precise"):
        peak = _peak(model, calibration, method)
        found.append({"case": "peak memory", "method": method, "bytes": peak, "over_unedited": peak / plain})
    return found


def _peak(model: Model, calibration: Calibration, method: str) -> int:
    from sfumato.place.render import walked
    from sfumato.place.request import Request
    from sfumato.train.live_tensors import LiveTensors

    case = cases(1, 3, 2000)[0]
    request = Request(case.staging(), method=method, strength=1.0, steps=STEPS, seed=case.seed)
    for _ in range(2):  # what is kept from one run to the next is there in the second
        with LiveTensors() as live:
            walked(model, [request], calibration, [(0, 0)], lambda step: None)
    peak: int = live.peak
    return peak
