"""`sfumato bench place`: are objects where their boxes are, and what does it cost? Every method, one model, one table.

Cases: random prompts of one, two and three objects, random boxes. `miou` is over all objects, one that is missing
counts 0; `low` and `high` bound it at 95 % (bootstrap over pictures). `placed`: pictures in which every object reaches
IoU 0.5. `presence`, `binding`: objects whose colour is there, and of these with the shape that was said. `background`:
8-bit levels off the ground's colour, outside boxes. `sharpness`: slope at the steepest edges. `calls` of the network
and `seconds` are for one picture, of `BATCH` that are made together; a call with a gradient takes longer than others.

Methods of papers run at their own settings, strength 1. Ours were tuned on other seeds than those measured.
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches.place_cases import Case, cases
from sfumato_plugins.benches.place_measure import mean, measured, summary
from sfumato_plugins.benches.place_memory import memory
from sfumato_plugins.benches.place_targets import targets
from sfumato_plugins.benches.place_workflow import stories, verified
from sfumato_plugins.benches.table import Rows, as_table

if TYPE_CHECKING:
    from sfumato.models.model import Model
    from sfumato.place.calibration import Calibration

Row = dict[str, Any]
Say = Callable[[str], None]
OURS, UNEDITED = ("fast", "precise"), "none"
OBJECTS, SEEDS = (1, 2, 3), (0, 1, 2)
COUNT, FULL_COUNT, BATCH = 30, 168, 15  # pictures of each number of objects and seed
STEPS, HALF = 24, 0.5
ROWS_FILE = "bench_place_rows.jsonl"
COLUMNS = ("case", "method", "pictures", "miou", "low", "high", "placed", "presence", "binding", "background")
MORE = ("sharpness", "calls", "seconds")


def run(
    model: str = "embedded_place",
    *,
    count: int | None = None,
    methods: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    full: bool = False,
    rows: pathlib.Path | None = None,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Measure.

    Args:
        model: An embedded one, or a diffusers folder; its pictures have to be of our models' world to be measured.
        count: Pictures of each number of objects and seed; default 30, with `full` 168 (504 prompts).
        methods: Only these; default: all.
        seeds: Default: one, with `full` three.
        full: As many as the protocol asks for; rows are saved and resumed.
        rows: Where measured rows are kept; default ROWS_FILE in the current folder with `full`, else nowhere.
        say: Gets a line for each thing done, for people.

    Returns:
        The bench document.

    Raises:
        RequestError: no such model or method.
    """
    import sfumato
    from sfumato.errors import RequestError
    from sfumato.models.load import load_model
    from sfumato.models.load_files import folder_path
    from sfumato.place.calibration import read_calibration
    from sfumato.place.composed import COMPOSED
    from sfumato.place.methods import METHODS

    known = (*METHODS, *COMPOSED)
    chosen = tuple(methods or known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise RequestError(f"no method called {unknown[0]}", f"methods: {', '.join(known)}")
    calibration = read_calibration(folder_path(model))
    kept = Rows(rows or (pathlib.Path(ROWS_FILE) if full else None))
    bench = Bench(load_model(model), calibration, kept, say)
    count = count or (FULL_COUNT if full else COUNT)
    drawn = tuple(seeds or (SEEDS if full else SEEDS[:1]))
    measured_rows = [row for objects in OBJECTS for row in bench.table(objects, chosen, count, drawn)]
    if set(OURS) <= set(chosen):
        measured_rows += bench.extras(count, full)
    return {
        "bench": "place",
        "version": sfumato.__version__,
        "device": "cpu",
        "settings": {"model": model, "steps": STEPS, "seeds": drawn, "calibration": vars(calibration)},
        "rows": measured_rows,
        "means": means(measured_rows),
        "targets": targets(measured_rows),
    }


class Bench:
    """Cases rendered and measured, batch by batch; a batch that was measured before is not rendered again."""

    def __init__(self, model: Model, calibration: Calibration, kept: Rows, say: Say) -> None:
        self.model, self.calibration, self.kept, self.say = model, calibration, kept, say

    def table(self, objects: int, methods: Sequence[str], count: int, seeds: Sequence[int]) -> list[Row]:
        """A row for each method, and for ours at half strength, of the first seed."""
        label = f"{objects} object{'s' if objects > 1 else ''}"
        wanted = [(method, 1.0) for method in methods] + [(method, HALF) for method in methods if method in OURS]
        found = []
        for method, strength in wanted:
            pictures = [
                row
                for seed in (seeds if strength == 1 else seeds[:1])
                for row in self.pictures(cases(count, objects, seed), method, strength, label, seed)
            ]
            name = method if strength == 1 else f"{method}, strength {strength:g}"
            found.append({"case": label, "method": name, **summary(pictures)})
            self.say(as_table(found[-1:], (*COLUMNS, *MORE)).splitlines()[-1])
        return found

    def pictures(self, made: Sequence[Case], method: str, strength: float, label: str, seed: int) -> list[Row]:
        """A row for each case."""
        found = []
        for first in range(0, len(made), BATCH):
            batch = made[first : first + BATCH]
            key = Rows.key(
                case=label, method=method, strength=strength, seed=seed, first=first, count=len(batch), steps=STEPS,
                model=self.model.digest, calibration=str(self.calibration),
            )  # fmt: skip
            kept = self.kept.get(key)
            if kept is None:
                kept = {"pictures": self._rendered(batch, method, strength)}
                self.kept.put(key, kept)
            found += kept["pictures"]
        return found

    def _rendered(self, batch: Sequence[Case], method: str, strength: float) -> list[Row]:
        from sfumato.place.render import place_many
        from sfumato.place.request import Request

        how: dict[str, Any] = {"method": method, "strength": strength, "steps": STEPS}
        requests = [Request(case.staging(), seed=case.seed, **how) for case in batch]
        before = time.perf_counter()
        made = place_many(self.model, requests, calibration=self.calibration)
        seconds = (time.perf_counter() - before) / len(batch)
        return [
            measured(one.pictures[0], case.phrases, case.boxes, case.ground) | {"calls": one.calls, "seconds": seconds}
            for case, one in zip(batch, made)
        ]

    def extras(self, count: int, full: bool) -> list[Row]:
        """Renders that are verified and repeated, stories, and what ours cost in memory."""
        found = [
            verified(self.model, self.calibration, 200 if full else count, STEPS),
            stories(self.model, self.calibration, max(count // 4, 2), STEPS),
            *memory(self.model, self.calibration),
        ]
        for row in found:
            self.say(", ".join(f"{name} {value}" for name, value in row.items()))
        return found


def means(rows: Sequence[Row]) -> dict[str, Row]:
    """By method, over one, two and three objects."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if "miou" in row:
            found.setdefault(row["method"], []).append(row)
    names = ("miou", "placed", "presence", "binding", "background", *MORE)
    return {method: {name: mean(row[name] for row in some) for name in names} for method, some in found.items()}


def as_text(document: dict[str, Any]) -> str:
    """The document for people."""
    tables = [row for row in document["rows"] if "miou" in row]
    others = [row for row in document["rows"] if "miou" not in row]
    how = document["settings"]
    return "\n\n".join(
        (
            as_table(tables, (*COLUMNS, *MORE)),
            "\n".join(", ".join(f"{name} {_said(value)}" for name, value in row.items()) for row in others),
            as_table(document["targets"], ("name", "value", "bound", "met")),
            f"sfumato {document['version']}, model {how['model']}, {how['steps']} steps, {document['device']}",
        )
    )


def _said(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
