"""`sfumato bench trail`: do things go along their boxes? Every method, one model of shots, one table.

Cases: one thing on a straight way, to and fro, growing, entering or leaving the frame, or turning from one colour into
another on its way, and two that cross. `miou` is over all frames and objects, one that is missing counts 0; `low` and
`high` bound it at 95 % (bootstrap over shots). `centroid`: distance of centres in diagonals. `lag`: frames. `jerk`: of
centres, beside that of the `truth`: the same shots rendered and measured. `grows`: correlation of areas found and asked
for. `turned`: shots that begin as A and end as B. Other columns as in `sfumato bench place`.
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches.place_measure import target
from sfumato_plugins.benches.table import Rows, as_table
from sfumato_plugins.benches.trail_cases import KINDS, Shot, shots, truth
from sfumato_plugins.benches.trail_measure import shot_row, shots_summary

if TYPE_CHECKING:
    from sfumato.models.model import Model
    from sfumato.place.calibration import Calibration

Row = dict[str, Any]
Say = Callable[[str], None]
OURS, TRUTH, PEER = ("fast", "precise"), "truth", "trailblazer-coded"
COUNT, FULL_COUNT, BATCH, STEPS = 5, 40, 5, 24  # shots of each kind and seed
SEEDS = (0, 1, 2)
WHOLE = ("linear", "zigzag", "grow", "crossing")  # boxes are never cut by the frame
ROWS_FILE = "bench_trail_rows.jsonl"
COLUMNS = ("case", "method", "shots", "miou", "low", "high", "centroid", "lag", "jerk", "presence", "binding")
MORE = ("background", "sharpness", "grows", "turned", "calls", "seconds")


def run(
    model: str = "embedded_trail",
    *,
    count: int | None = None,
    methods: Sequence[str] | None = None,
    full: bool = False,
    rows: pathlib.Path | None = None,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Measure.

    Args:
        model: An embedded one, or a diffusers folder, of clips; they have to be of our models' world to be measured.
        count: Shots of each kind and seed; default 5, with `full` 40.
        methods: Only these; default: all.
        full: As many as the protocol asks for, three seeds; rows are saved and resumed.
        rows: Where measured rows are kept; default ROWS_FILE in the current folder with `full`, else nowhere.
        say: Gets a line for each thing done, for people.

    Returns:
        The bench document.

    Raises:
        RequestError: no such method, or a model that makes no clips.
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
    loaded = load_model(model)
    if loaded.frames < 4:
        raise RequestError(f"{model} makes stills", "measure a model of clips, such as embedded_trail")
    calibration = read_calibration(folder_path(model))
    bench = Bench(loaded, calibration, Rows(rows or (pathlib.Path(ROWS_FILE) if full else None)), say)
    seeds = SEEDS if full else SEEDS[:1]
    made = [row for kind in KINDS for row in bench.table(kind, chosen, count or (FULL_COUNT if full else COUNT), seeds)]
    return {
        "bench": "trail",
        "version": sfumato.__version__,
        "device": "cpu",
        "settings": {"model": model, "steps": STEPS, "seeds": seeds, "calibration": vars(calibration)},
        "rows": made,
        "means": means(made),
        "targets": targets(made),
    }


class Bench:
    """Shots rendered and measured, batch by batch; a batch that was measured before is not rendered again."""

    def __init__(self, model: Model, calibration: Calibration, kept: Rows, say: Say) -> None:
        self.model, self.calibration, self.kept, self.say = model, calibration, kept, say

    def table(self, kind: str, methods: Sequence[str], count: int, seeds: Sequence[int]) -> list[Row]:
        """A row for the truth and one for each method."""
        found = []
        for method in ((TRUTH,) if kind in WHOLE else ()) + tuple(methods):
            made = [row for seed in seeds for row in self._shots(kind, method, count, seed)]
            found.append({"case": kind, "method": method, **shots_summary(made)})
            self.say(as_table(found[-1:], (*COLUMNS, *MORE)).splitlines()[-1])
        return found

    def _shots(self, kind: str, method: str, count: int, seed: int) -> list[Row]:
        found: list[Row] = []
        drawn = shots(kind, count, self.model.frames, seed)
        for first in range(0, count, BATCH):
            batch = drawn[first : first + BATCH]
            key = Rows.key(
                kind=kind, method=method, seed=seed, first=first, count=len(batch), steps=STEPS,
                model=self.model.digest, calibration=str(self.calibration),
            )  # fmt: skip
            kept = self.kept.get(key)
            if kept is None:
                kept = {"shots": self._measured(batch, method)}
                self.kept.put(key, kept)
            found += kept["shots"]
        return found

    def _measured(self, batch: Sequence[Shot], method: str) -> list[Row]:
        from sfumato.place.render import Request, place_many

        if method == TRUTH:
            size = self.model.size[0]
            return [shot_row(truth(shot, size), shot) | {"calls": 0, "seconds": 0.0} for shot in batch]
        requests = [Request(shot.staging(), method=method, strength=1.0, steps=STEPS, seed=shot.seed) for shot in batch]
        before = time.perf_counter()
        made = place_many(self.model, requests, calibration=self.calibration)
        seconds = (time.perf_counter() - before) / len(batch)
        return [
            shot_row(one.pictures, shot) | {"calls": one.calls, "seconds": seconds} for shot, one in zip(batch, made)
        ]


def means(rows: Sequence[Row]) -> dict[str, Row]:
    """By method, over the kinds of shots."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["method"], []).append(row)
    names = ("miou", "centroid", "lag", "presence", "binding", "background", "sharpness", "calls", "seconds")
    return {method: {name: _mean(some, name) for name in names} for method, some in found.items()}


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return sum(values) / len(values) if values else None


def targets(rows: Sequence[Row]) -> list[Row]:
    """Those that the rows have numbers for."""
    table = {(row["method"], row["case"]): row for row in rows}
    found = []
    for method in OURS:
        if (method, "linear") not in table:
            continue
        for kind, least in (("linear", 0.65), ("zigzag", 0.55), ("grow", 0.55)):
            found.append(target(f"{method} mIoU, {kind}", table[method, kind]["miou"], ">=", least))
        for kind in ("linear", "zigzag"):
            here = table[method, kind]
            found.append(target(f"{method} centroid error, {kind}", here["centroid"], "<=", 0.05))
            found.append(target(f"{method} lag, {kind}", here["lag"], "<=", 1.0))
            still = table[TRUTH, kind]["jerk"]
            found.append(target(f"{method} jerk over the truth's, {kind}", _over(here["jerk"], still), "<=", 1.3))
        found.append(target(f"{method} area follows the box", table[method, "grow"]["grows"], ">=", 0.9))
        found.append(target(f"{method} turns A into B", table[method, "turning"]["turned"], ">=", 0.9))
        if (PEER, "linear") in table:
            apart = means(rows)[method]["miou"] - means(rows)[PEER]["miou"]
            found.append(target(f"{method} mIoU over {PEER}'s", apart, ">=", 0.20))
    return found


def _over(value: float | None, least: float | None) -> float | None:
    return value / least if value is not None and least else None


def as_text(document: dict[str, Any]) -> str:
    """The document for people."""
    how = document["settings"]
    return "\n\n".join(
        (
            as_table(document["rows"], (*COLUMNS, *MORE)),
            as_table(document["targets"], ("name", "value", "bound", "met")),
            f"sfumato {document['version']}, model {how['model']}, {how['steps']} steps, {document['device']}",
        )
    )
