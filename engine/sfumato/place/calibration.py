"""What placement was measured to need on a model: kept in `place.json` beside its weights."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import InputError

SCHEMA = "sfumato.placement/1"
FILE = "place.json"


@dataclass(frozen=True)
class Calibration:
    """How much a knob from 0 to 1 is on one model.

    window: Log-SNR at which the edit ends; see `sfumato.place.window`.
    up, down: Added to the scores of an object's words inside its box, taken off outside, at knob 1.
    lifts: Log-SNR until which `up` is added: longer, and things fill their boxes' corners and holes.
    clear: Taken off those of words that no object is called by, inside boxes, at knob 1.
    knots: (knob, part of up and down), from 0 to 1: what makes half a knob half the effect.
    precise: Knots for `precise`, if not the same: beside a gradient less is needed.
    layers: Parts of names of the attentions that are steered; all where there are none.
    shows: Parts of names of the attentions whose maps tell where things are (`sfumato.place.layers` measures which);
        all where there are none.
    early, late: Log-SNR from which and up to which `precise` moves the latent: before, maps tell nothing yet.
    rate: How far a gradient step of `precise` goes, in parts of the latent's own size.
    rounds: Gradient steps at a noise level.
    """

    window: float = 1.0
    up: float = 4.0
    down: float = 8.0
    lifts: float = 99.0
    clear: float = 0.0
    knots: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))
    precise: tuple[tuple[float, float], ...] = ()
    layers: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    early: float = -1.5
    late: float = 6.0
    rate: float = 0.05
    rounds: int = 1

    def gain(self, knob: float) -> float:
        """The part of `up` and `down` that a knob, 0..1, stands for: straight between knots."""
        for (a, x), (b, y) in zip(self.knots, self.knots[1:], strict=False):
            if knob <= b:
                return x + (knob - a) / (b - a) * (y - x)
        return self.knots[-1][1]


DEFAULT = Calibration()


def read_calibration(folder: str | Path) -> Calibration:
    """A model folder's calibration; the default where it has none.

    Raises:
        InputError: the file is damaged or of another schema.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return DEFAULT
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("schema") != SCHEMA:
            raise ValueError("schema")
        known = {name: data[name] for name in Calibration.__dataclass_fields__ if name in data}
        for name in ("knots", "precise"):
            known[name] = tuple((float(a), float(b)) for a, b in known.get(name, getattr(DEFAULT, name)))
        for name in ("layers", "shows"):
            known[name] = tuple(known.get(name, ()))
        found = Calibration(**known)
        numbers = (found.window, found.up, found.down, found.clear, found.rate, found.early, found.late)
        if not all(map(math.isfinite, numbers)):
            raise ValueError("a number that is none")
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is no calibration of schema {SCHEMA}: {error}", "calibrate the model again"
        ) from error


def calibration_document(calibration: Calibration) -> dict[str, object]:
    """What `read_calibration` reads."""
    return {"schema": SCHEMA, **{name: getattr(calibration, name) for name in Calibration.__dataclass_fields__}}
