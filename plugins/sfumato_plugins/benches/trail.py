"""`sfumato bench trail`: do things go along their boxes? Every method, one model of shots, one table.

Cases: one thing on a straight way, to and fro, growing, entering or leaving the frame, or turning from one colour into
another on its way, and two that cross. `miou` is over all frames and objects, one that is missing counts 0; `low` and
`high` bound it at 95 % (bootstrap over shots). `centroid`: distance of centres in diagonals. `lag`: frames. `jerk`: of
centres, beside that of the `truth`: the same shots rendered and measured; and of the truth `encoded` by the model's own
codec and decoded again, which is the best that any method can make with it. `grows`: correlation of areas found and
asked for. `turned`: shots that begin as A and end as B. Other columns as in `sfumato bench place`.
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches.table import Rows, as_table
from sfumato_plugins.benches.trail_cases import KINDS, Shot, shots, truth
from sfumato_plugins.benches.trail_measure import shot_row, shots_summary
from sfumato_plugins.benches.trail_targets import ENCODED, TRUTH, means, targets

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.models.model import Model
    from sfumato.place.calibration import Calibration

Row = dict[str, Any]
Say = Callable[[str], None]
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
        """Rows for the truth and one for each method."""
        found = []
        for method in ((TRUTH, ENCODED) if kind in WHOLE else ()) + tuple(methods):
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
        from sfumato.place.render import place_many
        from sfumato.place.request import Request

        if method in (TRUTH, ENCODED):
            pictures = [truth(shot, self.model.size[0]) for shot in batch]
            if method == ENCODED:
                pictures = [self._again(clip) for clip in pictures]
            rows = (shot_row(clip, shot) for clip, shot in zip(pictures, batch))
            return [row | {"calls": 0, "seconds": 0.0} for row in rows]
        requests = [Request(shot.staging(), method=method, strength=1.0, steps=STEPS, seed=shot.seed) for shot in batch]
        before = time.perf_counter()
        made = place_many(self.model, requests, calibration=self.calibration)
        seconds = (time.perf_counter() - before) / len(batch)
        return [
            shot_row(one.pictures, shot) | {"calls": one.calls, "seconds": seconds} for shot, one in zip(batch, made)
        ]

    def _again(self, clip: Tensor) -> Tensor:
        import torch

        with torch.no_grad():
            decoded: Tensor = self.model.codec.decode(self.model.codec.encode(clip)).clamp(0, 1)
        return decoded


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
